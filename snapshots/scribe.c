/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing in the background: see scribe.h. Called by take.c. */
#include "snapshots/scribe.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/raw_call.h"
#include "common/unsaved.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* of Linux 5.14 */
#endif

#define STACK_BYTES 65536ul
/* So that it is seen soon that the other process is gone. */
#define WRITE_BYTES (4ul << 20)

void bh_scribe_init(struct bh_scribe *scribe)
{
	memset(scribe, 0, sizeof(*scribe));
	if (sched_getaffinity(0, sizeof(scribe->cpus), &scribe->cpus))
		CPU_ZERO(&scribe->cpus);
}

void bh_scribe_free(struct bh_scribe *scribe)
{
	bh_scribe_look(scribe, 1);
	bh_unsaved_free(scribe->jobs);
	bh_unsaved_free(scribe->stack);
	memset(scribe, 0, sizeof(*scribe));
}

static int add_job(struct bh_scribe *scribe, const void *start, size_t size, uint64_t at)
{
	if (scribe->job_count == scribe->job_room) {
		size_t room = 2 * scribe->job_room + 4096;
		struct bh_scribe_job *grown = bh_unsaved_alloc(room * sizeof(*grown));

		if (!grown)
			return -1;
		if (scribe->job_count)
			memcpy(grown, scribe->jobs, scribe->job_count * sizeof(*grown));
		bh_unsaved_free(scribe->jobs);
		scribe->jobs = grown;
		scribe->job_room = room;
	}
	scribe->jobs[scribe->job_count++] = (struct bh_scribe_job){start, size, at};
	return 0;
}

int bh_scribe_add(struct bh_scribe *scribe, const void *start, size_t size, uint64_t at)
{
	struct bh_scribe_job *last = scribe->jobs ? &scribe->jobs[scribe->job_count] - 1 : NULL;

	if (!scribe->job_count || last->start + last->size != start || last->at + last->size != at)
		return add_job(scribe, start, size, at);
	last->size += size;
	return 0;
}

int bh_scribe_add_touch(struct bh_scribe *scribe, const void *start, size_t size)
{
	return add_job(scribe, start, size, BH_SCRIBE_TOUCH);
}

/* The C library's state is the other process's: nothing of it can be used here. */
static int write_job(const struct bh_scribe *scribe, const struct bh_scribe_job *job)
{
	/* Where the host can't do it, the pages come when they are used. */
	if (job->at == BH_SCRIBE_TOUCH) {
		bh_raw_call(SYS_madvise, (long)job->start, (long)job->size, MADV_POPULATE_WRITE);
		return 0;
	}
	for (size_t done = 0; done < job->size;) {
		size_t size = job->size - done < WRITE_BYTES ? job->size - done : WRITE_BYTES;
		long written = bh_raw_call4(SYS_pwrite64, scribe->fd, (long)(job->start + done),
					    (long)size, (long)(job->at + done));

		if (written <= 0)
			return -1;
		done += (size_t)written;
	}
	return 0;
}

static int write_jobs(void *arg)
{
	const struct bh_scribe *scribe = arg;

	bh_raw_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
	/* Of no CPU it is refused, and nothing changes. */
	bh_raw_call(SYS_sched_setaffinity, 0, sizeof(scribe->cpus), (long)&scribe->cpus);
	for (size_t i = 0; i < scribe->job_count; i++)
		if (write_job(scribe, &scribe->jobs[i]))
			bh_raw_call(SYS_exit_group, 1, 0, 0);
	bh_raw_call(SYS_exit_group, 0, 0, 0);
	return 0;
}

int bh_scribe_start(struct bh_scribe *scribe, int fd)
{
	sigset_t all, former;

	if (!scribe->stack)
		scribe->stack = bh_unsaved_alloc(STACK_BYTES);
	if (!scribe->stack)
		return -1;
	scribe->fd = fd;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &former);
	scribe->pid = clone(write_jobs, scribe->stack + STACK_BYTES, CLONE_VM | SIGCHLD, scribe);
	sigprocmask(SIG_SETMASK, &former, NULL);
	if (scribe->pid > 0)
		return 0;
	scribe->pid = 0;
	return -1;
}

static uint64_t nanoseconds(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u;
}

enum bh_scribe_state bh_scribe_look(struct bh_scribe *scribe, int waits)
{
	struct rusage usage;
	int status;
	pid_t ended;

	if (!scribe->pid)
		return BH_SCRIBE_IDLE;
	do
		ended = wait4(scribe->pid, &status, waits ? 0 : WNOHANG, &usage);
	while (ended < 0 && errno == EINTR);
	if (!ended)
		return BH_SCRIBE_WRITING;
	scribe->pid = 0;
	scribe->job_count = 0;
	if (ended < 0 || status)
		return BH_SCRIBE_FAILED;
	scribe->cost_ns = nanoseconds(&usage.ru_utime) + nanoseconds(&usage.ru_stime);
	return BH_SCRIBE_IDLE;
}
