/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which instructions before a system call make room for a jump: see code_windows.c. */
#ifndef BH_POSIX_CODE_WINDOWS_H
#define BH_POSIX_CODE_WINDOWS_H

#include "common/disassemble.h"
#include "posix/internal.h"

struct bh_sweep;

#define BH_WINDOW_MAX 5u

/* Offsets in the file. */
struct bh_window {
	uint64_t start; /* the first instruction that moves */
	uint64_t call;	/* the system call behind them */
	struct bh_instruction instructions[BH_WINDOW_MAX];
	unsigned int count;
	int is_jumped_into;
};

/* Of one segment of text; all three must outlive it. NULL when there is no memory. */
struct bh_sweep *bh_sweep_create(const struct bh_elf *elf, const struct bh_elf_segment *segment,
				 const uint8_t *file);
/* Takes NULL. */
void bh_sweep_destroy(struct bh_sweep *sweep);

/* Is there an instruction of its own at offset? Offsets come in ascending order. */
int bh_sweep_is_instruction(struct bh_sweep *sweep, uint64_t offset);
/* There may be a system call at offset; offsets come in ascending order. */
void bh_sweep_add_call(struct bh_sweep *sweep, uint64_t offset);
/* After all of them: how many have a window, in ascending order. */
size_t bh_sweep_choose_windows(struct bh_sweep *sweep);
const struct bh_window *bh_sweep_window(const struct bh_sweep *sweep, size_t index);

/* Copies the instructions of a window, which lie at from, to another place, at most 50 bytes.
 * Returns the copy's length. */
size_t bh_window_copy(uint8_t *to, const uint8_t *from, const struct bh_window *window);

#endif
