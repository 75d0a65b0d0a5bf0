/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inputs read from a trace: records decoded one by one (FORMAT.md, section 5), where a later
 * record of the same role and name replaces an earlier one. Private to traces/, for reader.c.
 */
#ifndef BH_TRACES_INPUT_TABLE_H
#define BH_TRACES_INPUT_TABLE_H

#include "common/cursor.h"
#include "traces/trace.h"

/* Zeroes are an empty table. */
struct bh_input_table {
	struct bh_trace_input *inputs; /* in order of first appearance */
	size_t count, room;
	uint32_t *slots;   /* open hash table of index + 1, 0: empty */
	size_t slot_count; /* a power of two, at least twice count */
	int has_scenario;
	int no_memory;
};

void bh_input_table_free(struct bh_input_table *table);
/* Decodes one record. NULL, or what is wrong with it; out of memory is kept in no_memory. */
const char *bh_input_table_read(struct bh_input_table *table, struct bh_cursor *cursor);

#endif
