/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registers that gdb sees, and the target description that tells it of them: x86-64 as gdb
 * knows it, and the feature org.backhop.position. Used by replayer/gdb_server*.c.
 *
 * The numbers go over the wire in p packets and in the bytecode of conditions, so they are pinned.
 */
#ifndef BH_REPLAYER_GDB_TARGET_XML_H
#define BH_REPLAYER_GDB_TARGET_XML_H

#include <stddef.h>

enum bh_gdb_register {
	BH_GDB_RAX,
	BH_GDB_RBX,
	BH_GDB_RCX,
	BH_GDB_RDX,
	BH_GDB_RSI,
	BH_GDB_RDI,
	BH_GDB_RBP,
	BH_GDB_RSP,
	BH_GDB_R8,
	BH_GDB_R9,
	BH_GDB_R10,
	BH_GDB_R11,
	BH_GDB_R12,
	BH_GDB_R13,
	BH_GDB_R14,
	BH_GDB_R15,
	BH_GDB_RIP,
	BH_GDB_EFLAGS,
	BH_GDB_CS,
	BH_GDB_SS,
	BH_GDB_DS,
	BH_GDB_ES,
	BH_GDB_FS,
	BH_GDB_GS,
	BH_GDB_ST0, /* to st7 */
	BH_GDB_FCTRL = BH_GDB_ST0 + 8,
	BH_GDB_FSTAT,
	BH_GDB_FTAG,
	BH_GDB_FISEG,
	BH_GDB_FIOFF,
	BH_GDB_FOSEG,
	BH_GDB_FOOFF,
	BH_GDB_FOP,
	BH_GDB_XMM0, /* to xmm15 */
	BH_GDB_MXCSR = BH_GDB_XMM0 + 16,
	BH_GDB_ORIG_RAX,
	BH_GDB_FS_BASE,
	BH_GDB_GS_BASE,
	BH_GDB_NODE, /* the position: from here on */
	BH_GDB_EVENT,
	BH_GDB_VTIME,
	BH_GDB_PACKET,
	BH_GDB_TASK,
	BH_GDB_PACKET_BREAK,
	BH_GDB_REGISTER_COUNT,
};

#define BH_GDB_POSITION_COUNT (BH_GDB_REGISTER_COUNT - BH_GDB_NODE)

/* Bytes of a register in g and p packets; 0 for a number that is none. */
size_t bh_gdb_register_size(unsigned int number);

/* The annex "target.xml"; static. */
extern const char bh_gdb_target_xml[];

#endif
