/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probes of a pass over a trace (packet_pass.h): who makes a buffer, who reads it, what is cut
 * or put together. Called by packet_pass.c, in the child that runs the nodes.
 *
 * A buffer that came over no link has no lineage, and what the kernel carries along for it is free.
 * There the probes put a mark: before a task allocates a buffer, they write a fresh number to the
 * task, from which generic code takes it (kcov_common_handle() in net/core/skbuff.c), and remember
 * which system call of which program that was. The mark has no hop count, so nothing that the run
 * depends on reads it (simulator/lineage.h).
 */
#ifndef BH_REPLAYER_PACKET_PROBES_H
#define BH_REPLAYER_PACKET_PROBES_H

#include "common/cursor.h"
#include "replayer/rerun.h"

struct bh_packet_probes;

/* Wants to know of all functions that take socket buffers, instead of the records. */
struct bh_packet_tracer {
	void *arg;
	/* A function was entered with a buffer of this lineage; bh_gate says when. */
	void (*entered)(void *arg, uint32_t node, const char *function, uint64_t skb,
			uint64_t lineage);
	const char *folder; /* for bh_skb_functions() */
};

/*
 * Plants probes in all nodes. Records go to stream; of kernels without debug information there is
 * only a MISSING record, or an error if there is a tracer (else NULL), which must live as long as
 * the child.
 */
struct bh_error *bh_packet_probes_create(struct bh_rerun *rerun, struct bh_buffer *stream,
					 const struct bh_packet_tracer *tracer,
					 struct bh_packet_probes **probes_ret);
/* A record that says what a mark means, if it hasn't been told. */
void bh_packet_probes_tell(struct bh_packet_probes *probes, uint64_t event, uint64_t mark);
/* The bytes of the buffer that a node is just about to tell the drop of: as bh_skb_copy_frame(). */
size_t bh_packet_probes_dropped(struct bh_packet_probes *probes, uint8_t *frame_ret, size_t size,
				size_t *length_ret);

#endif
