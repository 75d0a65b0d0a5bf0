/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses a switch has learned: see mac_table.h. Open addressing, at most half full. */
#include "simulator/mac_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"

#define CAPACITY_MIN 16u

struct bh_mac_entry {
	uint64_t seen_ns;
	uint32_t port; /* BH_MAC_NO_PORT: forgotten, or never used */
	unsigned char mac[6];
	uint8_t is_used;
};

void bh_mac_table_destroy(struct bh_mac_table *table)
{
	free(table->entries);
	memset(table, 0, sizeof(*table));
}

/* The address's entry, or the free one where it belongs. */
static struct bh_mac_entry *find_entry(const struct bh_mac_table *table, const unsigned char mac[6])
{
	size_t at = bh_hash64(mac, 6) & (table->capacity - 1);

	while (table->entries[at].is_used && memcmp(table->entries[at].mac, mac, 6) != 0)
		at = (at + 1) & (table->capacity - 1);
	return &table->entries[at];
}

static int is_alive(const struct bh_mac_entry *entry, uint64_t now_ns, uint64_t ageing_ns)
{
	return entry->is_used && entry->port != BH_MAC_NO_PORT &&
	       now_ns - entry->seen_ns <= ageing_ns;
}

/* Into a table that is large enough for what is still alive and one more. */
static int rebuild(struct bh_mac_table *table, uint64_t now_ns, uint64_t ageing_ns)
{
	struct bh_mac_table old = *table;
	size_t alive = 0, capacity = CAPACITY_MIN;

	for (size_t i = 0; i < old.capacity; i++)
		alive += (size_t)is_alive(&old.entries[i], now_ns, ageing_ns);
	table->is_full = alive >= BH_MAC_TABLE_MAX;
	table->full_ns = now_ns;
	if (table->is_full)
		return 0;
	while (capacity < 4 * (alive + 1))
		capacity *= 2;
	struct bh_mac_entry *entries = calloc(capacity, sizeof(*entries));

	if (!entries)
		return -1;
	*table = (struct bh_mac_table){.entries = entries, .capacity = capacity, .count = alive};
	for (size_t i = 0; i < old.capacity; i++)
		if (is_alive(&old.entries[i], now_ns, ageing_ns))
			*find_entry(table, old.entries[i].mac) = old.entries[i];
	free(old.entries);
	return 0;
}

int bh_mac_table_learn(struct bh_mac_table *table, const unsigned char mac[6], uint32_t port,
		       uint64_t now_ns, uint64_t ageing_ns)
{
	if (table->capacity == 0 && rebuild(table, now_ns, ageing_ns) < 0)
		return -1;
	struct bh_mac_entry *entry = find_entry(table, mac);

	if (!entry->is_used && 2 * (table->count + 1) > table->capacity) {
		/* Looking through a full table for each frame of a flood would be slow. */
		if (table->is_full && now_ns - table->full_ns <= ageing_ns / 16)
			return 0;
		if (rebuild(table, now_ns, ageing_ns) < 0)
			return -1;
		if (2 * (table->count + 1) > table->capacity)
			return 0;
		entry = find_entry(table, mac);
	}
	if (!entry->is_used) {
		memcpy(entry->mac, mac, 6);
		entry->is_used = 1;
		table->count++;
	}
	entry->port = port;
	entry->seen_ns = now_ns;
	return 0;
}

uint32_t bh_mac_table_find(const struct bh_mac_table *table, const unsigned char mac[6],
			   uint64_t now_ns, uint64_t ageing_ns)
{
	const struct bh_mac_entry *entry = table->capacity ? find_entry(table, mac) : NULL;

	return entry && is_alive(entry, now_ns, ageing_ns) ? entry->port : BH_MAC_NO_PORT;
}

void bh_mac_table_forget(struct bh_mac_table *table, uint32_t port)
{
	for (size_t i = 0; i < table->capacity; i++)
		if (table->entries[i].port == port)
			table->entries[i].port = BH_MAC_NO_PORT;
}
