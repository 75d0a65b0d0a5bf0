/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bh_verify() of engine.h: runs a whole trace again in a confined child and reports the first
 * event that differs. Called by `backhop verify`. The child tells its parent the outcome through a
 * pipe; what comes out of the pipe is checked like any input, because what ran in the child may be
 * a stranger's.
 */
#include "replayer/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replayer/confine.h"
#include "replayer/rerun.h"

enum outcome_kind { OUTCOME_SAME = 1, OUTCOME_DIVERGED, OUTCOME_ERROR };

#define FIELD_COUNT 12

/* The names that divergence.field may have: the parent has strings of its own. */
static const char *const field_names[FIELD_COUNT] = {
	"kind",	  "node",   "vtime_ns", "cause", "packet", "hop",
	"device", "length", "value",	"hash",	 "input",  "event",
};

struct outcome {
	uint32_t kind;	     /* enum outcome_kind */
	uint32_t error_code; /* enum bh_error_code */
	uint64_t events;
	uint64_t event; /* of the divergence */
	uint32_t node;
	uint32_t field; /* index into field_names */
	char recorded[128], replayed[128];
	char message[512]; /* of the error */
};

static int write_all(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length) {
		ssize_t size = write(fd, at, length);

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return -1;
		at += size;
		length -= (size_t)size;
	}
	return 0;
}

/* Non-zero when all came. */
static int read_all(int fd, void *bytes_ret, size_t length)
{
	char *at = bytes_ret;

	while (length) {
		ssize_t size = read(fd, at, length);

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return 0;
		at += size;
		length -= (size_t)size;
	}
	return 1;
}

static void outcome_fill(struct outcome *outcome, const struct bh_error *error)
{
	const struct bh_divergence *divergence = &bh_rerun_report.divergence;

	memset(outcome, 0, sizeof(*outcome));
	outcome->kind = OUTCOME_SAME;
	outcome->events = bh_rerun_report.events;
	if (error) {
		outcome->kind = OUTCOME_ERROR;
		outcome->error_code = error->code;
		strncpy(outcome->message, error->message, sizeof(outcome->message) - 1);
	} else if (bh_rerun_report.diverged) {
		outcome->kind = OUTCOME_DIVERGED;
		outcome->event = divergence->event;
		outcome->node = divergence->node;
		while (strcmp(field_names[outcome->field], divergence->field))
			outcome->field++;
		memcpy(outcome->recorded, divergence->recorded, sizeof(outcome->recorded));
		memcpy(outcome->replayed, divergence->replayed, sizeof(outcome->replayed));
	}
}

/* Tells the parent and ends the child. */
static void __attribute__((noreturn)) child_finish(int fd, const struct bh_error *error)
{
	struct outcome outcome;

	outcome_fill(&outcome, error);
	_exit(write_all(fd, &outcome, sizeof(outcome)) ? 1 : 0);
}

/* From within the run: what was recorded is compared, and a program may never give the CPU back. */
static void child_over(void *arg)
{
	child_finish(*(const int *)arg, NULL);
}

static void __attribute__((noreturn)) child_run(struct bh_rerun *rerun, pid_t parent, int fd)
{
	const struct bh_confine_config confine = {.result_fd = fd};

	/* The parent's death is the child's; it may have come before the request. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	struct bh_error *error = bh_rerun_prepare(rerun);
	if (!error)
		error = bh_confine(&confine);
	if (!error)
		error = bh_rerun_run(rerun);
	child_finish(fd, error);
}

static struct bh_error *child_error(int wait_status)
{
	if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGSYS)
		return bh_error_new(BH_ERR_INPUT, "the replay was killed because the recorded run "
						  "tried to leave its confinement: do not trust "
						  "this trace");
	if (WIFSIGNALED(wait_status))
		return bh_error_new(BH_ERR_INTERNAL, "the replay died of signal %d (%s)",
				    WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
	return bh_error_new(BH_ERR_INTERNAL, "the replay ended without a result (status %d)",
			    WEXITSTATUS(wait_status));
}

static struct bh_error *outcome_use(struct outcome *outcome, size_t node_count, int *found_ret,
				    struct bh_divergence *divergence_ret)
{
	outcome->recorded[sizeof(outcome->recorded) - 1] = 0;
	outcome->replayed[sizeof(outcome->replayed) - 1] = 0;
	outcome->message[sizeof(outcome->message) - 1] = 0;
	if (outcome->kind == OUTCOME_ERROR)
		return bh_error_new(outcome->error_code == BH_ERR_MACHINE ||
						    outcome->error_code == BH_ERR_INPUT ||
						    outcome->error_code == BH_ERR_NOMEM
					    ? (enum bh_error_code)outcome->error_code
					    : BH_ERR_INTERNAL,
				    "%s", outcome->message);
	if (outcome->kind == OUTCOME_SAME) {
		*found_ret = 0;
		return NULL;
	}
	if (outcome->kind != OUTCOME_DIVERGED || outcome->field >= FIELD_COUNT ||
	    (outcome->node >= node_count && outcome->node != BH_NO_NODE))
		return bh_error_new(BH_ERR_INTERNAL, "the replay gave a malformed result");
	*found_ret = 1;
	divergence_ret->event = outcome->event;
	divergence_ret->node = outcome->node;
	divergence_ret->field = field_names[outcome->field];
	memcpy(divergence_ret->recorded, outcome->recorded, sizeof(outcome->recorded));
	memcpy(divergence_ret->replayed, outcome->replayed, sizeof(outcome->replayed));
	return NULL;
}

/* fds: a pipe; its writing end is closed. */
static struct bh_error *child_start(struct bh_rerun *rerun, const int fds[2], pid_t *child_ret)
{
	pid_t parent = getpid(), child = fork();

	if (child < 0) {
		close(fds[1]);
		return bh_error_new(BH_ERR_MACHINE, "cannot start a process for the replay: %s",
				    strerror(errno));
	}
	if (!child) {
		close(fds[0]);
		child_run(rerun, parent, fds[1]);
	}
	close(fds[1]);
	*child_ret = child;
	return NULL;
}

/* Runs it in a child. */
static struct bh_error *rerun_compare(struct bh_rerun *rerun, const int fds[2], size_t node_count,
				      int *found_ret, struct bh_divergence *divergence_ret)
{
	struct outcome outcome;
	int wait_status = 0;
	pid_t child;

	BH_TRY(child_start(rerun, fds, &child));
	int is_whole = read_all(fds[0], &outcome, sizeof(outcome));
	while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR)
		;
	if (!is_whole)
		return child_error(wait_status);
	return outcome_use(&outcome, node_count, found_ret, divergence_ret);
}

struct bh_error *bh_verify(const struct bh_trace *trace,
			   struct bh_error *(*find_kernel)(void *arg, const char *version,
							   char **path_ret),
			   void *find_kernel_arg, uint64_t plant_event, int *found_ret,
			   struct bh_divergence *divergence_ret)
{
	int fds[2];
	const struct bh_rerun_config config = {
		.trace = trace,
		.find_kernel = find_kernel,
		.find_kernel_arg = find_kernel_arg,
		.plant_event = plant_event,
		.over = child_over,
		.over_arg = &fds[1],
	};
	struct bh_rerun *rerun;

	BH_TRY(bh_rerun_create(&config, &rerun));
	struct bh_error *error;
	if (pipe(fds)) {
		error = bh_error_new(BH_ERR_MACHINE, "cannot create a pipe: %s", strerror(errno));
	} else {
		error = rerun_compare(rerun, fds, bh_trace_node_count(trace), found_ret,
				      divergence_ret);
		close(fds[0]);
	}
	bh_rerun_destroy(rerun);
	return error;
}
