/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The progress line of a long run on stderr, if stderr is a terminal. Used by `run` and `record`
 * from bh_sim_observer.between. Also turns an interrupt (Ctrl-C) into a clean end of the run.
 */
#ifndef BH_CLI_PROGRESS_H
#define BH_CLI_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

struct bh_progress {
	int is_shown;
	uint64_t stop_ns; /* virtual time at which the run ends; 0: when its programs have */
	size_t node_count;
	unsigned int calls;
	uint64_t last_host_ns, last_event;
};

/* Installs the handlers of SIGINT and SIGTERM; is_quiet: no line. */
void bh_progress_begin(struct bh_progress *progress, uint64_t stop_ns, size_t node_count,
		       int is_quiet);
/* Called between events; cheap. Non-zero: the user wants the run to end. */
int bh_progress_update(struct bh_progress *progress);
/* Takes the line off the terminal again. */
void bh_progress_end(struct bh_progress *progress);
int bh_progress_was_interrupted(const struct bh_progress *progress);

#endif
