/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that a recording needs for itself alone, such as events that aren't written yet: a
 * snapshot of the process (snapshots/snapshot.h) leaves its contents out, and a forked process
 * doesn't have it. For large blocks: each takes whole pages.
 */
#ifndef BH_COMMON_UNSAVED_H
#define BH_COMMON_UNSAVED_H

#include <stddef.h>

/* Zeros, at a line of the processor's cache. NULL without memory; bh_unsaved_free() takes NULL. */
void *bh_unsaved_alloc(size_t size);
void bh_unsaved_free(void *block);

/* The block of this number, from 0 on, in bytes; NULL if there are fewer. */
const void *bh_unsaved_block(size_t number, size_t *size_ret);

#endif
