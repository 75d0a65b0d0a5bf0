/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Serves a replay to gdb over the remote serial protocol, with reverse execution. What is special
 * about it (position registers, private packets, how threads and libraries are shown) is specified
 * in docs/remote-protocol.md. Called by cli/cmd_replay.c.
 */
#ifndef BH_REPLAYER_GDB_SERVER_H
#define BH_REPLAYER_GDB_SERVER_H

#include "common/error.h"
#include "replayer/engine.h"

/*
 * Serves one connection until the debugger leaves or the connection is lost, which are both no
 * error. socket is a connected stream socket and stays the caller's. executable is the file of the
 * running program, from which gdb takes the simulator's own symbols; NULL: none.
 */
struct bh_error *bh_gdb_server_run(struct bh_replay *replay, int socket, const char *executable);

#endif
