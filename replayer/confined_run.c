/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole rerun in a confined child: see confined_run.h. The child tells its parent what it saw and
 * the outcome through a pipe; what comes out of the pipe is checked like any input, because what
 * ran in the child may be a stranger's.
 *
 * On the pipe: blocks of the stream, each a 32-bit length and so many bytes, ended by a length of
 * 0; then the outcome.
 */
#include "replayer/confined_run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replayer/confine.h"

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

/* The child has one run. */
static struct {
	struct bh_confined_run *run;
	int fd;
} child;

int bh_confined_run_flush(struct bh_confined_run *run, size_t least)
{
	struct bh_buffer *stream = &run->stream;
	uint32_t length = (uint32_t)stream->length;

	if (stream->failed)
		return -1;
	if (!stream->length || stream->length < least)
		return 0;
	if (write_all(child.fd, &length, sizeof(length)) ||
	    write_all(child.fd, stream->bytes, stream->length))
		return -1;
	stream->length = 0;
	return 0;
}

/* Tells the parent and ends the child. */
static void __attribute__((noreturn)) child_finish(const struct bh_error *error)
{
	const uint32_t end = 0;
	struct outcome outcome;

	outcome_fill(&outcome, error);
	if (bh_confined_run_flush(child.run, 0) || write_all(child.fd, &end, sizeof(end)))
		_exit(1);
	_exit(write_all(child.fd, &outcome, sizeof(outcome)) ? 1 : 0);
}

/* From within the run: what was recorded is compared, and a program may never give the CPU back. */
void bh_confined_run_over(void *arg)
{
	child_finish(NULL);
}

static void __attribute__((noreturn)) child_run(struct bh_confined_run *run, pid_t parent, int fd)
{
	const struct bh_confine_config confine = {.result_fd = fd};

	child.run = run;
	child.fd = fd;
	/* The parent's death is the child's; it may have come before the request. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	struct bh_error *error = bh_rerun_prepare(run->rerun);
	if (!error && run->prepared)
		error = run->prepared(run->arg, run->rerun);
	if (!error)
		error = bh_confine(&confine);
	if (!error)
		error = bh_rerun_run(run->rerun);
	child_finish(error);
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
static struct bh_error *child_start(struct bh_confined_run *run, const int fds[2], pid_t *child_ret)
{
	pid_t parent = getpid(), started = fork();

	if (started < 0) {
		close(fds[1]);
		return bh_error_new(BH_ERR_MACHINE, "cannot start a process for the replay: %s",
				    strerror(errno));
	}
	if (!started) {
		close(fds[0]);
		child_run(run, parent, fds[1]);
	}
	close(fds[1]);
	*child_ret = started;
	return NULL;
}

/* Non-zero when all came. */
static int read_stream(int fd, struct bh_buffer *stream)
{
	uint32_t length;

	for (;;) {
		if (!read_all(fd, &length, sizeof(length)))
			return 0;
		if (!length)
			return 1;
		uint8_t *to = stream->length + length > BH_CONFINED_STREAM_MAX
				      ? NULL
				      : bh_buffer_reserve(stream, length);
		if (!to || !read_all(fd, to, length))
			return 0;
		stream->length += length;
	}
}

static struct bh_error *collect(struct bh_confined_run *run, const int fds[2], size_t node_count,
				int *found_ret, struct bh_divergence *divergence_ret)
{
	struct outcome outcome;
	int wait_status = 0;
	pid_t started;

	BH_TRY(child_start(run, fds, &started));
	int is_whole =
		read_stream(fds[0], &run->stream) && read_all(fds[0], &outcome, sizeof(outcome));
	/* A child that still writes would never end. */
	if (!is_whole)
		kill(started, SIGKILL);
	while (waitpid(started, &wait_status, 0) < 0 && errno == EINTR)
		;
	if (run->stream.failed || run->stream.length > BH_CONFINED_STREAM_MAX)
		return bh_error_new(BH_ERR_NOMEM, "out of memory for what the replay tells");
	if (!is_whole)
		return child_error(wait_status);
	return outcome_use(&outcome, node_count, found_ret, divergence_ret);
}

struct bh_error *bh_confined_run(struct bh_confined_run *run, size_t node_count, int *found_ret,
				 struct bh_divergence *divergence_ret)
{
	int fds[2];

	if (pipe(fds))
		return bh_error_new(BH_ERR_MACHINE, "cannot create a pipe: %s", strerror(errno));
	struct bh_error *error = collect(run, fds, node_count, found_ret, divergence_ret);

	close(fds[0]);
	return error;
}
