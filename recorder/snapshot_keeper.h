/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a recording takes snapshots of its process (snapshots/snapshot.h): as often as it can afford
 * them. For recorder.c only.
 */
#ifndef BH_RECORDER_SNAPSHOT_KEEPER_H
#define BH_RECORDER_SNAPSHOT_KEEPER_H

#include <stdint.h>

#include "common/error.h"
#include "simulator/sim.h"

struct bh_snapshot_keeper;

/* spacing_ns: CPU time from one to the next; 0: as they cost little. NULL where there can't be any.
 */
struct bh_snapshot_keeper *bh_snapshot_keeper_create(uint64_t spacing_ns);
/* Takes NULL. */
void bh_snapshot_keeper_destroy(struct bh_snapshot_keeper *keeper);

/* Between two events, now and then, at that time of the host: takes one if it is time for it. In
 * each process that is made of that, it returns with *is_restored_ret set. */
struct bh_error *bh_snapshot_keeper_look(struct bh_snapshot_keeper *keeper, struct bh_sim *sim,
					 uint64_t host_ns, int *is_restored_ret);
/* The run's trace is whole and has this key; of a keeper that took none nothing is kept. */
void bh_snapshot_keeper_finish(struct bh_snapshot_keeper *keeper, const uint8_t key[16]);

#endif
