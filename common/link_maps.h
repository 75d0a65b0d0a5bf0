/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells a debugger which images lie where, the way a dynamic linker does: a list of link maps at
 * _r_debug and a function that is called when it has changed (<link.h>, and gdb's solib-svr4.c,
 * which needs nothing else). So an ordinary gdb on a live run has the symbols of every node's
 * kernel and programs, and plants breakpoints in them as soon as they are there.
 *
 * Nothing is told before bh_link_maps_begin(): a replay has a server that knows its images. The
 * list costs some microseconds a program start and no run depends on it. Called by simulator/ for
 * kernel images, by posix/ for programs and their libraries.
 */
#ifndef BH_COMMON_LINK_MAPS_H
#define BH_COMMON_LINK_MAPS_H

#include <link.h>
#include <stddef.h>
#include <stdint.h>

/* gdb reads the first part, our plugin also the rest (gdb-plugin/backhop/live.py). */
struct bh_link_map {
	struct link_map map;
	uint64_t node;
	uint64_t base, size;
	/* Of a kernel, kept by the caller: its struct bh_boot, where the idle task's stack pointer
	 * is while the host runs, and the path of the image. NULL: a program or library. */
	const void *boot;
	const unsigned long *saved_stack;
	const char *image;
};

/* The first of the list; it stands for the executable. */
extern struct bh_link_map bh_link_maps;

/* From now on there is something to tell. Does nothing in a program that has a dynamic linker. */
void bh_link_maps_begin(void);
/*
 * Adds an image: path is the file with its symbols, bias what is to be added to the addresses in
 * it, dynamic the address of its dynamic section; path is copied, the other members of entry are
 * kept. NULL before bh_link_maps_begin(), without memory, and if dynamic is 0.
 */
struct bh_link_map *bh_link_maps_add(const struct bh_link_map *entry, const char *path,
				     uint64_t bias, uint64_t dynamic);
/* Takes NULL. */
void bh_link_maps_remove(struct bh_link_map *entry);
/* A debugger reads the list now. The images' text must be in place, because it may change it. */
void bh_link_maps_publish(void);

#endif
