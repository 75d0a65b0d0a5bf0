/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers: those of the machine, and the position ($node, $event, $vtime, $packet, $task,
 * $packet_break), which gdb can use like any register, so also in conditions that are checked here.
 * Called by gdb_server.c, gdb_server_resume.c for stop replies and gdb_server_breakpoint.c for
 * conditions.
 *
 * A thread without the CPU has only what its switch saved; its other registers are unavailable.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "replayer/gdb_server_state.h"

/* Where the general registers lie, in gdb's order. */
static const size_t offsets[] = {
	offsetof(struct user_regs_struct, rax), offsetof(struct user_regs_struct, rbx),
	offsetof(struct user_regs_struct, rcx), offsetof(struct user_regs_struct, rdx),
	offsetof(struct user_regs_struct, rsi), offsetof(struct user_regs_struct, rdi),
	offsetof(struct user_regs_struct, rbp), offsetof(struct user_regs_struct, rsp),
	offsetof(struct user_regs_struct, r8),	offsetof(struct user_regs_struct, r9),
	offsetof(struct user_regs_struct, r10), offsetof(struct user_regs_struct, r11),
	offsetof(struct user_regs_struct, r12), offsetof(struct user_regs_struct, r13),
	offsetof(struct user_regs_struct, r14), offsetof(struct user_regs_struct, r15),
	offsetof(struct user_regs_struct, rip), offsetof(struct user_regs_struct, eflags),
	offsetof(struct user_regs_struct, cs),	offsetof(struct user_regs_struct, ss),
	offsetof(struct user_regs_struct, ds),	offsetof(struct user_regs_struct, es),
	offsetof(struct user_regs_struct, fs),	offsetof(struct user_regs_struct, gs),
};

static int is_saved_by_switch(unsigned int number)
{
	return number == BH_GDB_RBX || number == BH_GDB_RBP || number == BH_GDB_RSP ||
	       number == BH_GDB_RIP || (number >= BH_GDB_R12 && number <= BH_GDB_R15);
}

int bh_gdb_snapshot_take(struct bh_gdb_server *server, uint64_t thread, int with_fp,
			 struct bh_gdb_snapshot *snapshot_ret)
{
	struct bh_replay *replay = server->replay;
	struct bh_error *error;
	uint64_t *position = snapshot_ret->position;

	memset(snapshot_ret, 0, sizeof(*snapshot_ret));
	error = bh_replay_registers(replay, thread, &snapshot_ret->registers);
	if (error) {
		bh_error_free(error);
		return -1;
	}
	snapshot_ret->is_running = thread == bh_replay_thread(replay);
	if (with_fp && snapshot_ret->is_running) {
		error = bh_replay_fp_registers(replay, &snapshot_ret->fp);
		snapshot_ret->has_fp = !error;
		bh_error_free(error);
	}
	position[BH_GDB_EVENT - BH_GDB_NODE] = bh_replay_position(replay).event;
	position[BH_GDB_VTIME - BH_GDB_NODE] = bh_replay_vtime_ns(replay);
	position[BH_GDB_PACKET - BH_GDB_NODE] = bh_replay_packet(replay);
	position[BH_GDB_PACKET_BREAK - BH_GDB_NODE] =
		bh_gdb_packet_breaks(server, position[BH_GDB_EVENT - BH_GDB_NODE]);
	/* Thread ids are made of node and pid (engine.h). The simulator itself, thread 1, has
	 * neither: -1. */
	position[0] = (thread >> 24) - 1;
	position[BH_GDB_TASK - BH_GDB_NODE] = thread == 1 ? UINT64_MAX : (thread & 0xffffff) - 1;
	return 0;
}

int bh_gdb_register_here(struct bh_gdb_server *server, unsigned int number, uint64_t *value_ret)
{
	struct bh_replay *replay = server->replay;
	struct user_regs_struct registers;

	if (number == BH_GDB_EVENT) {
		*value_ret = bh_replay_position(replay).event;
	} else if (number == BH_GDB_VTIME) {
		*value_ret = bh_replay_vtime_ns(replay);
	} else if (number == BH_GDB_PACKET) {
		*value_ret = bh_replay_packet(replay);
	} else if (number <= BH_GDB_GS) {
		struct bh_error *error = bh_replay_registers(replay, 0, &registers);
		if (error) {
			bh_error_free(error);
			return -1;
		}
		memcpy(value_ret, (const char *)&registers + offsets[number], sizeof(*value_ret));
	} else {
		return -1;
	}
	return 0;
}

static void put(uint8_t *bytes_ret, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes_ret[i] = (uint8_t)(value >> (8 * i));
}

/* gdb wants the full tag word of fnsave, two bits a register in the order of the hardware; fxsave
 * stores one bit: empty or not. What a register holds decides between valid, zero and special. */
static uint64_t full_tags(const struct user_fpregs_struct *fp)
{
	uint64_t tags = 0;
	unsigned int top = fp->swd >> 11 & 7;

	for (unsigned int hardware = 0; hardware < 8; hardware++) {
		const uint8_t *value =
			(const uint8_t *)fp->st_space + (hardware - top + 8) % 8 * 16;
		unsigned int exponent = value[8] | (value[9] & 0x7fu) << 8;
		uint64_t mantissa, tag;

		memcpy(&mantissa, value, sizeof(mantissa));
		if (!(fp->ftw >> hardware & 1))
			tag = 3;
		else if (exponent == 0 && mantissa == 0)
			tag = 1;
		else
			tag = exponent == 0x7fff || !(mantissa >> 63) ? 2 : 0;
		tags |= tag << (2 * hardware);
	}
	return tags;
}

static uint64_t fp_control(const struct user_fpregs_struct *fp, unsigned int number)
{
	switch (number) {
	case BH_GDB_FCTRL:
		return fp->cwd;
	case BH_GDB_FSTAT:
		return fp->swd;
	case BH_GDB_FTAG:
		return full_tags(fp);
	case BH_GDB_FISEG:
		return fp->rip >> 32 & 0xffff;
	case BH_GDB_FIOFF:
		return fp->rip & 0xffffffff;
	case BH_GDB_FOSEG:
		return fp->rdp >> 32 & 0xffff;
	case BH_GDB_FOOFF:
		return fp->rdp & 0xffffffff;
	case BH_GDB_FOP:
		return fp->fop;
	default:
		return fp->mxcsr;
	}
}

size_t bh_gdb_register_value(const struct bh_gdb_snapshot *snapshot, unsigned int number,
			     uint8_t *bytes_ret)
{
	size_t size = bh_gdb_register_size(number);
	uint64_t value;

	if (number >= BH_GDB_NODE && size) {
		put(bytes_ret, snapshot->position[number - BH_GDB_NODE], size);
		return size;
	}
	if (!snapshot->is_running && !is_saved_by_switch(number))
		return 0;
	if (number < BH_GDB_ST0) {
		memcpy(&value, (const char *)&snapshot->registers + offsets[number], sizeof(value));
		put(bytes_ret, value, size);
	} else if (number >= BH_GDB_ORIG_RAX && size) {
		value = number == BH_GDB_ORIG_RAX  ? snapshot->registers.orig_rax
			: number == BH_GDB_FS_BASE ? snapshot->registers.fs_base
						   : snapshot->registers.gs_base;
		put(bytes_ret, value, size);
	} else if (!snapshot->has_fp) {
		return 0;
	} else if (number < BH_GDB_FCTRL) {
		memcpy(bytes_ret, (const char *)snapshot->fp.st_space + (number - BH_GDB_ST0) * 16,
		       size);
	} else if (number >= BH_GDB_XMM0 && number < BH_GDB_MXCSR) {
		memcpy(bytes_ret,
		       (const char *)snapshot->fp.xmm_space + (number - BH_GDB_XMM0) * 16, size);
	} else {
		put(bytes_ret, fp_control(&snapshot->fp, number), size);
	}
	return size;
}

static void add_register(struct bh_gdb_server *server, const struct bh_gdb_snapshot *snapshot,
			 unsigned int number)
{
	uint8_t bytes[16];
	size_t size = bh_gdb_register_value(snapshot, number, bytes);

	if (size) {
		bh_rsp_hex(&server->reply, bytes, size);
		return;
	}
	for (size = bh_gdb_register_size(number); size; size--)
		bh_rsp_text(&server->reply, "xx");
}

void bh_gdb_registers_read(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	struct bh_gdb_snapshot snapshot;

	if (bh_gdb_snapshot_take(server, bh_gdb_general_thread(server), 1, &snapshot)) {
		bh_gdb_refuse(server, "the registers of this thread can't be read");
		return;
	}
	for (unsigned int number = 0; number < BH_GDB_REGISTER_COUNT; number++)
		add_register(server, &snapshot, number);
}

void bh_gdb_register_read(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	uint64_t number = bh_rsp_scan_hex(scan);
	struct bh_gdb_snapshot snapshot;

	if (scan->failed || number >= BH_GDB_REGISTER_COUNT) {
		bh_gdb_refuse(server, "there is no such register");
		return;
	}
	if (bh_gdb_snapshot_take(server, bh_gdb_general_thread(server), number >= BH_GDB_ST0,
				 &snapshot))
		bh_gdb_refuse(server, "the registers of this thread can't be read");
	else
		add_register(server, &snapshot, (unsigned int)number);
}

/* --- writing, which begins a throw-away branch --- */

static uint64_t get(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0;

	while (size--)
		value = value << 8 | bytes[size];
	return value;
}

/* The inverse of full_tags(): one bit a register, set unless it is empty. */
static uint16_t short_tags(uint64_t tags)
{
	uint16_t bits = 0;

	for (unsigned int hardware = 0; hardware < 8; hardware++)
		bits |= (uint16_t)((tags >> (2 * hardware) & 3) != 3) << hardware;
	return bits;
}

static void set_fp_control(struct user_fpregs_struct *fp, unsigned int number, uint64_t value)
{
	switch (number) {
	case BH_GDB_FCTRL:
		fp->cwd = (uint16_t)value;
		break;
	case BH_GDB_FSTAT:
		fp->swd = (uint16_t)value;
		break;
	case BH_GDB_FTAG:
		fp->ftw = short_tags(value);
		break;
	case BH_GDB_FISEG:
		fp->rip = (fp->rip & ~0xffff00000000ull) | (value & 0xffff) << 32;
		break;
	case BH_GDB_FIOFF:
		fp->rip = (fp->rip & ~0xffffffffull) | (value & 0xffffffff);
		break;
	case BH_GDB_FOSEG:
		fp->rdp = (fp->rdp & ~0xffff00000000ull) | (value & 0xffff) << 32;
		break;
	case BH_GDB_FOOFF:
		fp->rdp = (fp->rdp & ~0xffffffffull) | (value & 0xffffffff);
		break;
	case BH_GDB_FOP:
		fp->fop = (uint16_t)value;
		break;
	default:
		fp->mxcsr = (uint32_t)value;
		break;
	}
}

static void set_register(struct bh_gdb_snapshot *snapshot, unsigned int number,
			 const uint8_t *bytes)
{
	size_t size = bh_gdb_register_size(number);
	uint64_t value = get(bytes, size < sizeof(value) ? size : sizeof(value));

	if (number < BH_GDB_ST0)
		memcpy((char *)&snapshot->registers + offsets[number], &value, sizeof(value));
	else if (number < BH_GDB_FCTRL)
		memcpy((char *)snapshot->fp.st_space + (number - BH_GDB_ST0) * 16, bytes, size);
	else if (number >= BH_GDB_XMM0 && number < BH_GDB_MXCSR)
		memcpy((char *)snapshot->fp.xmm_space + (number - BH_GDB_XMM0) * 16, bytes, size);
	else if (number < BH_GDB_ORIG_RAX)
		set_fp_control(&snapshot->fp, number, value);
	else if (number == BH_GDB_FS_BASE)
		snapshot->registers.fs_base = value;
	else if (number == BH_GDB_GS_BASE)
		snapshot->registers.gs_base = value;
}

/* Takes over one register. Returns non-zero, with the refusal, if it can't be set. */
static int change(struct bh_gdb_server *server, struct bh_gdb_snapshot *snapshot,
		  unsigned int number, const uint8_t *bytes)
{
	uint8_t now[16];
	size_t size = bh_gdb_register_value(snapshot, number, now);

	if (size && !memcmp(now, bytes, size))
		return 0;
	if (number >= BH_GDB_NODE) {
		bh_gdb_refuse(server, "this register says where the replay is; go elsewhere with "
				      "goto, node or thread");
		return -1;
	}
	set_register(snapshot, number, bytes);
	return 0;
}

/* The state that a write starts from. Returns non-zero, with the refusal, if there is none. */
static int begin_change(struct bh_gdb_server *server, struct bh_gdb_snapshot *snapshot_ret)
{
	uint64_t thread = bh_gdb_general_thread(server);

	if (thread == bh_replay_thread(server->replay) &&
	    !bh_gdb_snapshot_take(server, thread, 1, snapshot_ret) && snapshot_ret->has_fp)
		return 0;
	bh_gdb_refuse(server, "only the thread that has the CPU can be changed or call functions; "
			      "`info threads` says which one is running");
	return -1;
}

static void end_change(struct bh_gdb_server *server, const struct bh_gdb_snapshot *before,
		       const struct bh_gdb_snapshot *after)
{
	struct bh_error *error = NULL;

	if (memcmp(&before->registers, &after->registers, sizeof(after->registers)))
		error = bh_replay_set_registers(server->replay, &after->registers);
	if (!error && memcmp(&before->fp, &after->fp, sizeof(after->fp)))
		error = bh_replay_set_fp_registers(server->replay, &after->fp);
	if (error)
		bh_gdb_refuse_error(server, error);
	else
		bh_rsp_text(&server->reply, "OK");
}

/* number "=" bytes */
void bh_gdb_register_write(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	struct bh_gdb_snapshot before, after;
	uint64_t number = bh_rsp_scan_hex(scan);
	size_t length = 0;
	uint8_t *bytes;

	bh_rsp_scan_expect(scan, "=");
	bytes = bh_rsp_scan_bytes(scan, &length);
	if (!bytes || number >= BH_GDB_REGISTER_COUNT ||
	    length != bh_gdb_register_size((unsigned int)number)) {
		bh_gdb_refuse(server, "there is no such register of this size");
	} else if (!begin_change(server, &before)) {
		after = before;
		if (!change(server, &after, (unsigned int)number, bytes))
			end_change(server, &before, &after);
	}
	free(bytes);
}

/* All of them in the order of their numbers, those that gdb doesn't know as "xx". */
void bh_gdb_registers_write(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	struct bh_gdb_snapshot before, after;

	if (!bh_rsp_scan_left(scan)) {
		bh_gdb_refuse(server, "registers are written in hexadecimal");
		return;
	}
	if (begin_change(server, &before))
		return;
	after = before;
	for (unsigned int number = 0; number < BH_GDB_REGISTER_COUNT; number++) {
		size_t size = bh_gdb_register_size(number);
		struct bh_rsp_scan piece;
		uint8_t *bytes;

		if (bh_rsp_scan_left(scan) < 2 * size)
			break;
		bh_rsp_scan_init(&piece, scan->at, 2 * size);
		scan->at += 2 * size;
		if (piece.at[0] == 'x')
			continue;
		bytes = bh_rsp_scan_bytes(&piece, &size);
		if (!bytes || size != bh_gdb_register_size(number) ||
		    change(server, &after, number, bytes)) {
			if (!server->reply.length)
				bh_gdb_refuse(server, "registers are written in hexadecimal");
			free(bytes);
			return;
		}
		free(bytes);
	}
	end_change(server, &before, &after);
}
