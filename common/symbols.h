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

/* The address of a function; 0 if there is none of this name. */
uint64_t bh_symbols_address(const struct bh_symbols *symbols, const char *function);
/* The offset in bytes of a structure's member ("sk_buff", "head"), which may be in an unnamed part
 * of it, as the source file that has the function sees it. Returns 0 if it isn't known. */
int bh_symbols_member(const struct bh_symbols *symbols, uint64_t function, const char *structure,
		      const char *member, uint64_t *offset_ret);

/*
 * Calls found() for each function that takes pointers to a structure as arguments, with a bit set
 * for each of the first six that is one and is in its register when the function is entered. In no
 * particular order, and a function more than once if several source files have it. Goes through all
 * debug information: takes seconds for a kernel.
 */
void bh_symbols_takers(const struct bh_symbols *symbols, const char *structure,
		       void (*found)(void *arg, uint64_t address, const char *function,
				     unsigned int arguments),
		       void *arg);

/* --- stacks of programs --- */

/* In DWARF's order: rax rdx rcx rbx rsi rdi rbp rsp r8 ... r15 rip. */
#define BH_STACK_REGISTERS 17

/* A program or library in memory: the file, and what to add to its addresses. */
struct bh_stack_image {
	const char *path;
	uint64_t bias;
};

struct bh_stack {
	uint64_t registers[BH_STACK_REGISTERS];
	const struct bh_stack_image *images;
	size_t image_count;
	void *arg;
	/* 8 bytes of the program at address: 1, or 0 if it can't be read. */
	int (*read)(void *arg, uint64_t address, uint64_t *word_ret);
};

/* Program counters from the innermost frame outwards, at most max, by the files' unwind tables;
 * returns how many. Needs a stack of a host's program, not of a kernel task. */
size_t bh_stack_walk(const struct bh_stack *stack, uint64_t *counters_ret, size_t max);

#endif
