/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recording the whole process with rr (rr-project.org) instead of a trace of ours: `record --rr`,
 * and `replay` of what came of it. Only where rr can record, which takes the processor's counters.
 * Used by cmd_record.c and cmd_replay.c.
 */
#ifndef BH_CLI_RR_H
#define BH_CLI_RR_H

#include "common/error.h"

/*
 * Becomes `rr record` of the command line `backhop record --rr ...` as `backhop run ...`: returns
 * only if it can't. folder is where rr shall write, or NULL: where it likes.
 */
struct bh_error *bh_rr_record(char *const *arguments, const char *folder);

/* Is path what rr recorded? */
int bh_rr_is_recording(const char *path);

/* Becomes `rr replay` with our plugin in gdb; arguments: more for gdb, NULL-terminated, or NULL. */
struct bh_error *bh_rr_replay(const char *path, char *const *arguments);

#endif
