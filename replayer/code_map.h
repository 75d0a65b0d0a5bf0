/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the code of a kernel image may be overwritten by a jump of 5 bytes: at whole instructions
 * of one function, of which none but the first is ever jumped or returned to. What can't be shown
 * to be so isn't offered. Used by probe_set.c.
 *
 * How it is known where jumps lead, without symbols (an image has none):
 *  - any five or six bytes of the image that might be a near call or jump, at any offset, count as
 *    one: also those of code that nobody looks at, and those that are no code; the same goes for a
 *    lea that forms an address of code;
 *  - the instructions of the function itself are followed from its entry along all its direct
 *    jumps, into the parts that the compiler put elsewhere, too;
 *  - an indirect jump leads to an address that the image's data holds, all of which the loader must
 *    know to relocate them, or that its own code forms: a table of distances, as compilers make
 *    for a switch, begins where a lea of the function points, and all that it may hold counts;
 *  - places where the kernel goes on after a fault are told by its exception table, with the
 *    addresses.
 * Kernel images never change their own code: they have no static keys, alternatives or ftrace (see
 * kernel-lib/arch/backhop/Kconfig), and other breakpoints are the caller's to look after.
 */
#ifndef BH_REPLAYER_CODE_MAP_H
#define BH_REPLAYER_CODE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "common/disassemble.h"
#include "common/error.h"

#define BH_JUMP_BYTES 5
/* So much behind a window must be there to be read. */
#define BH_CODE_AHEAD 15

struct bh_code_map;

/* Offsets are from the image's base. The arrays must outlive the map. */
struct bh_code_layout {
	const uint8_t
		*text; /* the shared segment as it is mapped at offset 0: code and constants */
	uint64_t size; /* of it */
	const uint32_t *entries; /* functions, ascending */
	size_t entry_count;
	/* Calls bh_code_map_add_target() for each address that data or exception tables hold. Asked
	 * when it is first needed. NULL: there are none. */
	void (*tell_targets)(void *arg, struct bh_code_map *map);
	void *arg;
};

struct bh_error *bh_code_map_create(const struct bh_code_layout *layout,
				    struct bh_code_map **map_ret);
void bh_code_map_destroy(struct bh_code_map *map);
void bh_code_map_add_target(struct bh_code_map *map, uint64_t offset);

/*
 * How many bytes of whole instructions from offset on may give way to a jump there; 0: none. Behind
 * a return or a jump they may include what fills the gap to the next function.
 */
size_t bh_code_map_window(struct bh_code_map *map, uint64_t offset);
/* The instruction at offset, as it is before anything is planted: its bytes, of which available can
 * be read. NULL: there is no code. */
const uint8_t *bh_code_map_bytes(const struct bh_code_map *map, uint64_t offset,
				 size_t *available_ret);
struct bh_disassembler *bh_code_map_disassembler(const struct bh_code_map *map);

#endif
