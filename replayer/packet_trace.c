/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel functions that handled a packet, from a rerun with probes on all that take socket
 * buffers: see packets.h. Called by cli/cmd_packets.c and the gdb server.
 *
 * A buffer that came over a link has the packet's lineage. At the node that made the packet there
 * is none: there the child tells of all buffers without one, and when the frame has left, it is
 * known which buffer that was, and so what its mark is, and since when it has been this buffer.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "replayer/confined_run.h"
#include "replayer/packet_pass.h"
#include "replayer/packet_probes.h"
#include "replayer/packet_table.h"
#include "simulator/gate.h"
#include "simulator/lineage.h"

#define BLOCK_BYTES (1u << 18)
#define NAME_BYTES  64u

/* Where a buffer leaves the node (netdev.c), is dropped (drops.c), and is freed. */
#define SENDER	"port_transmit"
#define DROPPER "packet_dropped"
#define FREER	"skb_release_head_state"

/*
 * Records of the stream: their type (u8); of ENTERED: event, tick, virtual time, node, buffer,
 * lineage (varints) and the function's name (sized).
 */
enum record { RECORD_ENTERED = 1, RECORD_LEFT };

/* What the child knows. */
struct tracing {
	struct bh_confined_run run;
	const struct bh_packet *packet;
	struct bh_packet_tracer tracer;
	struct bh_packet_probes *probes;
	uint64_t first, last; /* events */
	int has_left;	      /* the node that made it */
};

struct step {
	struct bh_packet_entry step;
	uint64_t skb, lineage;
};

struct bh_packet_trace {
	struct bh_packets names; /* of functions */
	struct bh_packet_entry *steps;
	size_t count;
};

/* --- in the child --- */

/* Only where the packet was, as far as it had come: its children have the same lineage. */
static int is_on_its_way(const struct bh_packet *packet, uint32_t node, uint32_t hop)
{
	for (size_t i = 0; i < packet->hop_count; i++)
		if (packet->hops[i].node == node && packet->hops[i].hop == hop)
			return 1;
	return 0;
}

static int is_wanted(const struct tracing *tracing, uint32_t node, uint64_t lineage)
{
	const struct bh_packet *packet = tracing->packet;
	uint32_t hop = bh_lineage_hop(lineage);

	if (bh_gate.event < tracing->first || bh_gate.event > tracing->last)
		return 0;
	if (hop)
		return bh_lineage_packet(lineage) == packet->lineage &&
		       is_on_its_way(packet, node, hop);
	return node == packet->from && !tracing->has_left;
}

static void observe_entered(void *arg, uint32_t node, const char *function, uint64_t skb,
			    uint64_t lineage)
{
	struct tracing *tracing = arg;
	struct bh_buffer *stream = &tracing->run.stream;

	if (!is_wanted(tracing, node, lineage))
		return;
	bh_buffer_u8(stream, RECORD_ENTERED);
	bh_buffer_varint(stream, bh_gate.event);
	bh_buffer_varint(stream, bh_gate.tick);
	bh_buffer_varint(stream, bh_gate.vtime_ns);
	bh_buffer_varint(stream, node);
	bh_buffer_varint(stream, skb);
	bh_buffer_varint(stream, lineage);
	bh_buffer_string(stream, function);
}

static void leave(struct tracing *tracing, const struct bh_event *event)
{
	if (event->event != tracing->packet->id)
		return;
	bh_buffer_u8(&tracing->run.stream, RECORD_LEFT);
	tracing->has_left = 1;
}

static void observe_sent(void *arg, const struct bh_event *event, const void *data, size_t length,
			 uint64_t lineage)
{
	leave(arg, event);
}

static void observe_dropped(void *arg, const struct bh_event *event, uint64_t lineage)
{
	leave(arg, event);
}

static int observe_between(void *arg)
{
	struct tracing *tracing = arg;

	return bh_confined_run_flush(&tracing->run, BLOCK_BYTES) || bh_gate.event > tracing->last;
}

static struct bh_error *prepare(void *arg, struct bh_rerun *rerun)
{
	struct tracing *tracing = arg;

	return bh_packet_probes_create(rerun, &tracing->run.stream, &tracing->tracer,
				       &tracing->probes);
}

/* --- in the parent --- */

static struct bh_error *bad_stream(void)
{
	return bh_error_new(BH_ERR_INTERNAL, "the replay told something malformed");
}

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory for the functions of a packet");
}

static int read_step(struct bh_packet_trace *trace, struct bh_cursor *cursor, size_t node_count,
		     struct step *step_ret)
{
	struct step step = {0};

	step.step.event = bh_cursor_varint(cursor);
	step.step.tick = bh_cursor_varint(cursor);
	step.step.vtime_ns = bh_cursor_varint(cursor);
	uint64_t node = bh_cursor_varint(cursor);

	step.skb = bh_cursor_varint(cursor);
	step.lineage = bh_cursor_varint(cursor);
	uint64_t length = bh_cursor_varint(cursor);
	const char *name = length < NAME_BYTES ? bh_cursor_bytes(cursor, length) : NULL;

	if (!name || node >= node_count)
		return 0;
	step.step.node = (uint32_t)node;
	step.step.hop = bh_lineage_hop(step.lineage);
	step.step.function = bh_packets_keep(&trace->names, name, length);
	*step_ret = step;
	return step.step.function != NULL;
}

static struct bh_error *read_steps(struct bh_packet_trace *trace, const struct bh_buffer *stream,
				   size_t node_count, struct step **steps_ret, size_t *count_ret,
				   size_t *left_ret)
{
	struct bh_cursor cursor;
	size_t room = 0;

	bh_cursor_init(&cursor, stream->bytes, stream->length);
	while (bh_cursor_left(&cursor) && !cursor.failed) {
		uint8_t type = bh_cursor_u8(&cursor);

		if (type == RECORD_LEFT) {
			*left_ret = *count_ret;
			continue;
		}
		if (*count_ret == room) {
			room = room ? room * 2 : 1024;
			void *grown = realloc(*steps_ret, room * sizeof(**steps_ret));

			if (!grown)
				return out_of_memory();
			*steps_ret = grown;
		}
		if (type != RECORD_ENTERED ||
		    !read_step(trace, &cursor, node_count, &(*steps_ret)[*count_ret]))
			return bad_stream();
		++*count_ret;
	}
	return cursor.failed ? bad_stream() : NULL;
}

/*
 * Of the steps before the frame left, those with its buffer. Two things tell: the mark, which
 * clones and parts of the buffer have too, and for a buffer without one its address, back to when
 * that was last freed.
 */
static void choose(struct step *steps, size_t left)
{
	const struct step *leaver = NULL;
	uint64_t mark, skb;

	for (size_t i = left; !leaver && i > 0; i--)
		if (!strcmp(steps[i - 1].step.function, SENDER) ||
		    !strcmp(steps[i - 1].step.function, DROPPER))
			leaver = &steps[i - 1];
	mark = leaver ? leaver->lineage : 0;
	skb = leaver ? leaver->skb : 0;
	for (size_t i = left; i > 0; i--) {
		struct step *step = &steps[i - 1];

		if (bh_lineage_hop(step->lineage))
			continue;
		/* The end of the life before this one. */
		if (step->skb == skb && !strcmp(step->step.function, FREER) && step < leaver)
			skb = 0;
		if (!(mark && step->lineage == mark) && !(skb && step->skb == skb))
			step->step.function = NULL;
	}
}

/* A function with two of the packet's buffers is entered once. */
static int is_same_entry(const struct bh_packet_entry *a, const struct bh_packet_entry *b)
{
	return a->event == b->event && a->tick == b->tick && a->node == b->node;
}

static struct bh_error *collect(struct bh_packet_trace *trace, const struct bh_buffer *stream,
				const struct bh_packets_source *source, uint32_t node)
{
	struct step *steps = NULL;
	size_t count = 0, left = 0;
	struct bh_error *error = read_steps(trace, stream, bh_trace_node_count(source->trace),
					    &steps, &count, &left);

	if (!error) {
		choose(steps, left);
		trace->steps = calloc(count + 1, sizeof(*trace->steps));
		error = trace->steps ? NULL : out_of_memory();
	}
	for (size_t i = 0; !error && i < count; i++) {
		const struct bh_packet_entry *step = &steps[i].step;

		if (!step->function || (node != BH_NO_NODE && step->node != node) ||
		    (trace->count && is_same_entry(&trace->steps[trace->count - 1], step)))
			continue;
		trace->steps[trace->count++] = *step;
	}
	free(steps);
	return error;
}

/* From the event in which the packet was made to the one after which nothing has it any more. */
static void find_events(struct tracing *tracing)
{
	const struct bh_packet *packet = tracing->packet;

	tracing->first = packet->origin.event < packet->born_event ? packet->origin.event
								   : packet->born_event - 1;
	/* A child begins with what arrived. */
	for (size_t i = 0; i < packet->hop_count; i++)
		if (packet->hops[i].event > tracing->last)
			tracing->last = packet->hops[i].event;
	for (size_t i = 0; i < packet->end_count; i++)
		if (packet->ends[i].event > tracing->last)
			tracing->last = packet->ends[i].event;
}

static struct bh_error *run_again(struct tracing *tracing, const struct bh_packets_source *source)
{
	const struct bh_rerun_listener listener = {
		.arg = tracing,
		.sent = observe_sent,
		.dropped = observe_dropped,
		.between = observe_between,
	};

	return bh_packet_rerun(source, &listener, &tracing->run, "its packets can't be followed");
}

struct bh_error *bh_packet_trace_create(const struct bh_packets_source *source,
					const struct bh_packet *packet, uint32_t node,
					struct bh_packet_trace **trace_ret)
{
	struct bh_packet_trace *trace = calloc(1, sizeof(*trace));
	char *folder = bh_packet_cache_folder(source);
	struct tracing tracing = {.packet = packet};

	if (!trace) {
		free(folder);
		return out_of_memory();
	}
	tracing.tracer = (struct bh_packet_tracer){
		.arg = &tracing, .entered = observe_entered, .folder = folder};
	tracing.run.prepared = prepare;
	tracing.run.arg = &tracing;
	find_events(&tracing);
	struct bh_error *error = run_again(&tracing, source);

	if (!error)
		error = collect(trace, &tracing.run.stream, source, node);
	bh_buffer_free(&tracing.run.stream);
	free(folder);
	if (error) {
		bh_packet_trace_destroy(trace);
		return error;
	}
	*trace_ret = trace;
	return NULL;
}

void bh_packet_trace_destroy(struct bh_packet_trace *trace)
{
	if (!trace)
		return;
	for (size_t i = 0; i < trace->names.string_count; i++)
		free(trace->names.strings[i]);
	free(trace->names.strings);
	free(trace->steps);
	free(trace);
}

const struct bh_packet_entry *bh_packet_trace_entries(const struct bh_packet_trace *trace,
						      size_t *count_ret)
{
	*count_ret = trace->count;
	return trace->steps;
}

char *bh_packet_entry_json(const struct bh_trace *trace, const struct bh_packet_entry *step)
{
	struct bh_json *json = bh_json_create();

	bh_json_object_begin(json);
	bh_json_add_u64(json, "event", step->event);
	bh_json_add_u64(json, "tick", step->tick);
	bh_json_add_u64(json, "vtime_ns", step->vtime_ns);
	bh_json_add_string(json, "node", bh_trace_node_name(trace, step->node));
	bh_json_add_u64(json, "hop", step->hop);
	bh_json_add_string(json, "function", step->function);
	bh_json_object_end(json);
	return bh_json_finish(json);
}
