/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions of the plugin's `why` (gdb_server_why.c), which gdb_server_private.c hands over. */
#ifndef BH_REPLAYER_GDB_SERVER_WHY_H
#define BH_REPLAYER_GDB_SERVER_WHY_H

#include "replayer/gdb_server_state.h"

/* --- gdb_server_why.c --- */

bh_gdb_handler bh_gdb_why_code;
bh_gdb_handler bh_gdb_why_path;
bh_gdb_handler bh_gdb_why_last_write;
bh_gdb_handler bh_gdb_why_last_call;
bh_gdb_handler bh_gdb_why_packet;
bh_gdb_handler bh_gdb_why_drops;
bh_gdb_handler bh_gdb_why_links;

#endif
