/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Places in a recorded run and the way of a packet, see lineage.h. Used by the gdb server and
 * cli/cmd_replay.c. The one file that reads JSON (the trace's summary), so the door to jansson.
 */
#include "replayer/lineage.h"

#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "simulator/units.h"

#define VALID                                                                                      \
	"say an event's number (1 to %lu), a time with its unit (5.002s), PACKET.HOP, start, end " \
	"or failure"

static struct bh_error *no_such_place(const struct bh_trace *trace, const char *text)
{
	return bh_error_new(BH_ERR_USAGE, "there is no '%.64s' in this run: " VALID, text,
			    bh_trace_event_count(trace));
}

/* Digits from *text on, which is moved behind them; non-zero on success. */
static int scan_number(const char **text, uint64_t *value_ret)
{
	uint64_t value = 0;

	if (!isdigit((unsigned char)**text))
		return 0;
	for (; isdigit((unsigned char)**text); (*text)++)
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(**text - '0'), &value))
			return 0;
	*value_ret = value;
	return 1;
}

/* Virtual time never goes back, so the first event at or after a time is found by halving. */
static struct bh_error *find_time(const struct bh_trace *trace, uint64_t vtime_ns,
				  uint64_t *event_ret)
{
	uint64_t low = 1, high = bh_trace_event_count(trace) + 1;
	struct bh_event event;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		BH_TRY(bh_trace_event(trace, middle, &event));
		if (event.vtime_ns < vtime_ns)
			low = middle + 1;
		else
			high = middle;
	}
	*event_ret = low;
	return NULL;
}

/* A packet's id is the number of its first TX. */
static struct bh_error *find_hop(const struct bh_trace *trace, uint64_t packet, uint64_t hop,
				 uint64_t *event_ret)
{
	struct bh_event event;

	for (uint64_t number = packet; number && number <= bh_trace_event_count(trace); number++) {
		BH_TRY(bh_trace_event(trace, number, &event));
		if (event.packet == packet && event.hop == hop) {
			*event_ret = number;
			return NULL;
		}
		if (number == packet && event.packet != packet)
			break;
	}
	return bh_error_new(
		BH_ERR_USAGE,
		"no packet %lu has a hop %lu; a packet's number is the event of its first "
		"transmission, hops count from 0",
		packet, hop);
}

struct bh_error *bh_failure_event(const struct bh_trace *trace, uint64_t *event_ret)
{
	const char *summary = bh_trace_summary_json(trace);
	json_t *root, *event;
	uint64_t number;

	if (!summary)
		return bh_error_new(BH_ERR_USAGE,
				    "the recording was cut short, so it doesn't say what "
				    "failed; `goto end` leads to its last event");
	root = json_loads(summary, 0, NULL);
	event = json_object_get(json_array_get(json_object_get(root, "failures"), 0), "event");
	number = json_is_integer(event) ? (uint64_t)json_integer_value(event) : 0;
	json_decref(root);
	if (!number)
		return bh_error_new(BH_ERR_USAGE, "the run passed: there is no failure to go to");
	*event_ret = number;
	return NULL;
}

/* A number, and what follows it. */
static struct bh_error *parse_number(const struct bh_trace *trace, const char *text,
				     struct bh_position *position_ret)
{
	struct bh_position position = {0};
	const char *at = text;
	uint64_t vtime_ns, hop;
	struct bh_error *error;

	if (!scan_number(&at, &position.event))
		return no_such_place(trace, text);
	if (*at == ':') {
		at++;
		if (!scan_number(&at, &position.tick) || *at++ != ':' ||
		    !scan_number(&at, &position.instruction) || *at)
			return no_such_place(trace, text);
	} else if (*at == '.' && !at[strspn(at, ".0123456789")]) { /* a time has a unit */
		at++;
		if (!scan_number(&at, &hop) || *at)
			return no_such_place(trace, text);
		BH_TRY(find_hop(trace, position.event, hop, &position.event));
	} else if (*at) {
		error = bh_parse_duration(text, &vtime_ns);
		if (error) {
			bh_error_free(error);
			return no_such_place(trace, text);
		}
		BH_TRY(find_time(trace, vtime_ns, &position.event));
		if (position.event > bh_trace_event_count(trace))
			return bh_error_new(BH_ERR_USAGE,
					    "the run ends before %s; `goto end` leads to "
					    "its last event",
					    text);
	}
	*position_ret = position;
	return NULL;
}

struct bh_error *bh_position_parse(const struct bh_trace *trace, const char *text,
				   struct bh_position *position_ret)
{
	struct bh_position position = {0};

	if (!strcmp(text, "start"))
		position.event = 1;
	else if (!strcmp(text, "end"))
		position.event = bh_trace_event_count(trace);
	else if (!strcmp(text, "failure"))
		BH_TRY(bh_failure_event(trace, &position.event));
	else
		BH_TRY(parse_number(trace, text, &position));
	if (position.event == 0 || position.event > bh_trace_event_count(trace))
		return no_such_place(trace, text);
	*position_ret = position;
	return NULL;
}

/*
 * Where a forwarded frame came in: the RX of the same packet on the same node before its TX. That
 * is not always the TX's cause: a frame that waits for address resolution is sent when the answer
 * arrives. Not found: number_ret stays.
 */
static struct bh_error *find_forwarded(const struct bh_trace *trace, const struct bh_event *sent,
				       uint64_t *number_ret)
{
	struct bh_event event;

	for (uint64_t number = sent->event - 1; number > sent->packet; number--) {
		BH_TRY(bh_trace_event(trace, number, &event));
		if (event.kind == BH_EVENT_RX && event.node == sent->node &&
		    event.packet == sent->packet) {
			*number_ret = number;
			return NULL;
		}
	}
	return NULL;
}

/* The next event to look at on the way back. */
static struct bh_error *step_back(const struct bh_trace *trace, const struct bh_event *event,
				  uint64_t *number_ret)
{
	uint64_t number = event->cause;

	if (event->kind == BH_EVENT_TX && event->packet && event->packet != event->event)
		BH_TRY(find_forwarded(trace, event, &number));
	*number_ret = number;
	return NULL;
}

struct bh_error *bh_hop_back(const struct bh_trace *trace, uint64_t event, uint32_t node,
			     struct bh_event *received_ret, struct bh_event *sent_ret)
{
	struct bh_event received, sent;
	uint64_t number = event;

	/* Causes lie before their events (FORMAT.md, section 6), so this ends. */
	while (number) {
		BH_TRY(bh_trace_event(trace, number, &received));
		if (received.kind == BH_EVENT_RX && received.node == node)
			break;
		BH_TRY(step_back(trace, &received, &number));
	}
	if (!number)
		return bh_error_new(BH_ERR_USAGE,
				    "no received frame led to event %lu on %s: nothing sent it; "
				    "`when` tells its cause",
				    event,
				    node < bh_trace_node_count(trace)
					    ? bh_trace_node_name(trace, node)
					    : "the simulator");
	BH_TRY(bh_trace_event(trace, received.cause, &sent));
	*received_ret = received;
	*sent_ret = sent;
	return NULL;
}

/* The first event from number on of one of two kinds with this cause; its number, or 0. */
static struct bh_error *find_effect(const struct bh_trace *trace, uint64_t cause, unsigned int kind,
				    unsigned int other_kind, struct bh_event *effect_ret)
{
	struct bh_event event;

	for (uint64_t number = cause + 1; number <= bh_trace_event_count(trace); number++) {
		BH_TRY(bh_trace_event(trace, number, &event));
		if (event.cause == cause && (event.kind == kind || event.kind == other_kind)) {
			*effect_ret = event;
			return NULL;
		}
	}
	return bh_error_new(
		BH_ERR_USAGE,
		kind == BH_EVENT_TX
			? "no frame was sent while event %lu was handled"
			: "the frame of event %lu was still on its way when the run ended",
		cause);
}

struct bh_error *bh_hop_forward(const struct bh_trace *trace, uint64_t event,
				struct bh_event *sent_ret, struct bh_event *arrived_ret)
{
	struct bh_event sent, arrived;

	BH_TRY(bh_trace_event(trace, event, &sent));
	if (sent.kind != BH_EVENT_TX)
		BH_TRY(find_effect(trace, event, BH_EVENT_TX, BH_EVENT_TX, &sent));
	BH_TRY(find_effect(trace, sent.event, BH_EVENT_RX, BH_EVENT_LOST, &arrived));
	*sent_ret = sent;
	*arrived_ret = arrived;
	return NULL;
}
