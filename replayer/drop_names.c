/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of drop reasons and places: see drop_names.h. */
#include "replayer/drop_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/symbols.h"
#include "kernel-lib/image.h"
#include "simulator/scenario.h"

#define REASONS_MAX 65536u

/* A kernel image of the trace. */
struct kernel {
	const struct bh_trace_input *input;
	char *text;	      /* a copy of its list of reasons, cut into lines */
	const char **reasons; /* by number */
	unsigned int reason_count;
	struct bh_symbols *symbols;
	int has_looked; /* for the symbols */
};

struct bh_drop_names {
	struct bh_error *(*find_kernel)(void *arg, const char *version, char **path_ret);
	void *find_kernel_arg;
	struct bh_scenario *scenario; /* says which node has which kernel; NULL if unreadable */
	struct kernel *kernels;
	size_t kernel_count;
	char function[256];
};

/* A line is a number, a blank and the name. */
static void read_reasons(struct kernel *kernel)
{
	char *rest = NULL;

	kernel->text = strndup(kernel->input->text, kernel->input->text_size);
	kernel->reasons = calloc(REASONS_MAX, sizeof(*kernel->reasons));
	if (!kernel->text || !kernel->reasons)
		return;
	kernel->reason_count = REASONS_MAX;
	for (char *line = strtok_r(kernel->text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *end;
		unsigned long number = strtoul(line, &end, 10);

		if (end > line && *end == ' ' && number < REASONS_MAX)
			kernel->reasons[number] = end + 1;
	}
}

static void find_scenario(struct bh_drop_names *names, const struct bh_trace *trace)
{
	for (size_t i = 0; i < bh_trace_input_count(trace); i++) {
		const struct bh_trace_input *input = bh_trace_input(trace, i);

		if (input->role != BH_TRACE_SCENARIO)
			continue;
		bh_error_free(bh_scenario_parse_yaml(input->text, input->text_size, input->name,
						     &names->scenario));
		return;
	}
}

struct bh_drop_names *bh_drop_names_create(const struct bh_trace *trace,
					   struct bh_error *(*find_kernel)(void *arg,
									   const char *version,
									   char **path_ret),
					   void *find_kernel_arg)
{
	struct bh_drop_names *names = calloc(1, sizeof(*names));
	size_t count = bh_trace_input_count(trace);

	if (names)
		names->kernels = calloc(count + 1, sizeof(*names->kernels));
	if (!names || !names->kernels) {
		free(names);
		return NULL;
	}
	names->find_kernel = find_kernel;
	names->find_kernel_arg = find_kernel_arg;
	find_scenario(names, trace);
	for (size_t i = 0; i < count; i++) {
		const struct bh_trace_input *input = bh_trace_input(trace, i);

		if (input->role != BH_TRACE_KERNEL)
			continue;
		struct kernel *kernel = &names->kernels[names->kernel_count++];

		kernel->input = input;
		if (input->text)
			read_reasons(kernel);
	}
	return names;
}

void bh_drop_names_destroy(struct bh_drop_names *names)
{
	if (!names)
		return;
	for (size_t i = 0; i < names->kernel_count; i++) {
		free(names->kernels[i].text);
		free(names->kernels[i].reasons);
		bh_symbols_close(names->kernels[i].symbols);
	}
	bh_scenario_destroy(names->scenario);
	free(names->kernels);
	free(names);
}

static struct kernel *kernel_of(struct bh_drop_names *names, uint32_t node)
{
	const struct bh_scenario *scenario = names->scenario;

	for (size_t i = 0; scenario && node < scenario->node_count && i < names->kernel_count; i++)
		if (!strcmp(names->kernels[i].input->name, scenario->nodes[node].kernel))
			return &names->kernels[i];
	return names->kernel_count == 1 ? &names->kernels[0] : NULL;
}

const char *bh_drop_reason(struct bh_drop_names *names, const struct bh_event *event)
{
	const struct kernel *kernel = names ? kernel_of(names, event->node) : NULL;
	unsigned int number = event->value & 0xffff;

	return kernel && number < kernel->reason_count ? kernel->reasons[number] : NULL;
}

static int is_same_image(const char *path, const struct bh_trace_input *input)
{
	struct bh_image *image;
	struct bh_error *error = bh_image_open(path, &image);
	size_t length = 0;
	int is_same = 0;

	if (error) {
		bh_error_free(error);
		return 0;
	}
	const uint8_t *id = bh_image_build_id(image, &length);

	if (input->build_id && strlen(input->build_id) == length * 2) {
		is_same = 1;
		for (size_t i = 0; i < length; i++) {
			char hex[3];

			snprintf(hex, sizeof(hex), "%02x", id[i]);
			is_same &= memcmp(hex, input->build_id + 2 * i, 2) == 0;
		}
	}
	bh_image_close(image);
	return is_same;
}

static void find_symbols(const struct bh_drop_names *names, struct kernel *kernel)
{
	char *path = NULL;
	struct bh_error *error =
		names->find_kernel(names->find_kernel_arg, kernel->input->name, &path);

	kernel->has_looked = 1;
	if (error) {
		bh_error_free(error);
		return;
	}
	if (is_same_image(path, kernel->input))
		kernel->symbols = bh_symbols_open_image(path);
	free(path);
}

const char *bh_drop_function(struct bh_drop_names *names, const struct bh_event *event)
{
	struct kernel *kernel = names ? kernel_of(names, event->node) : NULL;

	if (!kernel)
		return NULL;
	if (!kernel->has_looked)
		find_symbols(names, kernel);
	/* The place is where the call that dropped the packet returns to. */
	return bh_symbols_function(kernel->symbols, (event->value >> 16) - 1, names->function,
				   sizeof(names->function))
		       ? names->function
		       : NULL;
}
