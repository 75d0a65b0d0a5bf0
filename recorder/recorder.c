/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records a run: see recorder.h. Inside a node an event is only appended to the writer's memory;
 * between() hands the inputs that are new to the writer whenever it is about to write a chunk, and
 * makes a checkpoint of the trace about once a second, so that a recording that is killed, or a
 * program that never gives the CPU back, leaves something to look at.
 */
#include "recorder/recorder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cache.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/host_time.h"
#include "common/last_words.h"
#include "kernel-lib/image.h"
#include "kernel-lib/node.h"
#include "posix/inputs.h"
#include "posix/posix.h"
#include "recorder/snapshot_keeper.h"
#include "simulator/output.h"
#include "traces/trace.h"

#define CHECKPOINT_NS	     1000000000ull
#define PROMPT_CHECKPOINT_NS 100000000ull
/* How often one looks whether there is something to do: a chunk to write may wait. Not at each call
 * of between(), because reading the host's clock costs a system call. */
#define LOOK_NS		 4000000ull
#define STRIDE_MAX	 8192u
#define KERNEL_IMAGE_MAX (1ul << 30)
#define PROGRAM_MAX	 (1ul << 30)

/* What the trace already says of an input. */
enum input_state { INPUT_UNKNOWN, INPUT_LOOKED_AT, INPUT_READ };

struct bh_recorder {
	/* What every event needs is in one line of the processor's cache. */
	struct bh_trace_writer *writer;
	struct bh_sim_observer next;
	unsigned int calls, stride; /* of between(), since the last look and until the next */
	uint64_t look_ns;	    /* host time of the last look */
	int is_checkpoint_wanted;

	struct bh_recorder_config config;
	struct bh_inputs *inputs;
	uint8_t *input_states; /* enum input_state, by index in inputs */
	size_t input_room;
	struct bh_sim *sim;
	const struct bh_sim_result *result;
	struct bh_error *error;		      /* of between(), which can't return one */
	uint64_t checkpoint_ns;		      /* host time of the last checkpoint */
	struct bh_snapshot_keeper *snapshots; /* NULL: none are taken */
	struct bh_terminal terminal;	      /* the caller's, with input() of our own */
	struct typed *typed;		      /* what was typed there, in order */
	size_t typed_count, typed_written;
};

/* What somebody typed at the terminal, and the event of it. */
struct typed {
	uint64_t event;
	char name[24]; /* its number */
	char *bytes;
	size_t length;
};

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory while recording");
}

static struct bh_error *scenario_write(struct bh_recorder *recorder)
{
	const struct bh_recorder_config *config = &recorder->config;
	const char *slash = strrchr(config->scenario_path, '/');
	struct bh_trace_input input = {
		.role = BH_TRACE_SCENARIO,
		.kind = BH_INPUT_FILE,
		.was_read = 1,
		.size = config->scenario_size,
		.name = slash ? slash + 1 : config->scenario_path,
		.text = config->scenario_text,
		.text_size = config->scenario_size,
	};

	bh_hash128(input.text, input.text_size, input.hash);
	return bh_trace_write_input(recorder->writer, &input);
}

static struct bh_error *program_write(struct bh_recorder *recorder)
{
	const struct bh_recorder_config *config = &recorder->config;
	struct bh_trace_input input = {
		.role = BH_TRACE_PROGRAM,
		.kind = BH_INPUT_FILE,
		.was_read = 1,
		.name = config->program_path,
		.text = config->program_arguments,
		.text_size = config->program_arguments_size,
	};
	uint8_t *bytes;
	size_t length;

	if (!config->program_path)
		return NULL;
	BH_TRY(bh_file_read("/proc/self/exe", "the scenario's program", PROGRAM_MAX, &bytes,
			    &length));
	bh_hash128(bytes, length, input.hash);
	input.size = length;
	free(bytes);
	return bh_trace_write_input(recorder->writer, &input);
}

static void hex_format(const uint8_t *bytes, size_t length, char *text_ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < length; i++) {
		*text_ret++ = digits[bytes[i] >> 4];
		*text_ret++ = digits[bytes[i] & 15];
	}
	*text_ret = 0;
}

/* The image's drop reasons as FORMAT.md has them; NULL when out of memory. */
static char *reasons_format(const struct bh_image *image, size_t *size_ret)
{
	size_t count;
	const struct bh_drop_reason *reasons = bh_image_drop_reasons(image, &count);
	size_t room = count * (sizeof(reasons->name) + 16) + 1;
	char *text = malloc(room);

	*size_ret = 0;
	for (size_t i = 0; text && i < count; i++)
		*size_ret += (size_t)snprintf(text + *size_ret, room - *size_ret, "%u %s\n",
					      reasons[i].number, reasons[i].name);
	return text;
}

static struct bh_error *image_write(struct bh_recorder *recorder, const char *version,
				    const struct bh_image *image)
{
	struct bh_trace_input input = {
		.role = BH_TRACE_KERNEL, .kind = BH_INPUT_FILE, .was_read = 1, .name = version};
	char build_id[2 * 64 + 1];
	size_t length;

	BH_TRY(bh_file_hash(bh_image_path(image), "a kernel image", KERNEL_IMAGE_MAX, input.hash,
			    &length));
	input.size = length;
	const uint8_t *id = bh_image_build_id(image, &length);
	if (id && length && length <= 64) {
		hex_format(id, length, build_id);
		input.build_id = build_id;
	}
	input.text = reasons_format(image, &input.text_size);
	struct bh_error *error =
		input.text ? bh_trace_write_input(recorder->writer, &input) : out_of_memory();

	free((void *)input.text);
	return error;
}

/* Each version once, in the order of the nodes; the simulation has opened them. */
static struct bh_error *images_write(struct bh_recorder *recorder)
{
	const struct bh_scenario *scenario = recorder->config.scenario;

	for (size_t i = 0; i < scenario->node_count; i++) {
		const char *version = scenario->nodes[i].kernel;
		size_t first = 0;

		while (strcmp(scenario->nodes[first].kernel, version))
			first++;
		if (first == i)
			BH_TRY(image_write(recorder, version,
					   bh_node_image(bh_sim_node(recorder->sim, (uint32_t)i))));
	}
	return NULL;
}

#define BUILD_ID_TEXT (2 * BH_BUILD_ID_MAX + 1)

/* build_id: room for its text, which must live as long as the result. */
static struct bh_trace_input input_convert(const struct bh_input *from,
					   char build_id[BUILD_ID_TEXT])
{
	struct bh_trace_input input = {
		.role = BH_TRACE_FILE,
		.kind = from->kind,
		.was_read = from->was_read != 0,
		.mode = from->mode,
		.size = from->size,
		.number = from->number,
		.name = from->path,
		.text = from->text,
		.text_size = from->text ? from->text_size : 0,
	};

	if (input.was_read)
		memcpy(input.hash, from->hash, sizeof(input.hash));
	if (from->build_id_length) {
		hex_format(from->build_id, from->build_id_length, build_id);
		input.build_id = build_id;
	}
	return input;
}

/* Whether the trace has to be told of the input: it doesn't have it yet, or has it as looked at
 * though it is read by now. */
static int input_is_news(const struct bh_recorder *recorder, size_t index)
{
	const struct bh_input *input = bh_inputs_get(recorder->inputs, index);
	uint8_t state = input->was_read ? INPUT_READ : INPUT_LOOKED_AT;

	return index >= recorder->input_room || recorder->input_states[index] != state;
}

static struct bh_trace_input typed_convert(const struct typed *from)
{
	struct bh_trace_input input = {
		.role = BH_TRACE_TYPED,
		.kind = BH_INPUT_FILE,
		.was_read = 1,
		.size = from->length,
		.number = from->event,
		.name = from->name,
		.text = from->bytes,
		.text_size = from->length,
	};

	bh_hash128(input.text, input.text_size, input.hash);
	return input;
}

static struct bh_error *typed_write(struct bh_recorder *recorder, int is_checkpoint)
{
	for (size_t i = recorder->typed_written; i < recorder->typed_count; i++) {
		struct bh_trace_input input = typed_convert(&recorder->typed[i]);

		BH_TRY(bh_trace_write_input(recorder->writer, &input));
	}
	if (!is_checkpoint)
		recorder->typed_written = recorder->typed_count;
	return NULL;
}

/* Writes the inputs that are news. A checkpoint's are not the trace's, so they stay news. */
static struct bh_error *inputs_write(struct bh_recorder *recorder, int is_checkpoint)
{
	size_t count = bh_inputs_count(recorder->inputs);

	if (count > recorder->input_room) {
		size_t room = 2 * count;
		uint8_t *states = realloc(recorder->input_states, room);

		if (!states)
			return out_of_memory();
		memset(states + recorder->input_room, INPUT_UNKNOWN, room - recorder->input_room);
		recorder->input_states = states;
		recorder->input_room = room;
	}
	for (size_t i = 0; i < count; i++) {
		const struct bh_input *input = bh_inputs_get(recorder->inputs, i);
		char build_id[BUILD_ID_TEXT];

		if (!input_is_news(recorder, i))
			continue;
		struct bh_trace_input converted = input_convert(input, build_id);
		BH_TRY(bh_trace_write_input(recorder->writer, &converted));
		if (!is_checkpoint)
			recorder->input_states[i] = input->was_read ? INPUT_READ : INPUT_LOOKED_AT;
	}
	return typed_write(recorder, is_checkpoint);
}

static struct bh_error *typed_keep(struct bh_recorder *recorder, uint64_t event,
				   const struct bh_terminal_typed *from)
{
	struct typed *larger =
		realloc(recorder->typed, (recorder->typed_count + 1) * sizeof(*larger));

	if (!larger)
		return out_of_memory();
	recorder->typed = larger;
	struct typed *typed = &larger[recorder->typed_count];
	*typed = (struct typed){
		.event = event, .bytes = malloc(from->length + 1), .length = from->length};
	if (!typed->bytes)
		return out_of_memory();
	if (from->length)
		memcpy(typed->bytes, from->data, from->length);
	snprintf(typed->name, sizeof(typed->name), "%" PRIu64, event);
	recorder->typed_count++;
	return NULL;
}

static void show_output(void *arg, const void *data, size_t length)
{
	const struct bh_terminal *next = ((struct bh_recorder *)arg)->config.terminal;

	if (next->output)
		next->output(next->arg, data, length);
}

/* Its text: environment, an empty word, arguments. */
static struct bh_error *terminal_write(struct bh_recorder *recorder)
{
	const struct bh_terminal *terminal = recorder->config.terminal;
	struct bh_trace_input input = {
		.role = BH_TRACE_TERMINAL, .kind = BH_INPUT_FILE, .was_read = 1};
	char *text = NULL;
	size_t size = 0;

	if (!terminal)
		return NULL;
	FILE *stream = open_memstream(&text, &size);
	if (!stream)
		return out_of_memory();
	for (char *const *word = terminal->environment; *word; word++)
		fwrite(*word, 1, strlen(*word) + 1, stream);
	fputc(0, stream);
	for (char *const *word = terminal->argv; *word; word++)
		fwrite(*word, 1, strlen(*word) + 1, stream);
	if (fclose(stream)) {
		free(text);
		return out_of_memory();
	}
	input.name = recorder->config.scenario->nodes[terminal->node].name;
	input.number = terminal->start_ns;
	input.text = text;
	input.size = input.text_size = size;
	bh_hash128(text, size, input.hash);
	struct bh_error *error = bh_trace_write_input(recorder->writer, &input);
	free(text);
	return error;
}

static struct bh_error *chunks_write(struct bh_recorder *recorder)
{
	if (!bh_trace_writer_is_full(recorder->writer))
		return NULL;
	BH_TRY(inputs_write(recorder, 0));
	return bh_trace_writer_flush(recorder->writer);
}

static struct bh_error *checkpoint_write(struct bh_recorder *recorder)
{
	recorder->is_checkpoint_wanted = 0;
	recorder->checkpoint_ns = bh_host_time_ns();
	if (!bh_trace_writer_checkpoint_begin(recorder->writer))
		return NULL;
	struct bh_error *error = inputs_write(recorder, 1);
	struct bh_error *end_error = bh_trace_writer_checkpoint_end(recorder->writer);
	if (error && end_error)
		bh_error_free(end_error);
	return error ? error : end_error;
}

/* Hands on what is typed, and remembers it. */
static enum bh_terminal_answer take_input(void *arg, const struct bh_terminal_moment *moment,
					  struct bh_terminal_typed *typed_ret)
{
	struct bh_recorder *recorder = arg;
	const struct bh_terminal *next = recorder->config.terminal;

	/* The person may think for long: what happened until now is not to be lost meanwhile. */
	if (moment->is_read && !recorder->error &&
	    bh_host_time_ns() - recorder->checkpoint_ns > PROMPT_CHECKPOINT_NS)
		recorder->error = checkpoint_write(recorder);
	enum bh_terminal_answer answer = next->input(next->arg, moment, typed_ret);

	if (answer != BH_TERMINAL_TYPED || recorder->error)
		return answer;
	recorder->error = typed_keep(recorder, moment->next_event, typed_ret);
	return recorder->error ? BH_TERMINAL_LEFT : answer;
}

static void observe_event(void *arg, const struct bh_event *event)
{
	struct bh_recorder *recorder = arg;

	bh_trace_write_event(recorder->writer, event);
	if (event->kind == BH_EVENT_HALT)
		recorder->is_checkpoint_wanted = 1;
	if (recorder->next.event)
		recorder->next.event(recorder->next.arg, event);
}

static void observe_frame(void *arg, const struct bh_event *event, void *data, size_t length)
{
	const struct bh_sim_observer *next = &((struct bh_recorder *)arg)->next;

	next->frame(next->arg, event, data, length);
}

static void observe_output(void *arg, uint32_t node, const char *path, const void *data,
			   size_t length)
{
	const struct bh_sim_observer *next = &((struct bh_recorder *)arg)->next;

	next->output(next->arg, node, path, data, length);
}

/* Calls of between() that take about LOOK_NS, from how long the last ones took. */
static void stride_adapt(struct bh_recorder *recorder, uint64_t now_ns)
{
	uint64_t past_ns = now_ns - recorder->look_ns;

	if (past_ns < LOOK_NS / 2 && recorder->stride < STRIDE_MAX)
		recorder->stride *= 2;
	else if (past_ns > LOOK_NS)
		recorder->stride = past_ns > 8 * LOOK_NS ? 1 : (recorder->stride + 1) / 2;
	recorder->look_ns = now_ns;
	recorder->calls = 0;
}

static struct bh_error *snapshot_look(struct bh_recorder *recorder, uint64_t now_ns)
{
	const struct bh_recorder_config *config = &recorder->config;
	int is_restored = 0;

	if (!recorder->snapshots)
		return NULL;
	BH_TRY(bh_snapshot_keeper_look(recorder->snapshots, recorder->sim, now_ns, &is_restored));
	if (!is_restored)
		return NULL;
	config->restored(config->restored_arg, recorder->sim, recorder->inputs);
	abort();
}

/* Non-zero: the run must end. */
static int look(struct bh_recorder *recorder)
{
	uint64_t now_ns = bh_host_time_ns();

	stride_adapt(recorder, now_ns);
	if (recorder->error)
		return 1;
	recorder->error = chunks_write(recorder);
	if (!recorder->error &&
	    (recorder->is_checkpoint_wanted || now_ns - recorder->checkpoint_ns > CHECKPOINT_NS))
		recorder->error = checkpoint_write(recorder);
	if (!recorder->error)
		recorder->error = snapshot_look(recorder, now_ns);
	return recorder->error != NULL;
}

static void observe_files(void *arg, uint32_t node, struct bh_posix_node *posix)
{
	const struct bh_sim_observer *next = &((struct bh_recorder *)arg)->next;

	next->files(next->arg, node, posix);
}

static int observe_between(void *arg)
{
	struct bh_recorder *recorder = arg;

	if (++recorder->calls < recorder->stride && !recorder->is_checkpoint_wanted)
		return 0;
	if (look(recorder))
		return 1;
	return recorder->next.between ? recorder->next.between(recorder->next.arg) : 0;
}

/* In a signal handler: the process is about to die. */
static void say_last_words(void *arg)
{
	struct bh_recorder *recorder = arg;
	size_t count = bh_inputs_count(recorder->inputs);

	for (size_t i = recorder->typed_written; i < recorder->typed_count; i++) {
		struct bh_trace_input input = typed_convert(&recorder->typed[i]);
		if (bh_trace_last_words_input(recorder->writer, &input))
			break;
	}
	for (size_t i = 0; i < count; i++) {
		if (!input_is_news(recorder, i))
			continue;
		char build_id[BUILD_ID_TEXT];
		struct bh_trace_input input =
			input_convert(bh_inputs_get(recorder->inputs, i), build_id);
		if (bh_trace_last_words_input(recorder->writer, &input))
			break;
	}
	bh_trace_last_words(recorder->writer);
}

static struct bh_error *trace_begin(struct bh_recorder *recorder)
{
	const struct bh_scenario *scenario = recorder->config.scenario;
	const char **names = calloc(scenario->node_count + 1, sizeof(*names));
	struct bh_trace_start start = {
		.scenario_name = scenario->name,
		.seed = scenario->seed,
		.node_names = names,
		.node_count = scenario->node_count,
	};

	if (!names)
		return out_of_memory();
	for (size_t i = 0; i < scenario->node_count; i++)
		names[i] = scenario->nodes[i].name;
	struct bh_error *error =
		bh_trace_writer_create(recorder->config.trace_path, &start, &recorder->writer);
	free(names);
	BH_TRY(error);
	BH_TRY(scenario_write(recorder));
	BH_TRY(program_write(recorder));
	BH_TRY(terminal_write(recorder));
	BH_TRY(images_write(recorder));
	/* So that whatever kills the recording, the trace says what was recorded. */
	return bh_trace_writer_flush_inputs(recorder->writer);
}

static struct bh_error *sim_create(struct bh_recorder *recorder)
{
	const struct bh_recorder_config *config = &recorder->config;
	const struct bh_sim_observer *next = &config->observer;

	BH_TRY(bh_inputs_create_live(&recorder->inputs));
	bh_inputs_set_scenario(recorder->inputs,
			       config->program_path ? config->program_path : config->scenario_path);
	BH_TRY(bh_inputs_hide(recorder->inputs, config->trace_path));
	if (config->output_folder)
		BH_TRY(bh_output_hide(config->output_folder, config->scenario, recorder->inputs));
	if (config->terminal) {
		recorder->terminal = *config->terminal;
		recorder->terminal.arg = recorder;
		recorder->terminal.input = take_input;
		recorder->terminal.output = show_output;
	}
	const struct bh_sim_config sim_config = {
		.scenario = config->scenario,
		.build = config->build,
		.terminal = config->terminal ? &recorder->terminal : NULL,
		.inputs = recorder->inputs,
		.find_kernel = config->find_kernel,
		.find_kernel_arg = config->find_kernel_arg,
		.describes_failures = 1,
		.spin_limit_s = config->spin_limit_s,
		.observer = {.arg = recorder,
			     .event = observe_event,
			     .frame = next->frame ? observe_frame : NULL,
			     .output = next->output ? observe_output : NULL,
			     .files = next->files ? observe_files : NULL,
			     .between = observe_between},
	};
	return bh_sim_create(&sim_config, &recorder->sim);
}

struct bh_error *bh_recorder_create(const struct bh_recorder_config *config,
				    struct bh_recorder **recorder_ret)
{
	struct bh_recorder *recorder = aligned_alloc(64, (sizeof(*recorder) + 63) & ~63ul);

	if (!recorder)
		return out_of_memory();
	memset(recorder, 0, sizeof(*recorder));
	recorder->config = *config;
	recorder->next = config->observer;
	recorder->stride = 1;
	struct bh_error *error = sim_create(recorder);
	if (error) {
		bh_recorder_destroy(recorder);
		return error;
	}
	*recorder_ret = recorder;
	return NULL;
}

struct bh_error *bh_recorder_run(struct bh_recorder *recorder,
				 const struct bh_sim_result **result_ret)
{
	const struct bh_recorder_config *config = &recorder->config;

	BH_TRY(trace_begin(recorder));
	recorder->checkpoint_ns = bh_host_time_ns();
	if (config->restored && !config->terminal && !config->program_path)
		recorder->snapshots = bh_snapshot_keeper_create(config->snapshot_ns);
	bh_last_words_set(say_last_words, recorder);
	struct bh_error *sim_error = bh_sim_run(recorder->sim, &recorder->result);
	bh_last_words_set(NULL, NULL);
	BH_TRY(sim_error);
	if (recorder->error) {
		struct bh_error *error = recorder->error;

		recorder->error = NULL;
		return error;
	}
	*result_ret = recorder->result;
	return NULL;
}

struct bh_error *bh_recorder_finish(struct bh_recorder *recorder, const char *summary_json)
{
	if (recorder->result->is_abandoned)
		return checkpoint_write(recorder);
	BH_TRY(inputs_write(recorder, 0));
	BH_TRY(bh_trace_writer_finish(recorder->writer, summary_json, recorder->result->digest,
				      recorder->result->node_digests));
	if (recorder->snapshots) {
		uint8_t key[16];
		bh_trace_writer_key(recorder->writer, key);
		bh_snapshot_keeper_finish(recorder->snapshots, key);
	}
	return NULL;
}

void bh_recorder_destroy(struct bh_recorder *recorder)
{
	if (!recorder)
		return;
	bh_sim_destroy(recorder->sim);
	bh_inputs_destroy(recorder->inputs);
	bh_trace_writer_destroy(recorder->writer);
	bh_error_free(recorder->error);
	for (size_t i = 0; i < recorder->typed_count; i++)
		free(recorder->typed[i].bytes);
	free(recorder->typed);
	free(recorder->input_states);
	bh_snapshot_keeper_destroy(recorder->snapshots);
	free(recorder);
}
