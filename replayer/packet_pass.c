/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a trace again for what its events don't say: see packet_pass.h. The observers run inside
 * nodes, on small stacks: they append to memory, and the stream is sent on between two events.
 */
#include "replayer/packet_pass.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kernel-lib/node.h"
#include "replayer/packet_probes.h"
#include "simulator/lineage.h"

#define BLOCK_BYTES (1u << 18)

struct pass {
	struct bh_confined_run run;
	struct bh_packet_probes *probes;
};

static void begin_record(struct pass *pass, enum bh_pass_record type, uint64_t event)
{
	bh_buffer_u8(&pass->run.stream, (uint8_t)type);
	bh_buffer_varint(&pass->run.stream, event);
}

/* Headers are at the beginning: what a frame has beyond some bytes of payload needn't be kept. */
static size_t kept_bytes(const void *data, size_t length)
{
	struct bh_frame_layers layers;
	size_t captured = length < BH_PACKET_SNAP ? length : BH_PACKET_SNAP;

	bh_frame_layers_read(data, captured, length, &layers);
	if (!layers.count)
		return captured;
	size_t headers = layers.layers[layers.count - 1].offset + 60;

	return headers < captured ? headers : captured;
}

static void observe_sent(void *arg, const struct bh_event *event, const void *data, size_t length,
			 uint64_t lineage)
{
	struct pass *pass = arg;
	uint64_t mark = bh_lineage_hop(lineage) ? 0 : bh_lineage_packet(lineage);

	bh_packet_probes_tell(pass->probes, event->event, mark);
	begin_record(pass, BH_PASS_FRAME, event->event);
	bh_buffer_varint(&pass->run.stream, mark);
	bh_buffer_sized(&pass->run.stream, data, kept_bytes(data, length));
}

/* What was never sent has no frame, but a buffer. */
static void observe_dropped(void *arg, const struct bh_event *event, uint64_t lineage)
{
	struct pass *pass = arg;
	uint8_t frame[BH_PACKET_SNAP];
	size_t length = event->length;
	size_t captured = bh_packet_probes_dropped(pass->probes, frame, sizeof(frame), &length);

	if (event->packet)
		return;
	bh_packet_probes_tell(pass->probes, event->event, bh_lineage_packet(lineage));
	begin_record(pass, BH_PASS_UNSENT, event->event);
	bh_buffer_varint(&pass->run.stream, bh_lineage_packet(lineage));
	bh_buffer_varint(&pass->run.stream, length);
	bh_buffer_sized(&pass->run.stream, frame, captured);
}

static int observe_between(void *arg)
{
	struct pass *pass = arg;

	return bh_confined_run_flush(&pass->run, BLOCK_BYTES);
}

static struct bh_error *prepare(void *arg, struct bh_rerun *rerun)
{
	struct pass *pass = arg;
	struct bh_sim *sim = bh_rerun_sim(rerun);

	for (uint32_t i = 0; i < bh_sim_node_count(sim); i++) {
		const struct bh_boot *boot = bh_node_boot_record(bh_sim_node(sim, i));

		for (uint32_t device = 0; device < boot->device_count; device++) {
			begin_record(pass, BH_PASS_DEVICE, 0);
			bh_buffer_varint(&pass->run.stream, i);
			bh_buffer_varint(&pass->run.stream, device);
			bh_buffer_string(&pass->run.stream, boot->devices[device].name);
		}
	}
	return bh_packet_probes_create(rerun, &pass->run.stream, NULL, &pass->probes);
}

static struct bh_error *diverged(const struct bh_trace *trace,
				 const struct bh_divergence *divergence, const char *loss)
{
	const char *node = divergence->node < bh_trace_node_count(trace)
				   ? bh_trace_node_name(trace, divergence->node)
				   : "the simulator";

	return bh_error_new(BH_ERR_DIVERGED,
			    "running the trace again diverged at event %" PRIu64
			    " (%s, %s: recorded %s, now %s), so %s",
			    divergence->event, node, divergence->field, divergence->recorded,
			    divergence->replayed, loss);
}

struct bh_error *bh_packet_rerun(const struct bh_packets_source *source,
				 const struct bh_rerun_listener *listener,
				 struct bh_confined_run *run, const char *loss)
{
	const struct bh_rerun_config config = {
		.trace = source->trace,
		.find_kernel = source->find_kernel,
		.find_kernel_arg = source->find_kernel_arg,
		.over = bh_confined_run_over,
		.listener = listener,
	};
	struct bh_divergence divergence;
	int found = 0;

	BH_TRY(bh_rerun_create(&config, &run->rerun));
	struct bh_error *error =
		bh_confined_run(run, bh_trace_node_count(source->trace), &found, &divergence);

	bh_rerun_destroy(run->rerun);
	if (!error && found)
		error = diverged(source->trace, &divergence, loss);
	return error;
}

struct bh_error *bh_packet_pass(const struct bh_packets_source *source,
				struct bh_buffer *stream_ret)
{
	struct pass pass = {0};
	const struct bh_rerun_listener listener = {
		.arg = &pass,
		.sent = observe_sent,
		.dropped = observe_dropped,
		.between = observe_between,
	};

	pass.run.prepared = prepare;
	pass.run.arg = &pass;
	struct bh_error *error =
		bh_packet_rerun(source, &listener, &pass.run, "its packets can't be followed");

	if (error) {
		bh_buffer_free(&pass.run.stream);
		return error;
	}
	*stream_ret = pass.run.stream;
	return NULL;
}
