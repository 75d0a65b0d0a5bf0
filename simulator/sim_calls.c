/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The functions of a scenario that is a C program, called while the run goes on, and what they may
 * do to it: the bh_run_* of include/backhop/scenario.h. Calls at a time and those about programs
 * that ended are made by the main loop between two events, on the simulator's own stack. A frame
 * that a node sends is shown while the node has the CPU; its stack is small, so that call gets
 * another one.
 *
 * A call that only looks leaves no trace: it takes no part in the event queue, begins no event, and
 * doesn't keep the run going. Called by sim.c, sim_node.c and sim_process.c.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "simulator/sim_internal.h"

#define CALL_STACK_SIZE	 (256u << 10)
#define CALLS_AT_ONE_MAX 1000000u
#define OUTPUT_MAX	 (1u << 20)

/* What is allowed now. */
enum permission { PERMIT_LOOKING, PERMIT_ACTING };

struct inspector {
	uint32_t node, device;
	bh_frame_fn *inspect;
	void *arg;
};

/* A program of which somebody wants to know the end. */
struct bh_sim_watch {
	bh_finished_fn *finished;
	void *arg;
	bh_sysctl_fn *got; /* instead: bh_run_sysctl_get() */
	char *output;	   /* what it wrote to stdout so far */
	size_t output_size, output_room;
	uint64_t end_event; /* the event with which it ended */
	struct bh_sim_watch *next;
};

struct bh_run {
	struct bh_sim *sim;
	const struct bh_build *build;
	struct bh_build_call *calls; /* sorted; those before `done` were made */
	size_t call_count, call_room, done;
	uint64_t call_order;
	size_t acting_left; /* calls to come that may act */
	unsigned int calls_at_now;
	struct inspector *inspectors;
	size_t inspector_count;
	struct bh_sim_watch *watches;
	struct bh_sim_process *ended_first, *ended_last;
	struct bh_process **programs; /* started by calls */
	size_t program_count;
	struct bh_rng rng;
	enum permission permission;
	const char *what; /* the kind of call, for messages */
	uint64_t cause;	  /* the event after which it is made, 0: the scenario */
	uint64_t actions;
	void *stack; /* for calls on a node's time */
};

/* --- life --- */

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory for the scenario's calls");
}

static int compare_calls(const void *a, const void *b)
{
	const struct bh_build_call *left = a, *right = b;

	if (left->at_ns != right->at_ns)
		return left->at_ns < right->at_ns ? -1 : 1;
	return left->order < right->order ? -1 : left->order > right->order;
}

static struct bh_error *copy_calls(struct bh_run *run)
{
	const struct bh_build *build = run->build;

	run->call_room = build->call_count + 16;
	run->calls = calloc(run->call_room, sizeof(*run->calls));
	if (!run->calls)
		return out_of_memory();
	run->call_count = run->call_order = build->call_count;
	if (run->call_count)
		memcpy(run->calls, build->calls, run->call_count * sizeof(*run->calls));
	qsort(run->calls, run->call_count, sizeof(*run->calls), compare_calls);
	for (size_t i = 0; i < run->call_count; i++)
		run->acting_left += !run->calls[i].is_look;
	return NULL;
}

/* The device's index on its node, or -1. */
static int find_device(const struct bh_sim *sim, const char *name, uint32_t *node_ret)
{
	const char *colon = strrchr(name, ':');

	for (uint32_t id = 0; colon && id < sim->node_count; id++) {
		const struct bh_boot *boot = bh_node_boot_record(sim->nodes[id].kernel);
		const char *node = sim->nodes[id].scenario->name;

		if (strlen(node) != (size_t)(colon - name) ||
		    strncmp(node, name, strlen(node)) != 0)
			continue;
		for (unsigned int i = 0; i < boot->device_count; i++) {
			if (strcmp(boot->devices[i].name, colon + 1) == 0) {
				*node_ret = id;
				return (int)i;
			}
		}
	}
	return -1;
}

static struct bh_error *resolve_inspectors(struct bh_run *run)
{
	const struct bh_build *build = run->build;

	run->inspectors = calloc(build->inspector_count + 1, sizeof(*run->inspectors));
	if (!run->inspectors)
		return out_of_memory();
	for (size_t i = 0; i < build->inspector_count; i++) {
		const struct bh_build_inspector *from = &build->inspectors[i];
		struct inspector *to = &run->inspectors[run->inspector_count++];
		int device = find_device(run->sim, from->device, &to->node);

		if (device < 0)
			return bh_error_new(
				BH_ERR_INPUT,
				"%s: bh_build_inspect: no link ends at \"%.80s\"; write node and "
				"device, such as \"h1:eth0\"",
				build->program, from->device);
		to->device = (uint32_t)device;
		to->inspect = from->inspect;
		to->arg = from->arg;
	}
	return NULL;
}

static struct bh_sim_watch *watch(struct bh_run *run, struct bh_sim_process *process)
{
	struct bh_sim_watch *created = calloc(1, sizeof(*created));

	if (!created) {
		bh_sim_abort(run->sim, out_of_memory());
		return NULL;
	}
	created->next = run->watches;
	run->watches = created;
	process->watch = created;
	return created;
}

static void watch_programs(struct bh_run *run)
{
	for (size_t i = 0; i < run->build->finish_count; i++) {
		const struct bh_build_finish *finish = &run->build->finishes[i];
		struct bh_sim_node *node = &run->sim->nodes[finish->node];
		size_t number = node->setup_count + finish->number;

		assert(number < node->process_count);
		struct bh_sim_watch *watched = watch(run, &node->processes[number]);

		if (!watched)
			return;
		watched->finished = finish->finished;
		watched->arg = finish->arg;
	}
}

static struct bh_error *fill(struct bh_run *run)
{
	struct bh_sim *sim = run->sim;

	BH_TRY(copy_calls(run));
	BH_TRY(resolve_inspectors(run));
	if (run->inspector_count) {
		run->stack = mmap(NULL, CALL_STACK_SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (run->stack == MAP_FAILED) {
			run->stack = NULL;
			return out_of_memory();
		}
	}
	bh_rng_init(&run->rng, sim->config.scenario->seed, "calls", sim->config.scenario->name);
	watch_programs(run);
	sim->unfinished += run->acting_left;
	return NULL;
}

struct bh_error *bh_sim_calls_create(struct bh_sim *sim)
{
	if (!sim->config.build)
		return NULL;
	struct bh_run *run = sim->run = calloc(1, sizeof(*run));

	if (!run)
		return out_of_memory();
	run->sim = sim;
	run->build = sim->config.build;
	return fill(run);
}

void bh_sim_calls_destroy(struct bh_sim *sim)
{
	struct bh_run *run = sim->run;

	if (!run)
		return;
	while (run->watches) {
		struct bh_sim_watch *watched = run->watches;

		run->watches = watched->next;
		free(watched->output);
		free(watched);
	}
	for (size_t i = 0; i < run->program_count; i++) {
		bh_process_release(run->programs[i]);
		free(run->programs[i]);
	}
	if (run->stack)
		munmap(run->stack, CALL_STACK_SIZE);
	free(run->programs);
	free(run->inspectors);
	free(run->calls);
	free(run);
	sim->run = NULL;
}

/* --- calls at a time --- */

static void make_call(struct bh_run *run, bh_call_fn *call, void *arg, enum permission permission,
		      const char *what)
{
	run->permission = permission;
	run->what = what;
	run->cause = 0;
	call(run, arg);
	run->permission = PERMIT_LOOKING;
}

static void count_call(struct bh_run *run, uint64_t at_ns)
{
	struct bh_sim *sim = run->sim;

	if (at_ns > sim->now_ns)
		run->calls_at_now = 0;
	if (++run->calls_at_now < CALLS_AT_ONE_MAX)
		return;
	bh_sim_fail(sim, "standstill", BH_NO_NODE, sim->result.events,
		    "the scenario's program made %u calls without a step of the virtual clock",
		    CALLS_AT_ONE_MAX);
	sim->is_over = 1;
}

int bh_sim_calls_due(struct bh_sim *sim, uint64_t next_ns)
{
	struct bh_run *run = sim->run;

	if (!run || run->done == run->call_count)
		return 0;
	const struct bh_build_call call = run->calls[run->done];

	if (call.at_ns > next_ns || call.at_ns >= sim->stop_ns)
		return 0;
	/* Nothing else is to come: what only looks must not keep the clock going. */
	if (next_ns == UINT64_MAX && !run->acting_left)
		return 0;
	run->done++;
	count_call(run, call.at_ns);
	if (call.at_ns > sim->now_ns)
		sim->now_ns = call.at_ns;
	bh_gate.vtime_ns = sim->now_ns;
	if (call.is_look) {
		make_call(run, call.call, call.arg, PERMIT_LOOKING, "bh_build_look");
		return 1;
	}
	run->acting_left--;
	make_call(run, call.call, call.arg, PERMIT_ACTING, "bh_build_schedule");
	bh_sim_one_finished(sim);
	return 1;
}

void bh_sim_calls_end(struct bh_sim *sim)
{
	struct bh_run *run = sim->run;

	for (size_t i = 0; run && i < run->build->end_call_count; i++)
		make_call(run, run->build->end_calls[i].call, run->build->end_calls[i].arg,
			  PERMIT_LOOKING, "bh_build_at_end");
}

/* --- frames --- */

struct inspection {
	struct bh_run *run;
	const struct inspector *inspector;
	const struct bh_frame_info *frame;
	int result;
};

static void inspect_one(void *arg)
{
	struct inspection *inspection = arg;

	inspection->result = inspection->inspector->inspect(inspection->run, inspection->frame,
							    inspection->inspector->arg);
}

/*
 * Calls function(arg) on the stack that ends at top. The frame pointer still leads to the caller,
 * so backtraces do too.
 */
static void call_on_stack(void (*function)(void *), void *arg, void *top)
{
	__asm__ volatile("movq %%rsp, %%rbx\n\t"
			 "movq %[top], %%rsp\n\t"
			 "callq *%[function]\n\t"
			 "movq %%rbx, %%rsp"
			 : "+D"(arg)
			 : [top] "r"(top), [function] "r"(function)
			 : "rbx", "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory",
			   "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
			   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

int bh_sim_calls_frame(struct bh_sim *sim, const struct bh_event *event, const void *data,
		       size_t length)
{
	struct bh_run *run = sim->run;
	struct inspection inspection = {.run = run};

	for (size_t i = 0; run && i < run->inspector_count && !inspection.result; i++) {
		const struct inspector *inspector = &run->inspectors[i];

		if (inspector->node != event->node || inspector->device != event->device)
			continue;
		const struct bh_boot *boot = bh_node_boot_record(sim->nodes[event->node].kernel);
		const struct bh_frame_info frame = {
			.node = event->node,
			.device = boot->devices[event->device].name,
			.is_received = event->kind == BH_EVENT_RX,
			.event = event->event,
			.packet = event->packet,
			.hop = event->hop,
			.data = data,
			.length = length,
		};

		run->what = "bh_build_inspect";
		inspection.inspector = inspector;
		inspection.frame = &frame;
		if (frame.is_received)
			inspect_one(&inspection);
		else
			call_on_stack(inspect_one, &inspection,
				      (char *)run->stack + CALL_STACK_SIZE);
	}
	return inspection.result != 0;
}

/* --- programs that ended --- */

void bh_sim_calls_output(struct bh_sim_node *node, int pid, const void *data, size_t length)
{
	for (size_t i = node->setup_count; i < node->process_count; i++) {
		struct bh_sim_process *process = &node->processes[i];
		struct bh_sim_watch *watched = process->watch;

		if (!watched || process->state != BH_SIM_PROCESS_RUNNING ||
		    process->result->pid != pid)
			continue;
		if (length > OUTPUT_MAX - watched->output_size)
			length = OUTPUT_MAX - watched->output_size;
		if (watched->output_room - watched->output_size <= length) {
			size_t room = 2 * (watched->output_size + length) + 256;
			char *larger = realloc(watched->output, room);

			if (!larger) {
				bh_sim_abort(node->sim, out_of_memory());
				return;
			}
			watched->output = larger;
			watched->output_room = room;
		}
		memcpy(watched->output + watched->output_size, data, length);
		watched->output_size += length;
		watched->output[watched->output_size] = '\0';
		return;
	}
}

void bh_sim_calls_process_ended(struct bh_sim *sim, struct bh_sim_process *process)
{
	struct bh_run *run = sim->run;

	if (!run || !process->watch)
		return;
	process->watch->end_event = sim->result.events;
	process->next_ended = NULL;
	if (run->ended_last)
		run->ended_last->next_ended = process;
	else
		run->ended_first = process;
	run->ended_last = process;
}

static void tell_value(struct bh_run *run, const struct bh_sim_watch *watched,
		       const struct bh_program_end *end)
{
	char *value = end->exit_status == 0 ? watched->output : NULL;

	if (value)
		value[strcspn(value, "\n")] = '\0';
	watched->got(run, end->node, value, watched->arg);
}

static void tell_end(struct bh_run *run, const struct bh_sim_process *process)
{
	const struct bh_process_result *result = process->result;
	const struct bh_sim_watch *watched = process->watch;
	const struct bh_program_end end = {
		.node = result->node,
		.pid = result->pid,
		.exit_status = result->ended && !result->signal ? result->exit_status : -1,
		.signal = result->signal,
		.output = watched->output ? watched->output : "",
		.output_size = watched->output_size,
	};

	run->permission = PERMIT_ACTING;
	run->what = "a finished callback";
	run->cause = watched->end_event;
	if (watched->got)
		tell_value(run, watched, &end);
	else
		watched->finished(run, &end, watched->arg);
	run->permission = PERMIT_LOOKING;
}

void bh_sim_calls_ended(struct bh_sim *sim)
{
	struct bh_run *run = sim->run;

	while (run && run->ended_first && !sim->error) {
		const struct bh_sim_process *process = run->ended_first;

		run->ended_first = process->next_ended;
		if (!run->ended_first)
			run->ended_last = NULL;
		tell_end(run, process);
	}
}

/* --- looking --- */

uint64_t bh_run_now_ns(const struct bh_run *run)
{
	return run->sim->now_ns;
}

uint64_t bh_run_event(const struct bh_run *run)
{
	return run->sim->result.events;
}

uint32_t bh_run_node_count(const struct bh_run *run)
{
	return (uint32_t)run->sim->node_count;
}

const char *bh_run_node_name(const struct bh_run *run, uint32_t node)
{
	return node < run->sim->node_count ? run->sim->nodes[node].scenario->name : NULL;
}

uint64_t bh_run_random(struct bh_run *run)
{
	return bh_rng_next(&run->rng);
}

void bh_run_fail(struct bh_run *run, uint32_t node, const char *format, ...)
{
	struct bh_sim *sim = run->sim;
	char sentence[400];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	bh_sim_fail(sim, "scenario", node < sim->node_count ? node : BH_NO_NODE, sim->result.events,
		    "%s", sentence);
}

/* --- acting --- */

static int may_act(struct bh_run *run, const char *function)
{
	if (run->permission == PERMIT_ACTING)
		return 1;
	bh_run_fail(run, BH_NODE_NONE,
		    "%s was called from %s, which may only look; use bh_build_schedule", function,
		    run->what);
	return 0;
}

/* An action's own event, after which it happens. Its hash is that of what is done. */
static uint64_t begin_action(struct bh_run *run, uint32_t node, const char *text, size_t length)
{
	struct bh_sim *sim = run->sim;
	struct bh_event event = {
		.kind = BH_EVENT_ACTION,
		.cause = run->cause,
		.value = bh_sim_first_free_action(sim) + run->actions++,
		.hash = bh_event_hash(text, length),
		.node = node,
		.device = BH_NO_DEVICE,
		.length = (uint32_t)length,
	};

	bh_sim_event_begin(sim, &event);
	sim->handling = event.event;
	return event.event;
}

void bh_run_stop(struct bh_run *run)
{
	if (!may_act(run, "bh_run_stop"))
		return;
	begin_action(run, BH_NO_NODE, "stop", strlen("stop"));
	run->sim->is_over = run->sim->is_stopped = 1;
}

void bh_run_schedule(struct bh_run *run, uint64_t at_ns, bh_call_fn *call, void *arg)
{
	struct bh_build_call added = {
		.at_ns = at_ns > run->sim->now_ns ? at_ns : run->sim->now_ns,
		.order = run->call_order++,
		.call = call,
		.arg = arg,
	};
	size_t place;

	if (!may_act(run, "bh_run_schedule"))
		return;
	if (run->call_count == run->call_room) {
		struct bh_build_call *larger =
			realloc(run->calls, 2 * run->call_room * sizeof(*larger));

		if (!larger) {
			bh_sim_abort(run->sim, out_of_memory());
			return;
		}
		run->calls = larger;
		run->call_room *= 2;
	}
	for (place = run->call_count; place > run->done; place--) {
		if (compare_calls(&run->calls[place - 1], &added) < 0)
			break;
		run->calls[place] = run->calls[place - 1];
	}
	run->calls[place] = added;
	run->call_count++;
	run->acting_left++;
	bh_sim_one_more(run->sim);
}

/* The program as the scenario's parser understands it; NULL after a failure. It lives as long as
 * the run. */
static const struct bh_process *parse_program(struct bh_run *run, uint32_t node,
					      const struct bh_text *text)
{
	const struct bh_scenario *scenario = run->sim->config.scenario;
	struct bh_process *process = calloc(1, sizeof(*process));
	struct bh_process **larger =
		realloc(run->programs, (run->program_count + 1) * sizeof(*larger));

	if (larger)
		run->programs = larger;
	if (!process || !larger || text->no_memory) {
		free(process);
		bh_sim_abort(run->sim, out_of_memory());
		return NULL;
	}
	struct bh_error *error = bh_scenario_parse_process(
		text->bytes, text->length, "bh_run_program", scenario->stop_ns, process);

	if (error) {
		bh_run_fail(run, node, "%s", error->message);
		bh_error_free(error);
		bh_process_release(process);
		free(process);
		return NULL;
	}
	run->programs[run->program_count++] = process;
	return process;
}

static struct bh_sim_process *start(struct bh_run *run, uint32_t id,
				    const struct bh_program *program, const char *function)
{
	struct bh_sim *sim = run->sim;
	const char *fault = bh_program_fault(program);
	struct bh_text text = {0};

	if (!may_act(run, function))
		return NULL;
	if (id >= sim->node_count) {
		bh_run_fail(run, BH_NODE_NONE, "%s: there is no node %" PRIu32 ", only 0 to %zu",
			    function, id, sim->node_count - 1);
		return NULL;
	}
	if (fault) {
		bh_run_fail(run, id, "%s: %s", function, fault);
		return NULL;
	}
	bh_text_add_program(&text, program, sim->now_ns);
	const struct bh_process *process = parse_program(run, id, &text);
	struct bh_sim_process *started = NULL;

	if (process) {
		uint64_t action = begin_action(run, id, text.bytes, text.length);

		started = bh_sim_program_add(&sim->nodes[id], process, action);
		if (!started && !sim->error)
			bh_run_fail(run, id, "%s: %u programs at most can be started on a node so",
				    function, BH_SIM_PROGRAMS_ADDED_MAX);
	}
	bh_text_free(&text);
	return started;
}

void bh_run_program(struct bh_run *run, uint32_t node, const struct bh_program *program)
{
	struct bh_sim_process *process = start(run, node, program, "bh_run_program");
	struct bh_sim_watch *watched = process && program->finished ? watch(run, process) : NULL;

	if (watched) {
		watched->finished = program->finished;
		watched->arg = program->arg;
	}
}

void bh_run_ip(struct bh_run *run, uint32_t node, const char *arguments)
{
	const struct bh_program program = {.path = "ip", .args = arguments, .must_end = 1};

	start(run, node, &program, "bh_run_ip");
}

void bh_run_sysctl_set(struct bh_run *run, uint32_t node, const char *key, const char *value)
{
	char assignment[512];
	const char *const words[] = {"-qw", assignment, NULL};
	const struct bh_program program = {.path = "sysctl", .argv = words, .must_end = 1};

	snprintf(assignment, sizeof(assignment), "%s=%s", key, value);
	start(run, node, &program, "bh_run_sysctl_set");
}

void bh_run_sysctl_get(struct bh_run *run, uint32_t node, const char *key, bh_sysctl_fn *got,
		       void *arg)
{
	const char *const words[] = {"-n", key, NULL};
	const struct bh_program program = {.path = "sysctl", .argv = words, .must_end = 1};
	struct bh_sim_process *process = start(run, node, &program, "bh_run_sysctl_get");
	struct bh_sim_watch *watched = process ? watch(run, process) : NULL;

	if (watched) {
		watched->got = got;
		watched->arg = arg;
	}
}
