/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pass over a trace that sees what its events don't say: the first bytes of the frames. What it
 * saw comes as a stream of records, in the order of the events that they belong to. Called by
 * packet_cache.c, read by packet_build.c.
 *
 * A record is its type (u8), the number of its event (varint), and:
 *
 *	DEVICE	node, device (varints), name	event 0, at the beginning
 *	FRAME	mark (varint), bytes		of a TX event
 *
 * where bytes and names are a length (varint) and so many bytes.
 */
#ifndef BH_REPLAYER_PACKET_PASS_H
#define BH_REPLAYER_PACKET_PASS_H

#include "common/cursor.h"
#include "replayer/packets.h"

/* Bytes kept of a frame, at most. */
#define BH_PACKET_SNAP 256u

enum bh_pass_record {
	BH_PASS_DEVICE = 1,
	BH_PASS_FRAME,
};

/* The caller frees the stream. BH_ERR_DIVERGED if the run isn't what was recorded. */
struct bh_error *bh_packet_pass(const struct bh_packets_source *source,
				struct bh_buffer *stream_ret);

#endif
