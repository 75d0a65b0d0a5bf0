/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions that are executed at another place than their own, with the same effect: they read
 * and write the same memory, and leave the same registers, flags and stack. Used by probe_set.c for
 * those over which it writes a jump or an int3.
 *
 * A call pushes the address behind the original instruction: whoever walks the stack, goes to sleep
 * in the callee or returns from it never meets an address of the displaced code.
 */
#ifndef BH_REPLAYER_DISPLACE_H
#define BH_REPLAYER_DISPLACE_H

#include <stddef.h>
#include <stdint.h>

#include "common/disassemble.h"

/* A jump takes 5 bytes, so at most this many instructions give way to one. */
#define BH_DISPLACED_MAX 5

struct bh_displaced {
	uint64_t from, to; /* addresses of the original code and of the displaced one */
	uint8_t window;	   /* bytes of the original that were displaced */
	uint8_t size;	   /* bytes of the displaced code, with the jump back */
	uint8_t count;	   /* instructions; what only fills a gap doesn't count */
	uint8_t original[BH_DISPLACED_MAX], moved[BH_DISPLACED_MAX]; /* where each begins */
};

struct bh_displace_request {
	const uint8_t *code; /* what is at from; at least 15 bytes more than window can be read */
	uint64_t from, to;
	size_t window; /* whole instructions, as bh_code_map_window() has it */
	uint64_t slot; /* address of a word beside `to` that calls use */
	uint8_t *room;
	size_t capacity;
	int is_far; /* more than 2 GiB from its place; then operands relative to it are refused */
};

/* Writes the displaced code. Returns 0 if that can't be done with certainty. */
int bh_displace(struct bh_disassembler *disassembler, const struct bh_displace_request *request,
		struct bh_displaced *displaced_ret);

/* Where the displaced code has the instruction at address; 0 if it hasn't. */
uint64_t bh_displaced_address(const struct bh_displaced *displaced, uint64_t address);
/* The other way round, for an address at which a signal stops the displaced code; 0 if that isn't
 * there. pushed_ret: bytes that a call has put on the stack already, though it didn't happen. */
uint64_t bh_displaced_origin(const struct bh_displaced *displaced, uint64_t address,
			     uint64_t *pushed_ret);

/* One that does nothing, or that is never executed: between functions, behind a jump. */
int bh_is_filler(const uint8_t *code, size_t length);

#endif
