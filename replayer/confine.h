/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The door to seccomp. A trace may come from a stranger and replaying it runs what is in it, so the
 * process that runs it first gives up everything that the simulator doesn't need: no network, no
 * exec, no file opened for writing, no signal to another process. Called by verify.c and the
 * engine's tracee, after fork and before the run; it can't be undone, and forked checkpoints
 * inherit it.
 */
#ifndef BH_REPLAYER_CONFINE_H
#define BH_REPLAYER_CONFINE_H

#include "common/error.h"

struct bh_confine_config {
	int result_fd;	/* the one descriptor, besides stderr, that may be written to; -1: none */
	int allow_fork; /* the engine's checkpoints are forks, made by the tracer in the tracee */
};

/* Also sets no-new-privs and gives up core dumps. A denied call returns EPERM to the caller, exec
 * and network calls kill the process. */
struct bh_error *bh_confine(const struct bh_confine_config *config);

#endif
