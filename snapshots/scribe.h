/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scribe writes memory of this process to a file while the process goes on: a process of its
 * own on the same memory, for the time of one piece of work. Whoever gives it the work sees to it
 * that the memory stays what it is, or doesn't care. For take.c only.
 */
#ifndef BH_SNAPSHOTS_SCRIBE_H
#define BH_SNAPSHOTS_SCRIBE_H

#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bh_scribe_job {
	const uint8_t *start;
	size_t size;
	uint64_t at; /* offset in the file, or BH_SCRIBE_TOUCH */
};

#define BH_SCRIBE_TOUCH UINT64_MAX

struct bh_scribe {
	cpu_set_t cpus; /* that it may use, whatever this process has been bound to since */
	struct bh_scribe_job *jobs;
	size_t job_count, job_room;
	uint8_t *stack;
	int fd;
	pid_t pid;	  /* while it writes, or 0 */
	uint64_t cost_ns; /* CPU time of the last piece of work */
};

void bh_scribe_init(struct bh_scribe *scribe);
void bh_scribe_free(struct bh_scribe *scribe);
/* Adds to the next piece of work, while nothing is being written. Non-zero without memory. */
int bh_scribe_add(struct bh_scribe *scribe, const void *start, size_t size, uint64_t at);
/* The same for memory that is still to be used: the host is made to give it pages. */
int bh_scribe_add_touch(struct bh_scribe *scribe, const void *start, size_t size);
/* Begins it. Non-zero if that can't be. */
int bh_scribe_start(struct bh_scribe *scribe, int fd);

enum bh_scribe_state { BH_SCRIBE_IDLE, BH_SCRIBE_WRITING, BH_SCRIBE_FAILED };

/* Waits for its end, if that is wanted. A failure is told once. */
enum bh_scribe_state bh_scribe_look(struct bh_scribe *scribe, int waits);

#endif
