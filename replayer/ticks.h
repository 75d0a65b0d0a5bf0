/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ticks: counting the function entries of a kernel image, only while somebody wants to know.
 *
 * Every function of an image begins with one 5-byte NOP. For counting, the image's text pages are
 * replaced by a copy in which each of these NOPs is a jump to a stub of its own; the stub counts in
 * bh_tick_state, changes no register, flag or byte of a stack, stops (int3) when the count reaches
 * bh_tick_state.stop, and goes on behind the NOP. The copy lies in a memory file which is made once
 * for an image: switching a node over is three mmap calls, costs no copying, and all nodes with
 * this image and all checkpoints share its pages. It works at any base, because everything in it is
 * relative to itself but for the address of bh_tick_state.
 *
 * Called by copy.c; the image's layout comes from kernel-lib/ by way of engine.c, or from a test.
 */
#ifndef BH_REPLAYER_TICKS_H
#define BH_REPLAYER_TICKS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define BH_ENTRY_BYTES 5
/* 0f 1f 44 00 00: nopl 0(%rax,%rax) */
extern const uint8_t bh_entry_nop[BH_ENTRY_BYTES];

/* In the tracee; the tracer writes it before each run. */
struct bh_tick_state {
	volatile uint64_t count; /* entries executed since the event or since the tracer set it */
	volatile uint64_t stop;	 /* int3 when count reaches it; 0: never */
};
extern struct bh_tick_state bh_tick_state;

struct bh_tick_text;

/* What mmap is to be called with in the tracee. */
struct bh_map_request {
	uint64_t address, size;
	int protection, flags, fd;
	uint64_t offset;
};
#define BH_TICK_REQUESTS 3 /* at most, for one node */
#define BH_MAP_INBOX	 64
/* In the tracee: the tracer fills this and has bh_map_run(count) called; 0 or -errno. */
extern struct bh_map_request bh_map_inbox[BH_MAP_INBOX];
long bh_map_run(long count);

struct bh_tick_layout {
	const void *text;	 /* text pages as mapped, whole pages */
	uint64_t text_offset;	 /* from the image's base, page-aligned */
	uint64_t text_size;	 /* bytes, a multiple of the page size */
	const uint32_t *entries; /* offsets of the NOPs from the image's base, ascending */
	size_t entry_count;
	int64_t stub_offset; /* from the image's base to where stubs may lie, page-aligned, at
			      * most 1.9 GiB away; bh_tick_text_stub_size() bytes are used */
};

/* Copies all. The file descriptor in it must exist in the tracee: create it before the fork. */
struct bh_error *bh_tick_text_create(const struct bh_tick_layout *layout,
				     struct bh_tick_text **text_ret);
void bh_tick_text_destroy(struct bh_tick_text *text);
uint64_t bh_tick_text_stub_size(size_t entry_count);

/* Number of requests written that switch counting on or off at an image mapped at base. */
size_t bh_tick_text_requests(const struct bh_tick_text *text, uint64_t base, int is_counting,
			     struct bh_map_request requests_ret[BH_TICK_REQUESTS]);

/* Offset from base of so many pages beside the stubs, for probes (probe.h), and of one behind them,
 * for displaced instructions of programs (copy_over.c). */
#define BH_PROBE_PAGES 8
uint64_t bh_tick_text_probe_pages(const struct bh_tick_text *text);
uint64_t bh_tick_text_over_page(const struct bh_tick_text *text);
/* Is there an entry at base + offset? */
int bh_tick_text_is_entry(const struct bh_tick_text *text, uint64_t offset);
/* Number of the first entry at or above offset (entry_count if none), and its offset. */
size_t bh_tick_text_find(const struct bh_tick_text *text, uint64_t offset);
size_t bh_tick_text_entry_count(const struct bh_tick_text *text);
uint64_t bh_tick_text_entry(const struct bh_tick_text *text, size_t number);
/* Is base + offset in the text pages that are exchanged? */
int bh_tick_text_contains(const struct bh_tick_text *text, uint64_t offset);
/* Offset from base behind the int3 of a tick stop, and of the word that says where to go on. */
uint64_t bh_tick_text_trap(const struct bh_tick_text *text);
uint64_t bh_tick_text_return_slot(const struct bh_tick_text *text);

#endif
