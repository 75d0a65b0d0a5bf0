/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions and lines of an ELF file's code: the door to libdw. Used for backtraces of kernels and
 * programs, and for the places where packets were dropped.
 */
#ifndef BH_COMMON_SYMBOLS_H
#define BH_COMMON_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

struct bh_symbols;

/* NULL if the file can't be read or says nothing. What it knows without debug information are the
 * names of functions. */
struct bh_symbols *bh_symbols_open(const char *path);
/* The file with the debug information of a kernel image: image.debug beside it. */
struct bh_symbols *bh_symbols_open_image(const char *image_path);
/* Takes NULL. */
void bh_symbols_close(struct bh_symbols *symbols);

/*
 * Writes "nf_hook_slow+0x31 (net/netfilter/core.c:614)" for an address in the file; without a line
 * if there is none. Returns 0 and writes nothing if not even a function is known. symbols may be
 * NULL.
 */
int bh_symbols_describe(const struct bh_symbols *symbols, uint64_t address, char *text_ret,
			size_t size);
/* Only the function's name. */
int bh_symbols_function(const struct bh_symbols *symbols, uint64_t address, char *text_ret,
			size_t size);

#endif
