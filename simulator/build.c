/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scenarios that are C programs, while they are described: see build.h. */
#include "simulator/build.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bh_build_fn *registered;

void bh_build_register(bh_build_fn *build_fn)
{
	registered = build_fn;
}

bh_build_fn *bh_build_registered(void)
{
	return registered;
}

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory while the scenario is described");
}

/* --- life --- */

static void destroy_nodes(struct bh_build *build)
{
	for (size_t i = 0; i < build->node_count; i++) {
		struct bh_build_node *node = &build->nodes[i];

		free(node->name);
		bh_text_free(&node->settings);
		bh_text_free(&node->sysctls);
		bh_text_free(&node->binds);
		bh_text_free(&node->setup);
		bh_text_free(&node->programs);
	}
	free(build->nodes);
}

void bh_build_destroy(struct bh_build *build)
{
	if (!build)
		return;
	destroy_nodes(build);
	for (size_t i = 0; i < build->section_count; i++) {
		free(build->sections[i].name);
		bh_text_free(&build->sections[i].entries);
	}
	for (size_t i = 0; i < build->inspector_count; i++)
		free(build->inspectors[i].device);
	bh_text_free(&build->defaults);
	bh_text_free(&build->links);
	bh_error_free(build->error);
	free(build->program);
	free(build->name);
	free(build->sections);
	free(build->calls);
	free(build->end_calls);
	free(build->inspectors);
	free(build->finishes);
	free(build);
}

struct bh_error *bh_build_create(bh_build_fn *build_fn, int argc, char **argv,
				 struct bh_build **build_ret)
{
	struct bh_build *build = calloc(1, sizeof(*build));

	if (!build)
		return out_of_memory();
	build->program = strdup(argv[0]);
	if (build->program)
		build_fn(build, argc, argv);
	else
		build->error = out_of_memory();
	struct bh_error *error = build->error;

	if (error) {
		build->error = NULL;
		bh_build_destroy(build);
		return error;
	}
	*build_ret = build;
	return NULL;
}

/* --- faults --- */

static void fail(struct bh_build *build, struct bh_error *error)
{
	if (build->error)
		bh_error_free(error);
	else
		build->error = error;
}

void bh_build_fail(struct bh_build *build, const char *format, ...)
{
	char sentence[400];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	fail(build, bh_error_new(BH_ERR_INPUT, "%s: %s", build->program, sentence));
}

/* Room for one more element of size bytes, zero-filled; NULL (and a fault) without memory. */
static void *grow(struct bh_build *build, void *array, size_t *count, size_t size)
{
	void **elements = array;

	if (*count == 0 || (*count & (*count - 1)) == 0) {
		void *larger = realloc(*elements, (*count ? *count * 2 : 1) * size);

		if (!larger) {
			fail(build, out_of_memory());
			return NULL;
		}
		*elements = larger;
	}
	void *element = (char *)*elements + *count * size;

	memset(element, 0, size);
	++*count;
	return element;
}

static char *copy(struct bh_build *build, const char *text)
{
	char *copied = strdup(text);

	if (!copied)
		fail(build, out_of_memory());
	return copied;
}

static struct bh_build_node *find_node(struct bh_build *build, uint32_t node, const char *what)
{
	if (node < build->node_count)
		return &build->nodes[node];
	bh_build_fail(build, "%s: there is no node %" PRIu32 ", only 0 to %zu", what, node,
		      build->node_count ? build->node_count - 1 : 0);
	return NULL;
}

/* --- the general part --- */

void bh_build_name(struct bh_build *build, const char *name)
{
	free(build->name);
	build->name = copy(build, name);
}

void bh_build_stop_time(struct bh_build *build, uint64_t stop_ns)
{
	build->stop_ns = stop_ns;
}

void bh_build_seed(struct bh_build *build, uint64_t seed)
{
	build->seed = seed;
	build->has_seed = 1;
}

/* A value in YAML is put into a flow mapping, so it has one line. */
static int is_one_line(struct bh_build *build, const char *what, const char *yaml)
{
	if (!strpbrk(yaml, "\n\r"))
		return 1;
	bh_build_fail(build, "%s: the value has several lines; write it as YAML in one", what);
	return 0;
}

void bh_build_default(struct bh_build *build, const char *key, const char *yaml)
{
	if (is_one_line(build, "bh_build_default", yaml))
		bh_text_add(&build->defaults, "%s%s: %s", build->defaults.length ? ", " : "", key,
			    yaml);
}

/* --- nodes --- */

uint32_t bh_build_node(struct bh_build *build, const char *name)
{
	struct bh_build_node *node =
		grow(build, &build->nodes, &build->node_count, sizeof(*build->nodes));

	if (!node)
		return BH_NODE_NONE;
	node->name = copy(build, name);
	return (uint32_t)(build->node_count - 1);
}

void bh_build_node_set(struct bh_build *build, uint32_t node, const char *key, const char *yaml)
{
	struct bh_build_node *found = find_node(build, node, "bh_build_node_set");

	if (found && is_one_line(build, "bh_build_node_set", yaml))
		bh_text_add(&found->settings, "      %s: %s\n", key, yaml);
}

void bh_build_sysctl(struct bh_build *build, uint32_t node, const char *key, const char *value)
{
	struct bh_build_node *found = find_node(build, node, "bh_build_sysctl");

	if (!found)
		return;
	bh_text_add(&found->sysctls, "        ");
	bh_text_add_quoted(&found->sysctls, key);
	bh_text_add(&found->sysctls, ": ");
	bh_text_add_quoted(&found->sysctls, value);
	bh_text_add(&found->sysctls, "\n");
}

void bh_build_bind(struct bh_build *build, uint32_t node, const char *bind)
{
	struct bh_build_node *found = find_node(build, node, "bh_build_bind");

	if (!found)
		return;
	bh_text_add(&found->binds, "        - ");
	bh_text_add_quoted(&found->binds, bind);
	bh_text_add(&found->binds, "\n");
}

void bh_build_exec(struct bh_build *build, uint32_t node, const char *command_line)
{
	struct bh_build_node *found = find_node(build, node, "bh_build_exec");

	if (!found)
		return;
	bh_text_add(&found->setup, "        - ");
	bh_text_add_quoted(&found->setup, command_line);
	bh_text_add(&found->setup, "\n");
}

void bh_build_link(struct bh_build *build, const char *end, const char *other_end,
		   const struct bh_link_options *options)
{
	static const struct bh_link_options none;
	const struct bh_link_options *o = options ? options : &none;
	struct bh_text *text = &build->links;

	if (o->more && !is_one_line(build, "bh_build_link", o->more))
		return;
	bh_text_add(text, "    - {endpoints: [");
	bh_text_add_quoted(text, end);
	bh_text_add(text, ", ");
	bh_text_add_quoted(text, other_end);
	bh_text_add(text, "]");
	if (o->delay_ns)
		bh_text_add(text, ", delay: %" PRIu64 "ns", o->delay_ns);
	if (o->rate_bps)
		bh_text_add(text, ", rate: %" PRIu64 "bit", o->rate_bps);
	if (o->loss_ppb)
		bh_text_add(text, ", loss: %" PRIu64 ".%07" PRIu64 "%%", o->loss_ppb / 10000000,
			    o->loss_ppb % 10000000);
	if (o->queue_frames)
		bh_text_add(text, ", queue: %" PRIu32, o->queue_frames);
	if (o->mtu)
		bh_text_add(text, ", mtu: %" PRIu32, o->mtu);
	if (o->more)
		bh_text_add(text, ", %s", o->more);
	bh_text_add(text, "}\n");
}

void bh_build_entry(struct bh_build *build, const char *section, const char *yaml)
{
	struct bh_build_section *found = NULL;

	if (!is_one_line(build, "bh_build_entry", yaml))
		return;
	for (size_t i = 0; i < build->section_count && !found; i++)
		if (strcmp(build->sections[i].name, section) == 0)
			found = &build->sections[i];
	if (!found) {
		found = grow(build, &build->sections, &build->section_count,
			     sizeof(*build->sections));
		if (!found)
			return;
		found->name = copy(build, section);
	}
	bh_text_add(&found->entries, "  - {%s}\n", yaml);
}

/* --- programs --- */

void bh_build_program(struct bh_build *build, uint32_t node, const struct bh_program *program)
{
	struct bh_build_node *found = find_node(build, node, "bh_build_program");
	const char *fault = bh_program_fault(program);

	if (fault)
		bh_build_fail(build, "bh_build_program: %s", fault);
	if (fault || !found)
		return;
	bh_text_add(&found->programs, "        - ");
	bh_text_add_program(&found->programs, program, 0);
	bh_text_add(&found->programs, "\n");
	size_t number = found->program_count++;

	if (!program->finished)
		return;
	struct bh_build_finish *finish =
		grow(build, &build->finishes, &build->finish_count, sizeof(*build->finishes));

	if (finish)
		*finish = (struct bh_build_finish){node, number, program->finished, program->arg};
}

void bh_build_ip(struct bh_build *build, uint32_t node, uint64_t at_ns, const char *arguments)
{
	const struct bh_program program = {
		.path = "ip", .args = arguments, .start_ns = at_ns, .must_end = 1};

	bh_build_program(build, node, &program);
}

void bh_build_sysctl_at(struct bh_build *build, uint32_t node, uint64_t at_ns, const char *key,
			const char *value)
{
	char assignment[512];
	const char *const words[] = {"-qw", assignment, NULL};
	const struct bh_program program = {
		.path = "sysctl", .argv = words, .start_ns = at_ns, .must_end = 1};

	snprintf(assignment, sizeof(assignment), "%s=%s", key, value);
	bh_build_program(build, node, &program);
}

/* --- calls --- */

static void add_call(struct bh_build *build, uint64_t at_ns, bh_call_fn *call, void *arg,
		     int is_look)
{
	size_t order = build->call_count;
	struct bh_build_call *added =
		grow(build, &build->calls, &build->call_count, sizeof(*build->calls));

	if (added)
		*added = (struct bh_build_call){at_ns, order, is_look, call, arg};
}

void bh_build_schedule(struct bh_build *build, uint64_t at_ns, bh_call_fn *call, void *arg)
{
	add_call(build, at_ns, call, arg, 0);
}

void bh_build_look(struct bh_build *build, uint64_t at_ns, bh_call_fn *call, void *arg)
{
	add_call(build, at_ns, call, arg, 1);
}

void bh_build_at_end(struct bh_build *build, bh_call_fn *call, void *arg)
{
	struct bh_build_call *added =
		grow(build, &build->end_calls, &build->end_call_count, sizeof(*build->end_calls));

	if (added)
		*added = (struct bh_build_call){.is_look = 1, .call = call, .arg = arg};
}

void bh_build_inspect(struct bh_build *build, const char *device, bh_frame_fn *inspect, void *arg)
{
	struct bh_build_inspector *added = grow(build, &build->inspectors, &build->inspector_count,
						sizeof(*build->inspectors));

	if (added)
		*added = (struct bh_build_inspector){copy(build, device), inspect, arg};
}

/* --- the text --- */

static void add_general(struct bh_text *text, const struct bh_build *build)
{
	const char *slash = strrchr(build->program, '/');

	bh_text_add(text, "name: ");
	bh_text_add_quoted(text, build->name ? build->name : slash ? slash + 1 : build->program);
	bh_text_add(text, "\ngeneral: {");
	if (build->has_seed)
		bh_text_add(text, "seed: %" PRIu64 ", ", build->seed);
	bh_text_add(text, "stop_time: %" PRIu64 "ns}\n", build->stop_ns);
}

static void add_node(struct bh_text *text, const struct bh_build_node *node)
{
	bh_text_add(text, "    ");
	bh_text_add_quoted(text, node->name);
	bh_text_add(text, ":\n");
	if (node->settings.length)
		bh_text_add(text, "%s", node->settings.bytes);
	if (node->sysctls.length)
		bh_text_add(text, "      sysctls:\n%s", node->sysctls.bytes);
	if (node->binds.length)
		bh_text_add(text, "      binds:\n%s", node->binds.bytes);
	if (node->setup.length)
		bh_text_add(text, "      exec:\n%s", node->setup.bytes);
	if (node->programs.length)
		bh_text_add(text, "      processes:\n%s", node->programs.bytes);
}

struct bh_error *bh_build_yaml(const struct bh_build *build, char **text_ret, size_t *length_ret)
{
	struct bh_text text = {0};

	if (build->node_count == 0)
		return bh_error_new(BH_ERR_INPUT, "%s: the scenario has no node; see bh_build_node",
				    build->program);
	if (build->stop_ns == 0)
		return bh_error_new(BH_ERR_INPUT,
				    "%s: the scenario doesn't say when it ends; see "
				    "bh_build_stop_time",
				    build->program);
	add_general(&text, build);
	bh_text_add(&text, "topology:\n");
	if (build->defaults.length)
		bh_text_add(&text, "  defaults: {%s}\n", build->defaults.bytes);
	bh_text_add(&text, "  nodes:\n");
	for (size_t i = 0; i < build->node_count; i++)
		add_node(&text, &build->nodes[i]);
	if (build->links.length)
		bh_text_add(&text, "  links:\n%s", build->links.bytes);
	for (size_t i = 0; i < build->section_count; i++)
		bh_text_add(&text, "%s:\n%s", build->sections[i].name,
			    build->sections[i].entries.bytes);
	if (text.no_memory) {
		bh_text_free(&text);
		return out_of_memory();
	}
	*text_ret = text.bytes;
	*length_ret = text.length;
	return NULL;
}
