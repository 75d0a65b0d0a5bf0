/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The programs of a scenario: started at their time, watched to their end, compared with what was
 * expected of them. Setup lines run first, one after the other; a node's other programs wait for
 * them. The callbacks run on a stack of the node, see host_abi.h and posix/posix.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/hash.h"
#include "simulator/program_check.h"
#include "simulator/sim_internal.h"

static const char *const default_environment[] = {
	"PATH=" BH_PROGRAM_PATH,
	"HOME=/tmp",
	"USER=root",
	"LOGNAME=root",
	"SHELL=/bin/sh",
	"LANG=C",
	"TERM=dumb",
	/* Files have no times, so Python takes no compiled file for valid, and would leave its own
	 * beside each module. */
	"PYTHONDONTWRITEBYTECODE=1",
};
#define DEFAULT_ENVIRONMENT_COUNT (sizeof(default_environment) / sizeof(default_environment[0]))

/* --- set-up --- */

static int is_same_variable(const char *a, const char *b)
{
	size_t length = strcspn(a, "=");

	return strncmp(a, b, length + 1) == 0;
}

/* The strings belong to the scenario or are constants: only the array is allocated. */
static char **environment_create(const struct bh_process *process)
{
	size_t count = 0, length = 0;

	while (process->environment && process->environment[count])
		count++;
	char **environment = calloc(DEFAULT_ENVIRONMENT_COUNT + count + 1, sizeof(*environment));

	if (!environment)
		return NULL;
	for (size_t i = 0; i < DEFAULT_ENVIRONMENT_COUNT; i++) {
		int is_replaced = 0;

		for (size_t j = 0; j < count; j++)
			is_replaced |=
				is_same_variable(default_environment[i], process->environment[j]);
		if (!is_replaced)
			environment[length++] = (char *)default_environment[i];
	}
	for (size_t j = 0; j < count; j++)
		environment[length++] = process->environment[j];
	return environment;
}

static char *join_words(char *const *words)
{
	size_t length = 1;

	for (size_t i = 0; words[i]; i++)
		length += strlen(words[i]) + 1;
	char *line = calloc(1, length);

	for (size_t i = 0; line && words[i]; i++) {
		if (i > 0)
			strcat(line, " ");
		strcat(line, words[i]);
	}
	return line;
}

static struct bh_error *process_create(struct bh_sim_process *process, uint32_t node,
				       const struct bh_process *scenario)
{
	struct bh_process_result *result = process->result;

	process->scenario = scenario;
	process->environment = environment_create(scenario);
	process->has_stop = scenario->stop_ns != 0;
	result->node = node;
	result->path = strdup(scenario->argv[0]);
	result->command = join_words(scenario->argv);
	if (!process->environment || !result->path || !result->command)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	return NULL;
}

struct bh_error *bh_sim_processes_create(struct bh_sim *sim)
{
	const struct bh_scenario *scenario = sim->config.scenario;
	size_t room = sim->config.build ? BH_SIM_PROGRAMS_ADDED_MAX : sim->config.terminal ? 1 : 0;
	size_t count = 0, index = 0;

	for (size_t i = 0; i < scenario->node_count; i++)
		count += scenario->nodes[i].process_count + room;
	sim->processes = calloc(count + 1, sizeof(*sim->processes));
	sim->result.processes = calloc(count + 1, sizeof(*sim->result.processes));
	if (!sim->processes || !sim->result.processes)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	sim->result.process_count = sim->process_slots = count;
	for (size_t i = 0; i < scenario->node_count; i++) {
		struct bh_sim_node *node = &sim->nodes[i];

		node->processes = &sim->processes[index];
		node->process_count = node->scenario->process_count;
		node->process_room = node->process_count + room;
		for (size_t j = 0; j < node->process_room; j++, index++) {
			sim->processes[index].index = index;
			sim->processes[index].result = &sim->result.processes[index];
		}
		for (size_t j = 0; j < node->process_count; j++) {
			struct bh_sim_process *process = &node->processes[j];

			process->number = sim->program_count++;
			BH_TRY(process_create(process, node->id, &node->scenario->processes[j]));
			if (process->scenario->is_setup)
				node->setup_count++;
			else
				sim->unfinished++;
		}
	}
	sim->has_programs = sim->unfinished > 0;
	return NULL;
}

struct bh_sim_process *bh_sim_program_add(struct bh_sim_node *node,
					  const struct bh_process *scenario, uint64_t cause)
{
	struct bh_sim *sim = node->sim;
	struct bh_sim_process *process = &node->processes[node->process_count];

	if (node->process_count == node->process_room)
		return NULL;
	struct bh_error *error = process_create(process, node->id, scenario);

	if (error) {
		bh_sim_abort(sim, error);
		return NULL;
	}
	node->process_count++;
	process->number = sim->program_count++;
	process->cause = cause;
	sim->has_programs = 1;
	bh_sim_one_more(sim);
	bh_sim_program_schedule(node);
	return process;
}

void bh_sim_results_pack(struct bh_sim *sim)
{
	size_t count = 0;

	for (size_t i = 0; i < sim->result.process_count; i++) {
		if (!sim->result.processes[i].path)
			continue;
		struct bh_process_result packed = sim->result.processes[i];

		memset(&sim->result.processes[i], 0, sizeof(packed));
		sim->result.processes[count++] = packed;
	}
	sim->result.process_count = count;
}

void bh_sim_processes_destroy(struct bh_sim *sim)
{
	for (size_t i = 0; i < sim->process_slots; i++)
		free(sim->processes[i].environment);
	for (size_t i = 0; i < sim->result.process_count; i++) {
		free(sim->result.processes[i].path);
		free(sim->result.processes[i].command);
	}
	free(sim->processes);
	free(sim->result.processes);
}

/* --- starting --- */

/* What a node has to do for its programs next. */
struct next {
	struct bh_sim_process *process; /* NULL: nothing */
	int is_stop;			/* its stop signal; else its start */
	uint64_t time_ns;
};

static void consider(struct next *next, struct bh_sim_process *process, int is_stop,
		     uint64_t time_ns)
{
	if (next->process && next->time_ns <= time_ns)
		return;
	*next = (struct next){process, is_stop, time_ns};
}

static struct next next_program(struct bh_sim_node *node)
{
	struct next next = {0};

	if (node->setup_done < node->setup_count) {
		if (node->processes[node->setup_done].state == BH_SIM_PROCESS_WAITING)
			consider(&next, &node->processes[node->setup_done], 0, 0);
	} else {
		for (size_t i = node->setup_count; i < node->process_count; i++) {
			struct bh_sim_process *process = &node->processes[i];

			if (process->state == BH_SIM_PROCESS_WAITING)
				consider(&next, process, 0, process->scenario->start_ns);
			else if (process->state == BH_SIM_PROCESS_RUNNING && process->has_stop)
				consider(&next, process, 1, process->scenario->stop_ns);
		}
	}
	if (next.time_ns < node->sim->now_ns)
		next.time_ns = node->sim->now_ns;
	return next;
}

void bh_sim_program_schedule(struct bh_sim_node *node)
{
	struct bh_sim *sim = node->sim;
	struct next next = next_program(node);

	if (node->is_dead || !next.process)
		return;
	/* A start that had to wait was made possible by what happens now, the others are the
	 * scenario's. */
	int has_waited = !next.is_stop && node->setup_done > 0 &&
			 (next.process->scenario->is_setup ||
			  next.process->scenario->start_ns < sim->now_ns);

	node->program_cause = has_waited ? sim->result.events : 0;
	bh_event_queue_set(sim->queue, node->program_slot, next.time_ns, sim->sequence++);
}

void bh_sim_program_start(struct bh_sim_node *node)
{
	struct bh_sim *sim = node->sim;
	struct next next = next_program(node);
	struct bh_sim_process *process = next.process;

	bh_event_queue_clear(sim->queue, node->program_slot);
	if (!process)
		return;
	if (next.time_ns > sim->now_ns) {
		/* What was due has ended by itself. */
		bh_sim_program_schedule(node);
		return;
	}
	struct bh_event event = {
		.kind = BH_EVENT_SPAWN,
		.cause = process->cause && !next.is_stop ? process->cause : node->program_cause,
		.value = process->number | (next.is_stop ? BH_SPAWN_STOPS : 0),
		.node = node->id,
		.device = BH_NO_DEVICE,
	};

	bh_sim_event_begin(sim, &event);
	sim->handling = event.event;
	if (next.is_stop) {
		process->has_stop = 0;
		node->stopping = process;
	} else {
		process->state = BH_SIM_PROCESS_STARTING;
		process->spawn_event = event.event;
		process->result->start_ns = sim->now_ns;
		node->spawning = process;
	}
	if (!process->scenario->is_setup)
		bh_sim_program_schedule(node);
	bh_sim_node_resume(node, BH_IRQ_SPAWN);
}

int bh_sim_spawn_next(void *host, struct bh_spawn *spawn_ret)
{
	struct bh_sim_node *node = host;
	struct bh_sim_process *process = node->spawning ? node->spawning : node->stopping;

	if (node->is_stopping_all) {
		node->is_stopping_all = 0;
		*spawn_ret = (struct bh_spawn){.signal = SIGTERM};
		return 1;
	}
	if (!process)
		return 0;
	if (!node->spawning) {
		node->stopping = NULL;
		*spawn_ret = (struct bh_spawn){.signal = process->scenario->stop_signal,
					       .pid = process->result->pid};
		return 1;
	}
	node->spawning = NULL;
	node->started = process;
	*spawn_ret = (struct bh_spawn){
		.id = process->index,
		.path = process->scenario->argv[0],
		.argv = (const char *const *)process->scenario->argv,
		.envp = (const char *const *)process->environment,
		.cwd = "/",
		.uid = process->scenario->uid,
		.gid = process->scenario->gid,
		.stdin_data = process->scenario->stdin_text,
		.stdin_size =
			process->scenario->stdin_text ? strlen(process->scenario->stdin_text) : 0,
		.has_terminal = (unsigned int)bh_sim_terminal_is(node->sim, process),
	};
	return 1;
}

/* A program has ended or can't start: what depends on it goes on. */
static void process_ended(struct bh_sim_node *node, struct bh_sim_process *process, int is_success)
{
	struct bh_sim *sim = node->sim;

	process->state = BH_SIM_PROCESS_ENDED;
	process->result->end_ns = sim->now_ns;
	if (!process->scenario->is_setup) {
		bh_sim_calls_process_ended(sim, process);
		bh_sim_one_finished(sim);
		if (bh_sim_terminal_is(sim, process))
			sim->is_over = sim->is_stopped = 1;
		return;
	}
	node->setup_done++;
	if (is_success)
		bh_sim_program_schedule(node);
	else
		sim->is_over = 1;
}

void bh_sim_spawn_result(void *host, unsigned long id, int pid_or_errno)
{
	struct bh_sim_node *node = host;
	struct bh_sim_process *process = &node->sim->processes[id];

	if (process->state != BH_SIM_PROCESS_STARTING)
		return;
	if (pid_or_errno > 0) {
		process->state = BH_SIM_PROCESS_RUNNING;
		process->result->pid = pid_or_errno;
		if (process->has_stop)
			bh_sim_program_schedule(node);
		return;
	}
	bh_sim_fail(node->sim, process->scenario->is_setup ? "setup" : "start", node->id,
		    process->spawn_event, "%s could not be started: %s", process->result->path,
		    strerrordesc_np(-pid_or_errno));
	process_ended(node, process, 0);
}

/* --- what programs do --- */

static void callback_output(void *arg, int pid, int fd, const void *data, size_t length)
{
	struct bh_sim_node *node = arg;
	struct bh_event event = {
		.kind = BH_EVENT_OUTPUT,
		.cause = node->sim->handling,
		.value = (uint64_t)pid << 32 | (uint32_t)fd,
		.hash = bh_event_hash(data, length),
		.node = node->id,
		.device = BH_NO_DEVICE,
		.length = (uint32_t)length,
	};
	char path[64];

	bh_sim_event_begin(node->sim, &event);
	snprintf(path, sizeof(path), "var/log/%d/%s", pid, fd == 2 ? "stderr" : "stdout");
	bh_sim_output(node->sim, node->id, path, data, length);
	if (node->sim->run && fd == 1)
		bh_sim_calls_output(node, pid, data, length);
}

void bh_sim_process_output(struct bh_sim_node *node, int pid, const void *data, size_t length)
{
	callback_output(node, pid, 1, data, length);
}

static void callback_exec(void *arg, int pid, const char *program, const char *argv,
			  size_t argv_size)
{
	struct bh_sim_node *node = arg;
	const uint64_t hashes[] = {bh_hash64(program, strlen(program)), bh_hash64(argv, argv_size)};
	struct bh_event event = {
		.kind = BH_EVENT_EXEC,
		.cause = node->sim->handling,
		.value = (uint64_t)pid,
		.hash = bh_event_hash(hashes, sizeof(hashes)),
		.node = node->id,
		.device = BH_NO_DEVICE,
	};
	char path[64];

	bh_sim_event_begin(node->sim, &event);
	snprintf(path, sizeof(path), "var/log/%d/cmdline", pid);
	/* One line for each exec; arguments are set apart by blanks. */
	for (size_t at = 0; at < argv_size; at += strnlen(argv + at, argv_size - at) + 1) {
		if (at > 0)
			bh_sim_output(node->sim, node->id, path, " ", 1);
		bh_sim_output(node->sim, node->id, path, argv + at,
			      strnlen(argv + at, argv_size - at));
	}
	bh_sim_output(node->sim, node->id, path, "\n", 1);
}

static void callback_log(void *arg, int pid, const char *text)
{
	struct bh_sim_node *node = arg;
	char path[64];

	snprintf(path, sizeof(path), "var/log/%d/log", pid);
	bh_sim_output(node->sim, node->id, path, text, strlen(text));
	bh_sim_output(node->sim, node->id, path, "\n", 1);
}

static int callback_is_traced(void *arg)
{
	const struct bh_sim_node *node = arg;

	return node->started && node->started->scenario->is_traced;
}

static void callback_call(void *arg, int pid, const char *line, size_t length)
{
	struct bh_sim_node *node = arg;
	char path[64];

	snprintf(path, sizeof(path), "var/log/%d/strace", pid);
	bh_sim_output(node->sim, node->id, path, line, length);
}

static struct bh_sim_process *process_of(struct bh_sim_node *node, int pid)
{
	for (size_t i = 0; i < node->process_count; i++)
		if (node->processes[i].state == BH_SIM_PROCESS_RUNNING &&
		    node->processes[i].result->pid == pid)
			return &node->processes[i];
	return NULL;
}

/* Any process, not only those of the scenario; for one of these it may be what is expected. */
static void callback_crash(void *arg, int pid, int signal, const char *text,
			   const struct bh_posix_stack *stack)
{
	struct bh_sim_node *node = arg;
	struct bh_sim_process *process = process_of(node, pid);
	size_t before = node->sim->result.failure_count;
	char path[64];

	snprintf(path, sizeof(path), "var/log/%d/crash", pid);
	bh_sim_output(node->sim, node->id, path, text, strlen(text));
	bh_sim_output(node->sim, node->id, path, "\n", 1);
	if (process && process->scenario->expected_signal == signal)
		return;
	if (process)
		process->has_crashed = 1;
	bh_sim_fail(node->sim, "crash", node->id, node->sim->result.events,
		    "%s%spid %d: %.*s (its stack: files-%s/var/log/%d/crash)",
		    process ? process->result->command : "", process ? ", " : "", pid,
		    (int)strcspn(text, "\n"), text, node->scenario->name, pid);
	if (node->sim->result.failure_count == before)
		return;
	bh_sim_failure_trace(node->sim, before + 1, stack->kernel, stack->kernel_count);
	node->sim->result.failures[before].program_trace = strdup(stack->program);
}

static void write_status(struct bh_sim_node *node, int pid, int wait_status)
{
	char path[64], text[64];
	int length;

	if (WIFSIGNALED(wait_status))
		length = snprintf(text, sizeof(text), "signal %d\n", WTERMSIG(wait_status));
	else
		length = snprintf(text, sizeof(text), "exit %d\n", WEXITSTATUS(wait_status));
	snprintf(path, sizeof(path), "var/log/%d/status", pid);
	bh_sim_output(node->sim, node->id, path, text, (size_t)length);
}

/* Whether the scenario wants it to end, and how. */
static int must_end(const struct bh_process *scenario)
{
	return scenario->has_expected_exit ||
	       (scenario->has_expected_running && !scenario->expected_running) ||
	       scenario->expected_signal;
}

/* Compares the end of a program with what the scenario expects. Returns 1 if it is as expected. */
static int check_end(struct bh_sim_node *node, struct bh_sim_process *process, uint64_t event)
{
	const struct bh_process *scenario = process->scenario;
	const struct bh_process_result *result = process->result;
	int expected = scenario->has_expected_exit ? scenario->expected_exit : 0;
	const char *what = scenario->is_setup ? "setup" : "exit";

	/* It ends because the scenario shuts the node down; after a restart it runs again. */
	if (bh_sim_terminal_is(node->sim, process) || node->power == BH_SIM_POWER_RESTART ||
	    (node->power == BH_SIM_POWER_OFF && !must_end(scenario)))
		return 1;
	if (result->signal && result->signal == scenario->expected_signal)
		return 1;
	/* To stop it was what the signal was for, and it may end by it or exit as it likes. */
	if (scenario->stop_ns && !process->has_stop && !scenario->has_expected_exit &&
	    !scenario->expected_signal && !scenario->has_expected_running &&
	    (!result->signal || result->signal == scenario->stop_signal))
		return 1;
	if (process->has_crashed)
		return 0;
	if (scenario->expected_signal) {
		if (result->signal)
			bh_sim_fail(node->sim, what, node->id, event,
				    "%s (pid %d) was killed by signal %d (%s), not by %d",
				    result->command, result->pid, result->signal,
				    sigdescr_np(result->signal) ? sigdescr_np(result->signal)
								: "unknown",
				    scenario->expected_signal);
		else
			bh_sim_fail(node->sim, what, node->id, event,
				    "%s (pid %d) exited with %d, it should have been killed by "
				    "signal %d",
				    result->command, result->pid, result->exit_status,
				    scenario->expected_signal);
		return 0;
	}
	if (result->signal) {
		bh_sim_fail(node->sim, what, node->id, event,
			    "%s (pid %d) was killed by signal %d (%s)", result->command,
			    result->pid, result->signal,
			    sigdescr_np(result->signal) ? sigdescr_np(result->signal) : "unknown");
		return 0;
	}
	if (scenario->has_expected_running && scenario->expected_running) {
		bh_sim_fail(node->sim, what, node->id, event,
			    "%s (pid %d) exited with %d, it should still be running at the end",
			    result->command, result->pid, result->exit_status);
		return 0;
	}
	if (result->exit_status == expected)
		return 1;
	bh_sim_fail(node->sim, what, node->id, event, "%s (pid %d) exited with %d, not with %d",
		    result->command, result->pid, result->exit_status, expected);
	return 0;
}

static void callback_exit(void *arg, int pid, int wait_status)
{
	struct bh_sim_node *node = arg;
	struct bh_event event = {
		.kind = BH_EVENT_EXIT,
		.cause = node->sim->handling,
		.value = (uint64_t)pid << 32 | (uint32_t)wait_status,
		.node = node->id,
		.device = BH_NO_DEVICE,
	};

	bh_sim_event_begin(node->sim, &event);
	write_status(node, pid, wait_status);
	struct bh_sim_process *process = process_of(node, pid);

	if (!process)
		return;
	process->result->ended = 1;
	if (WIFSIGNALED(wait_status))
		process->result->signal = WTERMSIG(wait_status);
	else
		process->result->exit_status = WEXITSTATUS(wait_status);
	process_ended(node, process, check_end(node, process, event.event));
}

static uint64_t callback_place(void *arg, uint64_t address)
{
	return bh_sim_outside(arg, address);
}

const struct bh_posix_callbacks bh_sim_posix_callbacks = {
	.place = callback_place,
	.output = callback_output,
	.exec = callback_exec,
	.exit = callback_exit,
	.log = callback_log,
	.crash = callback_crash,
	.spin = bh_sim_spin,
	.is_traced = callback_is_traced,
	.call = callback_call,
};

/* --- the end --- */

void bh_sim_programs_restart(struct bh_sim_node *node)
{
	struct bh_sim *sim = node->sim;

	node->spawning = node->stopping = node->started = NULL;
	node->is_stopping_all = 0;
	node->setup_done = 0;
	for (size_t i = 0; i < node->scenario->process_count; i++) {
		struct bh_sim_process *process = &node->processes[i];
		struct bh_process_result *result = process->result;
		const struct bh_process *scenario = process->scenario;

		/* One that was to be stopped by now isn't started again. */
		if (scenario->stop_ns && scenario->stop_ns <= sim->now_ns)
			continue;
		process->state = BH_SIM_PROCESS_WAITING;
		process->has_stop = scenario->stop_ns > 0;
		process->has_crashed = 0;
		result->pid = result->ended = result->exit_status = result->signal = 0;
		result->start_ns = result->end_ns = 0;
		if (!scenario->is_setup)
			bh_sim_one_more(sim);
	}
}

void bh_sim_programs_lost(struct bh_sim_node *node)
{
	for (size_t i = 0; i < node->process_count; i++) {
		struct bh_sim_process *process = &node->processes[i];

		if (process->state == BH_SIM_PROCESS_ENDED || process->scenario->is_setup)
			continue;
		process->state = BH_SIM_PROCESS_LOST;
		bh_sim_calls_process_ended(node->sim, process);
		bh_sim_one_finished(node->sim);
		if (bh_sim_terminal_is(node->sim, process))
			node->sim->is_over = node->sim->is_stopped = 1;
	}
}

static void check_unfinished(struct bh_sim_node *node, const struct bh_sim_process *process,
			     uint64_t stop_event)
{
	const struct bh_process *scenario = process->scenario;
	const char *what = scenario->is_setup ? "setup" : "exit";

	if (process->state == BH_SIM_PROCESS_LOST) {
		/* A panic is a failure itself. */
		if (must_end(scenario) && !node->is_panicked)
			bh_sim_fail(node->sim, what, node->id, stop_event,
				    process->result->pid > 0
					    ? "%s (pid %d) was still running when the node ended"
					    : "%s was never started: the node ended before",
				    process->result->command, process->result->pid);
	} else if (process->state == BH_SIM_PROCESS_WAITING) {
		/* What waits for a setup line that hangs is no failure of its own. */
		if (!scenario->is_setup && node->setup_done == node->setup_count)
			bh_sim_fail(node->sim, "start", node->id, stop_event,
				    "%s was never started: the run ended before",
				    process->result->command);
	} else if (node->sim->config.scenario->is_open && !scenario->is_setup) {
		bh_sim_fail(node->sim, what, node->id, stop_event,
			    "%s (pid %d) still runs after an hour, and the scenario doesn't say "
			    "when it ends; give the program a stop_time, or the run one (general: "
			    "{stop_time: 30s})",
			    process->result->command, process->result->pid);
	} else if (must_end(scenario)) {
		bh_sim_fail(node->sim, what, node->id, stop_event,
			    "%s (pid %d) was still running at the end of the run",
			    process->result->command, process->result->pid);
	}
}

void bh_sim_processes_check(struct bh_sim *sim, uint64_t stop_event)
{
	/* What a failed setup kept from happening is no failure of its own. */
	for (size_t i = 0; i < sim->result.failure_count; i++)
		if (strcmp(sim->result.failures[i].what, "setup") == 0)
			return;
	for (size_t i = 0; i < sim->node_count; i++) {
		struct bh_sim_node *node = &sim->nodes[i];

		for (size_t j = 0; j < node->process_count; j++)
			if (node->processes[j].state != BH_SIM_PROCESS_ENDED)
				check_unfinished(node, &node->processes[j], stop_event);
	}
}
