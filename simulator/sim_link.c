/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices, links and segments of a run, and the frames on them: what a node's kernel asks of the
 * simulator about its network, the wires' slots of the event queue, and what the scenario's
 * timeline does to a link. Called by sim.c, sim_node.c (the host's table) and sim_timeline.c.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulator/lineage.h"
#include "simulator/sim_internal.h"

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory");
}

/* --- creation --- */

/* The wire that leaves from an end: see bh_scenario_end(). A link has two wires, one from each of
 * its ends; each end of a segment has two, the first towards the segment. */
static size_t sending_wire(const struct bh_scenario *scenario, size_t end)
{
	size_t of_links = scenario->link_count * 2;

	return end < of_links ? end : of_links + 2 * (end - of_links);
}

static size_t receiving_wire(const struct bh_scenario *scenario, size_t end)
{
	size_t sending = sending_wire(scenario, end);

	return end < scenario->link_count * 2 ? sending ^ 1 : sending + 1;
}

size_t bh_sim_wire_count(const struct bh_scenario *scenario)
{
	size_t ends = bh_scenario_end_count(scenario);

	return 2 * ends - scenario->link_count * 2;
}

static void create_wire(struct bh_sim *sim, size_t number,
			const struct bh_link_properties *properties, const char *from,
			const char *to)
{
	struct bh_sim_wire *wire = &sim->wires[number];
	char name[256];

	wire->slot = sim->node_count * 2 + number;
	wire->direction.properties = *properties;
	snprintf(name, sizeof(name), "%s %s", from, to);
	bh_link_init(&wire->direction, sim->config.scenario->seed, name);
}

static void end_name(const struct bh_scenario *scenario, const struct bh_scenario_link_end *end,
		     char name_ret[96])
{
	snprintf(name_ret, 96, "%s:%s", scenario->nodes[end->node].name, end->device);
}

static struct bh_error *create_segment(struct bh_sim *sim, size_t number, size_t first_end)
{
	const struct bh_scenario *scenario = sim->config.scenario;
	struct bh_sim_segment *segment = &sim->segments[number];

	segment->scenario = &scenario->segments[number];
	segment->ports = calloc(segment->scenario->end_count + 1, sizeof(*segment->ports));
	if (!segment->ports)
		return out_of_memory();
	for (uint32_t port = 0; port < segment->scenario->end_count; port++) {
		const struct bh_scenario_link_end *end = &segment->scenario->ends[port];
		size_t wire = sending_wire(scenario, first_end + port);
		char name[96];

		end_name(scenario, end, name);
		create_wire(sim, wire, &end->sends, name, segment->scenario->name);
		create_wire(sim, wire + 1, &end->receives, segment->scenario->name, name);
		segment->ports[port] = &sim->wires[wire + 1];
		for (size_t i = wire; i <= wire + 1; i++) {
			sim->wires[i].segment = segment;
			sim->wires[i].port = port;
		}
	}
	return NULL;
}

struct bh_error *bh_sim_links_create(struct bh_sim *sim)
{
	const struct bh_scenario *scenario = sim->config.scenario;
	size_t first_end = scenario->link_count * 2;

	sim->wires = calloc(bh_sim_wire_count(scenario) + 1, sizeof(*sim->wires));
	sim->segments = calloc(scenario->segment_count + 1, sizeof(*sim->segments));
	if (!sim->wires || !sim->segments)
		return out_of_memory();
	for (size_t i = 0; i < first_end; i++) {
		const struct bh_scenario_link *link = &scenario->links[i / 2];
		char from[96], to[96];

		end_name(scenario, &link->end[i % 2], from);
		end_name(scenario, &link->end[1 - i % 2], to);
		create_wire(sim, i, &link->end[i % 2].sends, from, to);
		sim->wires[i].back = &sim->wires[i ^ 1];
	}
	for (size_t i = 0; i < scenario->segment_count; i++) {
		BH_TRY(create_segment(sim, i, first_end));
		first_end += scenario->segments[i].end_count;
	}
	return NULL;
}

void bh_sim_links_destroy(struct bh_sim *sim)
{
	for (size_t i = 0; sim->segments && i < sim->config.scenario->segment_count; i++) {
		free(sim->segments[i].ports);
		bh_mac_table_destroy(&sim->segments[i].addresses);
	}
	free(sim->segments);
	free(sim->wires);
	/* Frames, wherever they are, lie in the pool. */
	bh_frame_pool_destroy(&sim->frames);
}

/* --- devices --- */

/* eth0, eth1, … come first, by number; other names as they stand in the scenario. */
static uint64_t device_rank(const char *name, size_t order)
{
	char *rest;

	if (strncmp(name, "eth", 3) != 0 || name[3] < '0' || name[3] > '9')
		return UINT64_MAX / 2 + order;
	uint64_t number = strtoull(name + 3, &rest, 10);

	return *rest ? UINT64_MAX / 2 + order : number;
}

struct device_end {
	uint64_t rank;
	size_t number; /* of the end */
	const struct bh_scenario_link_end *end;
	uint32_t mtu;
};

static int compare_ends(const void *a, const void *b)
{
	const struct device_end *left = a, *right = b;

	/* "eth1" and "eth01" have the same number. */
	if (left->rank == right->rank)
		return left->number < right->number ? -1 : 1;
	return left->rank < right->rank ? -1 : 1;
}

static void add_end(struct device_end *ends, unsigned int *count, size_t number,
		    const struct bh_scenario_link_end *end, uint32_t mtu)
{
	if (*count < BH_MAX_DEVICES)
		ends[(*count)++] =
			(struct device_end){device_rank(end->device, number), number, end, mtu};
}

static unsigned int find_ends(const struct bh_scenario *scenario, uint32_t node,
			      struct device_end *ends)
{
	unsigned int count = 0;
	size_t number = 0;

	for (size_t i = 0; i < scenario->link_count; i++)
		for (size_t side = 0; side < 2; side++, number++)
			if (scenario->links[i].end[side].node == node)
				add_end(ends, &count, number, &scenario->links[i].end[side],
					scenario->links[i].mtu);
	for (size_t i = 0; i < scenario->segment_count; i++)
		for (size_t port = 0; port < scenario->segments[i].end_count; port++, number++)
			if (scenario->segments[i].ends[port].node == node)
				add_end(ends, &count, number, &scenario->segments[i].ends[port],
					scenario->segments[i].mtu);
	qsort(ends, count, sizeof(*ends), compare_ends);
	return count;
}

/* What ethtool shows. A wire without a rate says what veth does. */
static unsigned int speed_mbps(const struct bh_sim_wire *sending)
{
	uint64_t rate_bps = sending->direction.properties.rate_bps;

	if (rate_bps == 0)
		return 10000;
	return rate_bps < 1000000 ? 1 : (unsigned int)(rate_bps / 1000000);
}

/* Whether the device that sends on this wire has a carrier, if it is on. */
static int has_carrier(const struct bh_sim_wire *sending)
{
	return !sending->direction.is_down && !(sending->back && sending->back->is_off);
}

void bh_sim_devices_create(struct bh_sim_node *node, struct bh_netdev *devices)
{
	struct bh_sim *sim = node->sim;
	struct device_end ends[BH_MAX_DEVICES];

	node->device_count = find_ends(sim->config.scenario, node->id, ends);
	for (unsigned int i = 0; i < node->device_count; i++) {
		const struct bh_scenario_link_end *end = ends[i].end;
		struct bh_netdev *device = &devices[i];
		size_t sending = sending_wire(sim->config.scenario, ends[i].number);
		struct bh_sim_wire *receiving =
			&sim->wires[receiving_wire(sim->config.scenario, ends[i].number)];

		memset(device, 0, sizeof(*device));
		memcpy(device->name, end->device, strlen(end->device) + 1);
		/* Locally administered, readable in a capture: node and device. */
		device->mac[0] = 0x02;
		device->mac[3] = (unsigned char)(node->id >> 8);
		device->mac[4] = (unsigned char)node->id;
		device->mac[5] = (unsigned char)i;
		if (end->has_mac)
			memcpy(device->mac, end->mac, sizeof(device->mac));
		node->wires[i] = &sim->wires[sending];
		device->carrier = has_carrier(node->wires[i]);
		if (!node->is_absent)
			device->carrier = (unsigned char)bh_sim_outside(node, device->carrier);
		device->mtu = ends[i].mtu;
		device->speed_mbps = speed_mbps(node->wires[i]);
		node->wires[i]->from = node;
		node->wires[i]->from_device = i;
		receiving->to = node;
		receiving->to_device = i;
	}
}

static struct bh_netdev *device_record(struct bh_sim_node *node, uint32_t device)
{
	return &bh_node_boot_record(node->kernel)->devices[device];
}

/* --- frames on wires --- */

static void lose(struct bh_sim *sim, const struct bh_event *of, enum bh_loss_reason reason)
{
	struct bh_event event = *of;

	event.kind = BH_EVENT_LOST;
	event.cause = of->event;
	event.value = reason;
	bh_sim_event_begin(sim, &event);
}

/* The frames that the wire lost since the last call. On a wire from a segment they are lost at the
 * device that should have received them. */
static void report_lost(struct bh_sim *sim, struct bh_sim_wire *wire)
{
	struct bh_frame *frame;

	while ((frame = bh_frame_list_take(&wire->direction.lost))) {
		struct bh_event event = {
			.kind = BH_EVENT_LOST,
			.cause = frame->cause,
			.packet = frame->packet,
			.value = frame->loss,
			.hash = frame->hash,
			.node = wire->from ? wire->from->id : wire->to->id,
			.device = wire->from ? wire->from_device : wire->to_device,
			.hop = frame->hop - 1,
			.length = frame->length,
		};

		bh_sim_event_begin(sim, &event);
		bh_frame_release(&sim->frames, frame);
	}
	if (sim->config.feed && !wire->from && !wire->to->is_absent)
		bh_sim_alone_lost(wire->to);
	if (wire->direction.is_out_of_memory)
		bh_sim_abort(sim, bh_error_new(BH_ERR_NOMEM, "out of memory for frames"));
}

static void schedule(struct bh_sim *sim, struct bh_sim_wire *wire)
{
	uint64_t time_ns = 0, sequence = 0;

	int is_wanted = bh_link_next(&wire->direction, &time_ns, &sequence);

	if (wire->is_state_news && (!is_wanted || time_ns > sim->now_ns)) {
		is_wanted = 1;
		time_ns = sim->now_ns;
		sequence = wire->state_sequence;
	}
	if (!is_wanted) {
		bh_event_queue_clear(sim->queue, wire->slot);
		wire->is_scheduled = 0;
		return;
	}
	if (wire->is_scheduled && wire->next_ns == time_ns && wire->next_sequence == sequence)
		return;
	wire->is_scheduled = 1;
	wire->next_ns = time_ns;
	wire->next_sequence = sequence;
	/* A wire whose queue was handed other properties may be late. */
	bh_event_queue_set(sim->queue, wire->slot, time_ns < sim->now_ns ? sim->now_ns : time_ns,
			   sequence);
}

static void send(struct bh_sim *sim, struct bh_sim_wire *wire, struct bh_frame *frame)
{
	frame->sequence = sim->sequence++;
	bh_link_send(&wire->direction, &sim->frames, frame, sim->now_ns);
	if (wire->direction.lost.first || wire->direction.is_out_of_memory)
		report_lost(sim, wire);
	schedule(sim, wire);
}

/* The device may not send until there is room. */
static void hold_device(struct bh_sim *sim, struct bh_sim_wire *wire, uint64_t cause)
{
	if (wire->direction.is_held || !bh_link_is_full(&wire->direction, sim->now_ns))
		return;
	device_record(wire->from, wire->from_device)->transmit_full = 1;
	wire->direction.is_held = 1;
	wire->direction.held_sequence = sim->sequence++;
	wire->held_cause = cause;
	schedule(sim, wire);
}

static void wake_device(struct bh_sim *sim, struct bh_sim_wire *wire)
{
	struct bh_event event = {
		.kind = BH_EVENT_WAKE,
		.cause = wire->held_cause,
		.node = wire->from->id,
		.device = wire->from_device,
	};

	wire->direction.is_held = 0;
	schedule(sim, wire);
	if (wire->from->is_dead)
		return;
	bh_sim_event_begin(sim, &event);
	sim->handling = event.event;
	device_record(wire->from, wire->from_device)->transmit_full = 0;
	bh_sim_node_resume(wire->from, BH_IRQ_LINK);
}

/* Something was done to the wire, on the simulator's own stack: see to what follows. */
static void settle(struct bh_sim *sim, struct bh_sim_wire *wire)
{
	if (wire->direction.lost.first || wire->direction.is_out_of_memory)
		report_lost(sim, wire);
	schedule(sim, wire);
	if (wire->direction.is_held && !bh_link_is_full(&wire->direction, sim->now_ns))
		wake_device(sim, wire);
}

void *bh_sim_frame_prepare(void *host, unsigned int length)
{
	struct bh_sim_node *node = host;
	struct bh_sim *sim = node->sim;

	if (length > BH_FRAME_LENGTH_MAX)
		return NULL;
	/* One that was never sent: the kernel died over it. */
	if (node->prepared)
		bh_frame_release(&sim->frames, node->prepared);
	node->prepared = bh_frame_reserve(&sim->frames, length);
	if (!node->prepared) {
		bh_sim_abort(sim, bh_error_new(BH_ERR_NOMEM, "out of memory for frames"));
		return NULL;
	}
	return node->prepared->data;
}

void bh_sim_frame_transmit(void *host, unsigned int device, unsigned int length,
			   unsigned long lineage)
{
	struct bh_sim_node *node = host;
	struct bh_sim *sim = node->sim;
	struct bh_frame *frame = node->prepared;
	struct bh_event event = {
		.event = bh_sim_next_event(sim),
		.vtime_ns = sim->now_ns,
		.kind = BH_EVENT_TX,
		.cause = sim->handling,
		.node = node->id,
		.device = device,
		.length = length,
	};

	assert(device < node->device_count && frame && frame->length == length);
	node->prepared = NULL;
	event.hop = bh_lineage_hop(lineage);
	event.packet = event.hop ? bh_lineage_packet(lineage) : event.event;
	sim->result.frames++;
	if (sim->config.observer.frame)
		sim->config.observer.frame(sim->config.observer.arg, &event, frame->data, length);
	if (sim->config.observer.sent)
		sim->config.observer.sent(sim->config.observer.arg, &event, frame->data, length,
					  lineage);
	event.hash = bh_event_hash(frame->data, length);
	bh_sim_event_begin(sim, &event);
	bh_sim_expect_frame(sim, &event, frame->data);
	if (bh_sim_calls_frame(sim, &event, frame->data, length)) {
		bh_frame_release(&sim->frames, frame);
		lose(sim, &event, BH_LOSS_SCENARIO);
		return;
	}
	frame->cause = event.event;
	frame->packet = event.packet;
	frame->hash = event.hash;
	frame->hop = event.hop + 1;
	send(sim, node->wires[device], frame);
	if (node->wires[device]->direction.properties.is_queue_held)
		hold_device(sim, node->wires[device], event.event);
}

void bh_sim_device_state(void *host, unsigned int device, int is_on)
{
	struct bh_sim_node *node = host;
	struct bh_sim *sim = node->sim;
	struct bh_sim_wire *sending = node->wires[device];

	if (sending->is_off == !is_on)
		return;
	sending->is_off = !is_on;
	if (sending->segment && !is_on)
		bh_mac_table_forget(&sending->segment->addresses, sending->port);
	if (!sending->back)
		return;
	sending->is_state_news = 1;
	sending->state_sequence = sim->sequence++;
	sending->state_cause = sim->handling;
	schedule(sim, sending);
}

/* The device at the other end was switched on or off. */
static void tell_state(struct bh_sim *sim, struct bh_sim_wire *wire)
{
	wire->is_state_news = 0;
	/* A node that runs alone hears of it from its feed. */
	if (!sim->config.feed)
		bh_sim_carrier(wire->to, wire->to_device, has_carrier(wire->back),
			       wire->state_cause);
}

void bh_sim_carrier(struct bh_sim_node *node, uint32_t device, int is_there, uint64_t cause)
{
	struct bh_netdev *record = device_record(node, device);
	struct bh_event event = {
		.kind = BH_EVENT_CARRIER,
		.cause = cause,
		.value = (uint64_t)is_there,
		.node = node->id,
		.device = device,
	};

	if (record->carrier == event.value || node->is_dead)
		return;
	bh_sim_event_begin(node->sim, &event);
	node->sim->handling = event.event;
	record->carrier = (unsigned char)event.value;
	bh_sim_node_resume(node, BH_IRQ_LINK);
}

void bh_sim_deliver(struct bh_sim_node *node, uint32_t device, struct bh_frame *frame)
{
	struct bh_sim *sim = node->sim;
	struct bh_event event = {
		.kind = BH_EVENT_RX,
		.cause = frame->cause,
		.packet = frame->packet,
		.node = node->id,
		.device = device,
		.hop = frame->hop,
		.length = frame->length,
	};

	if (frame->is_damaged)
		event.hash = bh_event_hash(frame->data, frame->length);
	if (sim->config.observer.arrived)
		sim->config.observer.arrived(sim->config.observer.arg, node->id, frame->data,
					     frame->length);
	bh_sim_event_begin(sim, &event);
	sim->handling = event.event;
	if (node->is_dead || bh_sim_calls_frame(sim, &event, frame->data, frame->length)) {
		bh_frame_release(&sim->frames, frame);
		lose(sim, &event, node->is_dead ? BH_LOSS_NODE_DOWN : BH_LOSS_SCENARIO);
		return;
	}
	bh_sim_expect_frame(sim, &event, frame->data);
	/* What the kernel is told about it: see bh_sim_frame_receive(). */
	frame->cause = device;
	bh_frame_list_append(&node->received, frame);
	bh_sim_node_resume(node, BH_IRQ_NET);
}

int bh_sim_frame_receive(void *host, struct bh_rx_frame *frame_ret)
{
	struct bh_sim_node *node = host;

	if (node->received_current)
		bh_frame_release(&node->sim->frames, node->received_current);
	node->received_current = bh_frame_list_take(&node->received);
	struct bh_frame *frame = node->received_current;

	if (!frame)
		return 0;
	*frame_ret = (struct bh_rx_frame){
		.data = frame->data,
		.len = frame->length,
		.device = (unsigned int)frame->cause,
		.packet = bh_lineage_pack(frame->packet, frame->hop),
	};
	return 1;
}

/* --- segments --- */

static void forward_to(struct bh_sim *sim, struct bh_sim_segment *segment, uint32_t port,
		       const struct bh_frame *frame)
{
	struct bh_frame *copy = bh_frame_copy(&sim->frames, frame);

	if (copy)
		send(sim, segment->ports[port], copy);
	else
		bh_sim_abort(sim, bh_error_new(BH_ERR_NOMEM, "out of memory for frames"));
}

/* Where a switch sends the frame; BH_MAC_NO_PORT: everywhere else. */
static uint32_t find_port(struct bh_sim *sim, struct bh_sim_segment *segment, uint32_t from,
			  const struct bh_frame *frame)
{
	uint64_t ageing_ns = segment->scenario->ageing_ns;

	if (segment->scenario->kind == BH_SEGMENT_HUB || frame->length < 12)
		return BH_MAC_NO_PORT;
	/* An address of a group can't be a source. */
	if (!(frame->data[6] & 1) && bh_mac_table_learn(&segment->addresses, frame->data + 6, from,
							sim->now_ns, ageing_ns) < 0)
		bh_sim_abort(sim, out_of_memory());
	if (frame->data[0] & 1)
		return BH_MAC_NO_PORT;
	return bh_mac_table_find(&segment->addresses, frame->data, sim->now_ns, ageing_ns);
}

static void forward(struct bh_sim *sim, struct bh_sim_segment *segment, uint32_t from,
		    struct bh_frame *frame)
{
	uint32_t to = find_port(sim, segment, from, frame);

	for (uint32_t port = 0; port < segment->scenario->end_count; port++)
		if (port != from && (to == BH_MAC_NO_PORT || to == port))
			forward_to(sim, segment, port, frame);
	bh_frame_release(&sim->frames, frame);
}

void bh_sim_wire_arrival(struct bh_sim *sim, struct bh_sim_wire *wire)
{
	wire->is_scheduled = 0;
	if (wire->is_state_news)
		tell_state(sim, wire);
	struct bh_frame *frame = bh_link_receive(&wire->direction, &sim->frames, sim->now_ns);

	settle(sim, wire);
	if (!frame)
		return;
	if (sim->config.feed)
		bh_frame_release(&sim->frames, frame);
	else if (wire->to)
		bh_sim_deliver(wire->to, wire->to_device, frame);
	else
		forward(sim, wire->segment, wire->port, frame);
}

/* --- the timeline --- */

static struct bh_event link_event(const struct bh_sim_wire *sending, uint64_t cause, size_t index)
{
	return (struct bh_event){.kind = BH_EVENT_ACTION,
				 .cause = cause,
				 .value = index,
				 .node = sending->from->id,
				 .device = sending->from_device};
}

/* The device's kernel hears of its carrier. */
static void tell_carrier(struct bh_sim *sim, struct bh_sim_wire *sending)
{
	struct bh_sim_node *node = sending->from;

	if (node->is_absent)
		return;
	struct bh_netdev *device = device_record(node, sending->from_device);

	device->carrier = (unsigned char)bh_sim_outside(node, (uint64_t)has_carrier(sending));
	device->transmit_full = 0;
	sending->direction.is_held = 0;
	schedule(sim, sending);
	if (!node->is_dead)
		bh_sim_node_resume(node, BH_IRQ_LINK);
}

/* The other end of the link may be the node that runs alone. */
static void begin_at(struct bh_sim *sim, const struct bh_sim_wire *sending, struct bh_event *event)
{
	if (!sending->from->is_absent)
		bh_sim_event_begin(sim, event);
}

void bh_sim_link_state(struct bh_sim *sim, const struct bh_scenario_action *action, size_t index)
{
	const struct bh_scenario *scenario = sim->config.scenario;
	struct bh_sim_wire *sending = &sim->wires[sending_wire(scenario, action->end)];
	struct bh_sim_wire *receiving = &sim->wires[receiving_wire(scenario, action->end)];
	struct bh_event event = link_event(sending, 0, index);

	begin_at(sim, sending, &event);
	bh_link_set_state(&sending->direction, action->is_up);
	bh_link_set_state(&receiving->direction, action->is_up);
	report_lost(sim, sending);
	report_lost(sim, receiving);
	schedule(sim, receiving);
	if (sending->segment)
		bh_mac_table_forget(&sending->segment->addresses, sending->port);
	sim->handling = event.event;
	tell_carrier(sim, sending);
	if (!receiving->from)
		return;
	/* The other end's device is an event of its own, as each resumption of a kernel is. */
	uint64_t cause = sending->from->is_absent ? bh_sim_alone_next_cause(sim) : event.event;
	struct bh_event other = link_event(receiving, cause, index);

	begin_at(sim, receiving, &other);
	sim->handling = other.event;
	tell_carrier(sim, receiving);
}

static void change(struct bh_sim *sim, struct bh_sim_wire *wire,
		   const struct bh_link_properties *properties)
{
	bh_link_change(&wire->direction, properties, sim->now_ns);
	if (wire->from && !wire->from->is_absent)
		device_record(wire->from, wire->from_device)->speed_mbps = speed_mbps(wire);
	settle(sim, wire);
}

void bh_sim_link_change(struct bh_sim *sim, const struct bh_scenario_action *action, size_t index)
{
	const struct bh_scenario *scenario = sim->config.scenario;
	struct bh_sim_wire *sending = &sim->wires[sending_wire(scenario, action->end)];
	struct bh_sim_wire *receiving = &sim->wires[receiving_wire(scenario, action->end)];
	struct bh_event event = link_event(sending, 0, index);

	begin_at(sim, sending, &event);
	if (action->has_sends)
		change(sim, sending, &action->sends);
	if (action->has_receives)
		change(sim, receiving, &action->receives);
}
