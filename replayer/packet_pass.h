/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pass over a trace that sees what its events don't say: the first bytes of the frames, what
 * made them and who read them. It comes as a stream of records, in the order of the events that
 * they belong to. Called by packet_cache.c, read by packet_records.c.
 *
 * A record is its type (u8), the number of its event (varint), and what is below: names and bytes
 * are a length (varint) and so many bytes, all else is varints.
 *
 * DEVICE (event 0): node, device, name.
 *
 * MISSING (event 0): path of a kernel image without debug information.
 *
 * FRAME (of a TX): mark, bytes.
 *
 * UNSENT (of a DROP): mark, length of the whole, bytes.
 *
 * MARK, before the first record that names it: the mark; its kind (enum bh_packet_origin_kind),
 * event and virtual time; node, pid; number of the system call + 1 or 0; lineage of what it is a
 * part of or 0; name of the program.
 *
 * READ, by a program: lineage, node, pid, name, and (u8) whether it only watches.
 *
 * MERGED: lineage of one buffer, that of the one that took it in, node.
 *
 * FREED, one of the packet's buffers: lineage, node.
 *
 * IGNORED, by a device that it wasn't for: lineage, node.
 */
#ifndef BH_REPLAYER_PACKET_PASS_H
#define BH_REPLAYER_PACKET_PASS_H

#include "common/cursor.h"
#include "replayer/confined_run.h"
#include "replayer/engine.h"
#include "replayer/packets.h"
#include "replayer/rerun.h"

/* Bytes kept of a frame, at most. */
#define BH_PACKET_SNAP 256u

enum bh_pass_record {
	BH_PASS_DEVICE = 1,
	BH_PASS_FRAME,
	BH_PASS_UNSENT,
	BH_PASS_MARK,
	BH_PASS_READ,
	BH_PASS_MERGED,
	BH_PASS_FREED,
	BH_PASS_MISSING,
	BH_PASS_IGNORED,
};

/* The caller frees the stream. BH_ERR_DIVERGED if the run isn't what was recorded. */
struct bh_error *bh_packet_pass(const struct bh_packets_source *source,
				struct bh_buffer *stream_ret);
/* Runs the source's trace again, confined, for the listener: run as bh_confined_run() wants it, but
 * for its rerun, which is made and destroyed here. BH_ERR_DIVERGED, with where, if the run isn't
 * what was recorded, and what is lost by that; the stream is the caller's either way. */
struct bh_error *bh_packet_rerun(const struct bh_packets_source *source,
				 const struct bh_rerun_listener *listener,
				 struct bh_confined_run *run, const char *loss);

#endif
