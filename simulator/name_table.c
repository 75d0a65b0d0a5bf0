/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An open-addressing hash table of names: see name_table.h. */
#include "simulator/name_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"

void bh_name_table_destroy(struct bh_name_table *table)
{
	free(table->entries);
	memset(table, 0, sizeof(*table));
}

/* The entry of name, or the empty one where it belongs. There is always an empty one. */
static struct bh_name_entry *find_entry(const struct bh_name_table *table, const char *name)
{
	size_t mask = table->capacity - 1;
	size_t index = bh_hash64(name, strlen(name)) & mask;

	while (table->entries[index].name && strcmp(table->entries[index].name, name) != 0)
		index = (index + 1) & mask;
	return &table->entries[index];
}

size_t bh_name_table_find(const struct bh_name_table *table, const char *name)
{
	if (table->capacity == 0)
		return BH_NAME_ABSENT;
	const struct bh_name_entry *entry = find_entry(table, name);

	return entry->name ? entry->number : BH_NAME_ABSENT;
}

static int grow(struct bh_name_table *table)
{
	struct bh_name_table larger = {.capacity = table->capacity ? table->capacity * 2 : 16};

	larger.entries = calloc(larger.capacity, sizeof(*larger.entries));
	if (!larger.entries)
		return -1;
	for (size_t i = 0; i < table->capacity; i++)
		if (table->entries[i].name)
			*find_entry(&larger, table->entries[i].name) = table->entries[i];
	larger.count = table->count;
	free(table->entries);
	*table = larger;
	return 0;
}

int bh_name_table_add(struct bh_name_table *table, const char *name, size_t number)
{
	if (table->count * 2 >= table->capacity && grow(table) < 0)
		return -1;
	*find_entry(table, name) = (struct bh_name_entry){name, number};
	table->count++;
	return 0;
}
