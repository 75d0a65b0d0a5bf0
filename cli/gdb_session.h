/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A replay in a child process and gdb in another, connected by a socket in a private folder that
 * is removed as soon as gdb has connected. Used by cmd_replay.c.
 */
#ifndef BH_CLI_GDB_SESSION_H
#define BH_CLI_GDB_SESSION_H

#include "common/error.h"
#include "replayer/engine.h"
#include "traces/trace.h"

struct bh_gdb_session {
	const struct bh_trace *trace;
	const char *gdb;	/* path of gdb */
	const char *plugin;	/* path of the plugin's load.py */
	const char *at;		/* where to go first, or NULL */
	const char *node;	/* replay only this one, or NULL */
	char *const *arguments; /* more for gdb, NULL-terminated; or NULL */
};

/* Starts the replay, of all nodes or of one alone (NULL: all). */
struct bh_error *bh_gdb_session_replay(const struct bh_trace *trace, const char *node,
				       struct bh_replay **replay_ret);

/*
 * Runs gdb until it ends and leaves nothing behind, however it ends. status_ret is gdb's exit
 * status, or 128 + signal. What keeps the replay from starting is an error; what happens to it
 * later is told in gdb.
 */
struct bh_error *bh_gdb_session_run(const struct bh_gdb_session *session, int *status_ret);

#endif
