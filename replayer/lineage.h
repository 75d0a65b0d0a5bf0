/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Places in a recorded run that a person names: a time, a packet's hop, the failure; and the way a
 * packet took, found by walking from events to their causes. Needs the trace alone, runs nothing.
 * Used by the gdb server (`goto`, `hop`, `reverse-hop`) and cli/cmd_replay.c (--at).
 */
#ifndef BH_REPLAYER_LINEAGE_H
#define BH_REPLAYER_LINEAGE_H

#include "common/error.h"
#include "replayer/engine.h"
#include "traces/trace.h"

/*
 * Where a user who says `goto TEXT` wants to be: "start", "end", "failure", an event's number, a
 * time with its unit ("5.002s": the first event at or after it), PACKET.HOP, or
 * EVENT:TICK:INSTRUCTION as `when` prints it. BH_ERR_USAGE with the valid values otherwise.
 */
struct bh_error *bh_position_parse(const struct bh_trace *trace, const char *text,
				   struct bh_position *position_ret);

/* The event that the run's first failure names; BH_ERR_USAGE if there is none. */
struct bh_error *bh_failure_event(const struct bh_trace *trace, uint64_t *event_ret);

/*
 * From event, which happens on node, back to the nearest frame that node received and that led to
 * it: that RX, and the TX that sent it. BH_ERR_USAGE, in one sentence, when no frame led here.
 */
struct bh_error *bh_hop_back(const struct bh_trace *trace, uint64_t event, uint32_t node,
			     struct bh_event *received_ret, struct bh_event *sent_ret);

/*
 * From event forward to the next frame that was sent while it was handled (or event itself, if it
 * is a TX), and what came of it: its RX, or the LOST that ended it.
 */
struct bh_error *bh_hop_forward(const struct bh_trace *trace, uint64_t event,
				struct bh_event *sent_ret, struct bh_event *arrived_ret);

#endif
