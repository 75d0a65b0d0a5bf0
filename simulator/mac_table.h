/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a switch has learned: behind which port an address lies. Bounded, so that a flood of
 * addresses costs a switch its memory no more than a real one. Used by simulator/sim_link.c.
 */
#ifndef BH_SIMULATOR_MAC_TABLE_H
#define BH_SIMULATOR_MAC_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define BH_MAC_TABLE_MAX 65536u /* addresses; more are not learned */
#define BH_MAC_NO_PORT	 UINT32_MAX

/* Zero-filled is empty. */
struct bh_mac_table {
	struct bh_mac_entry *entries;
	size_t capacity, count;
	int is_full; /* nothing aged was found at full_ns */
	uint64_t full_ns;
};

void bh_mac_table_destroy(struct bh_mac_table *table);
/* A frame from this address came in at port. Ones that are older than ageing_ns give way. Returns
 * 0, or -1 when out of memory. */
int bh_mac_table_learn(struct bh_mac_table *table, const unsigned char mac[6], uint32_t port,
		       uint64_t now_ns, uint64_t ageing_ns);
/* BH_MAC_NO_PORT if unknown or older than ageing_ns. */
uint32_t bh_mac_table_find(const struct bh_mac_table *table, const unsigned char mac[6],
			   uint64_t now_ns, uint64_t ageing_ns);
/* Forgets what was learned at port. */
void bh_mac_table_forget(struct bh_mac_table *table, uint32_t port);

#endif
