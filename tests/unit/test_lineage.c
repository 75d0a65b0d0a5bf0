/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Places in a run and the way of a packet: replayer/lineage.c. Run by tests/run; prints TAP. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replayer/lineage.h"
#include "tests/unit/made_trace.h"

static int count, failures;

static void ok(int is_right, const char *what)
{
	count++;
	failures += !is_right;
	printf("%sok %d - %s\n", is_right ? "" : "not ", count, what);
}

/*
 * a sends packet 3 to b; b has to resolve an address first (4 is its question to c, 6 the answer),
 * so the packet goes on at 8, which 7, the answer's arrival, caused. The link loses it at 9.
 */
static const struct bh_event events[] = {
	{.event = 1, .kind = BH_EVENT_BOOT, .node = 0, .device = BH_NO_DEVICE},
	{.event = 2, .kind = BH_EVENT_TIMER, .node = 0, .vtime_ns = 1000, .device = BH_NO_DEVICE},
	{.event = 3, .kind = BH_EVENT_TX, .node = 0, .vtime_ns = 1000, .cause = 2, .packet = 3},
	{.event = 4,
	 .kind = BH_EVENT_RX,
	 .node = 1,
	 .vtime_ns = 2000,
	 .cause = 3,
	 .packet = 3,
	 .hop = 1},
	{.event = 5, .kind = BH_EVENT_TX, .node = 1, .vtime_ns = 2000, .cause = 4, .packet = 5},
	{.event = 6, .kind = BH_EVENT_TX, .node = 2, .vtime_ns = 3000, .cause = 0, .packet = 6},
	{.event = 7,
	 .kind = BH_EVENT_RX,
	 .node = 1,
	 .vtime_ns = 4000,
	 .cause = 6,
	 .packet = 6,
	 .hop = 1},
	{.event = 8,
	 .kind = BH_EVENT_TX,
	 .node = 1,
	 .vtime_ns = 4000,
	 .cause = 7,
	 .packet = 3,
	 .hop = 1},
	{.event = 9,
	 .kind = BH_EVENT_LOST,
	 .node = 1,
	 .vtime_ns = 4000,
	 .cause = 8,
	 .packet = 3,
	 .hop = 1},
	{.event = 10,
	 .kind = BH_EVENT_STOP,
	 .node = BH_NO_NODE,
	 .vtime_ns = 9000,
	 .device = BH_NO_DEVICE},
};

#define EVENT_COUNT (sizeof(events) / sizeof(events[0]))

static struct bh_trace *make_trace(const char *path, const char *summary)
{
	return made_trace(path, "lineage", 3, events, EVENT_COUNT, summary);
}

/* The event that text leads to; 0 for a refusal in the words of a usage error. */
static uint64_t place(const struct bh_trace *trace, const char *text)
{
	struct bh_position position = {.event = 999};
	struct bh_error *error = bh_position_parse(trace, text, &position);

	if (error && error->code != BH_ERR_USAGE)
		position.event = 998;
	else if (error)
		position.event = position.event == 999 ? 0 : 997;
	bh_error_free(error);
	return position.event;
}

static void test_places(const struct bh_trace *trace)
{
	struct bh_position position;

	ok(place(trace, "start") == 1 && place(trace, "end") == EVENT_COUNT, "start and end");
	ok(place(trace, "failure") == 9, "the failure");
	ok(place(trace, "1") == 1 && place(trace, "10") == 10, "events");
	ok(!place(trace, "0") && !place(trace, "11"), "events that there are not");
	ok(!place(trace, "18446744073709551617"), "a number that is too large");
	ok(!place(trace, "") && !place(trace, "x") && !place(trace, "-1") && !place(trace, "1 "),
	   "what is no place");
	ok(place(trace, "0ns") == 1 && place(trace, "1us") == 2 && place(trace, "1001ns") == 4,
	   "the first event from a time on");
	ok(place(trace, "0.0000040s") == 7, "a time with a point");
	ok(!place(trace, "10us") && !place(trace, "1parsec"), "times that there are not");
	ok(place(trace, "3.0") == 3 && place(trace, "3.1") == 4, "hops of a packet");
	ok(!place(trace, "3.2") && !place(trace, "4.0") && !place(trace, "3.0.1") &&
		   !place(trace, "3."),
	   "hops that there are not");
	must(bh_position_parse(trace, "4:20:3", &position));
	ok(position.event == 4 && position.tick == 20 && position.instruction == 3,
	   "an exact position");
	ok(!place(trace, "4:20") && !place(trace, "4:20:3:1") && !place(trace, "11:0:0"),
	   "exact positions that are none");
}

static void test_hops(const struct bh_trace *trace)
{
	struct bh_event sent, arrived;
	struct bh_error *error;

	must(bh_hop_back(trace, 4, 1, &arrived, &sent));
	ok(arrived.event == 4 && sent.event == 3, "from a reception");
	must(bh_hop_back(trace, 5, 1, &arrived, &sent));
	ok(arrived.event == 4 && sent.event == 3, "from what it caused");
	must(bh_hop_back(trace, 8, 1, &arrived, &sent));
	ok(arrived.event == 4 && sent.event == 3,
	   "a forwarded packet is followed, not the answer that let it go");
	must(bh_hop_back(trace, 7, 1, &arrived, &sent));
	ok(arrived.event == 7 && sent.event == 6, "the answer itself");
	error = bh_hop_back(trace, 3, 0, &arrived, &sent);
	ok(error && error->code == BH_ERR_USAGE && strstr(error->message, "on a"),
	   "what no frame led to");
	bh_error_free(error);

	must(bh_hop_forward(trace, 3, &sent, &arrived));
	ok(sent.event == 3 && arrived.event == 4, "forward from a transmission");
	must(bh_hop_forward(trace, 2, &sent, &arrived));
	ok(sent.event == 3 && arrived.event == 4, "from what caused it");
	must(bh_hop_forward(trace, 7, &sent, &arrived));
	ok(sent.event == 8 && arrived.event == 9, "into its loss");
	error = bh_hop_forward(trace, 5, &sent, &arrived);
	ok(error && error->code == BH_ERR_USAGE, "a frame that never arrived");
	bh_error_free(error);
	error = bh_hop_forward(trace, 9, &sent, &arrived);
	ok(error && error->code == BH_ERR_USAGE, "an event that sent nothing");
	bh_error_free(error);
}

int main(void)
{
	char path[] = "/tmp/backhop-test-lineage-XXXXXX";
	struct bh_trace *trace;
	int file = mkstemp(path);

	if (file < 0) {
		printf("Bail out! no temporary file\n");
		return 1;
	}
	close(file);
	trace = make_trace(path, "{\"failures\": [{\"event\": 9}, {\"event\": 2}]}");
	test_places(trace);
	test_hops(trace);
	bh_trace_close(trace);
	trace = make_trace(path, "{\"failures\": []}");
	ok(!place(trace, "failure"), "a run that passed has no failure");
	bh_trace_close(trace);
	trace = make_trace(path, "no json");
	ok(!place(trace, "failure"), "nor has one with a damaged summary");
	bh_trace_close(trace);
	trace = make_trace(path, NULL);
	ok(!place(trace, "failure"), "nor has one that was cut short");
	bh_trace_close(trace);
	unlink(path);
	printf("1..%d\n", count);
	return failures ? 1 : 0;
}
