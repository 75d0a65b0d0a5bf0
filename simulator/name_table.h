/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names to numbers: finds nodes by name and things named twice in time that doesn't grow with
 * their number, also for input made to be slow. Used by the scenario parser.
 */
#ifndef BH_SIMULATOR_NAME_TABLE_H
#define BH_SIMULATOR_NAME_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define BH_NAME_ABSENT SIZE_MAX

/* Zero-filled is empty. Names are kept by reference. */
struct bh_name_table {
	struct bh_name_entry {
		const char *name;
		size_t number;
	} * entries;
	size_t capacity, count;
};

void bh_name_table_destroy(struct bh_name_table *table);
size_t bh_name_table_find(const struct bh_name_table *table, const char *name);
/* The name must be absent. Returns 0, or -1 when out of memory. */
int bh_name_table_add(struct bh_name_table *table, const char *name, size_t number);

#endif
