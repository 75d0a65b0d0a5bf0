/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames in words, and the table of packets: common/frame_layers.c, replayer/packet_*.c. Run by
 * tests/run; prints TAP. What comes from a rerun or the cache is trusted by nobody: it is changed
 * here at random, many times.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "replayer/packet_pass.h"
#include "replayer/packet_table.h"
#include "tests/random.h"
#include "tests/unit/made_trace.h"

static int count, failures;

static void ok(int is_right, const char *what)
{
	count++;
	failures += !is_right;
	printf("%sok %d - %s\n", is_right ? "" : "not ", count, what);
}

/* --- frames --- */

#define ETHERNET "\x02\0\0\0\1\0\x02\0\0\0\0\0"
#define IP4	 ETHERNET "\x08\x00"
#define ENDS	 "\x0a\0\1\2\x0a\0\3\2" /* 10.0.1.2 > 10.0.3.2 */

/* 84 bytes of IP: an echo request */
static const char request[] =
	IP4 "\x45\0\0\x54\x12\x34\x40\0\x40\1\0\0" ENDS "\x08\0\0\0\0\x3b\0\1payload";
static const char first_fragment[] =
	IP4 "\x45\0\0\x1c\x12\x34\x20\0\x40\1\0\0" ENDS "\x08\0\0\0\0\x3b\0\1";
static const char second_fragment[] =
	IP4 "\x45\0\0\x24\x12\x34\0\1\x40\1\0\0" ENDS "payloadpayload!!";
static const char syn[] = IP4 "\x45\0\0\x28\x12\x34\x40\0\x40\6\0\0" ENDS
			      "\x9c\x40\0\x50\0\0\0\7\0\0\0\0\x50\2\xfa\xf0\0\0\0\0";
static const char arp[] = ETHERNET "\x08\x06\0\1\x08\0\6\4\0\1\2\0\0\0\0\0\x0a\0\1\2\0\0\0\0\0\0"
				   "\x0a\0\1\1";
static const char vxlan[] =
	IP4 "\x45\0\0\x86\0\0\0\0\x40\x11\0\0\x0a\0\2\1\x0a\0\2\2"
	    "\xc0\0\x12\xb5\0\x72\0\0\x08\0\0\0\0\0\x2a\0" IP4
	    "\x45\0\0\x54\x12\x34\x40\0\x3f\1\0\0" ENDS "\x08\0\0\0\0\x3b\0\1payload";

static int says(const char *frame, size_t size, size_t length, const char *wanted)
{
	struct bh_frame_layers layers;
	char text[256];

	bh_frame_layers_read(frame, size, length, &layers);
	bh_frame_summary(&layers, text, sizeof(text));
	if (!strcmp(text, wanted))
		return 1;
	printf("# %s\n", text);
	return 0;
}

#define SAYS(frame, length, wanted) ok(says(frame, sizeof(frame) - 1, length, wanted), wanted)

static void test_frames(void)
{
	SAYS(request, 98, "IP 10.0.1.2 > 10.0.3.2: ICMP echo request, id 59, seq 1, length 64");
	SAYS(first_fragment, 42,
	     "IP 10.0.1.2 > 10.0.3.2: frag 4660:8@0+, ICMP echo request, id 59, seq 1, length 8");
	SAYS(second_fragment, 50, "IP 10.0.1.2 > 10.0.3.2: frag 4660:16@8");
	SAYS(syn, 54, "IP 10.0.1.2.40000 > 10.0.3.2.80: Flags [S], seq 7, win 64240, length 0");
	SAYS(arp, 42, "ARP, request who-has 10.0.1.1 tell 10.0.1.2");
	SAYS(vxlan, 148,
	     "IP 10.0.2.1.49152 > 10.0.2.2.4789: VXLAN, vni 42, IP 10.0.1.2 > 10.0.3.2: ICMP echo "
	     "request, id 59, seq 1, length 64");
	SAYS("abc", 3, "frame of 3 bytes");
	for (size_t size = 0; size < sizeof(vxlan); size++) {
		char *copy = malloc(size + 1); /* so that a reader that goes on is seen */
		struct bh_frame_layers layers;
		char text[64];

		memcpy(copy, vxlan, size);
		bh_frame_layers_read(copy, size, 148, &layers);
		bh_frame_summary(&layers, text, sizeof(text));
		free(copy);
	}
	for (int i = 0; i < 50000; i++) {
		uint8_t frame[sizeof(vxlan)];
		struct bh_frame_layers layers;
		char text[512];

		memcpy(frame, vxlan, sizeof(frame));
		for (int changes = 0; changes < 3; changes++)
			frame[random_next() % sizeof(frame)] = (uint8_t)random_next();
		bh_frame_layers_read(frame, random_next() % sizeof(frame), 148, &layers);
		bh_frame_summary(&layers, text, sizeof(text));
	}
	ok(1, "frames that are cut or changed");
}

static void read_layers(const char *frame, size_t size, size_t length,
			struct bh_frame_layers *layers_ret)
{
	bh_frame_layers_read(frame, size, length, layers_ret);
}

static void test_relations(void)
{
	struct bh_frame_layers whole, first, second, around;
	int is_first = 0;

	read_layers(request, sizeof(request) - 1, 98, &whole);
	read_layers(first_fragment, sizeof(first_fragment) - 1, 42, &first);
	read_layers(second_fragment, sizeof(second_fragment) - 1, 50, &second);
	read_layers(vxlan, sizeof(vxlan) - 1, 148, &around);
	ok(bh_packet_change(&whole, &whole) == BH_CHANGE_NONE &&
		   bh_packet_change(&whole, &first) == BH_CHANGE_FRAGMENT &&
		   bh_packet_change(&whole, &around) == BH_CHANGE_ENCAPSULATED &&
		   bh_packet_change(&around, &whole) == BH_CHANGE_DECAPSULATED,
	   "what a node did to a frame");
	uint64_t key = bh_packet_datagram_key(&first, 0, &is_first);

	ok(is_first && key && key == bh_packet_datagram_key(&second, 0, &is_first) && !is_first &&
		   key != bh_packet_datagram_key(&second, 1, &is_first) &&
		   !bh_packet_datagram_key(&whole, 0, &is_first),
	   "fragments of a datagram");
	ok(bh_packet_is_same(&first, &whole) && !bh_packet_is_same(&around, &whole),
	   "the same packet, and one that has it in it");
}

/* --- a table --- */

/*
 * a sends packet 3 to b, which puts it into another one (5), which c takes out and sends on to d
 * (7), whose kernel drops it at 9. Then b sends something (10) that is lost.
 */
static const struct bh_event events[] = {
	{.event = 1, .kind = BH_EVENT_BOOT, .device = BH_NO_DEVICE},
	{.event = 2, .kind = BH_EVENT_TIMER, .vtime_ns = 1000, .device = BH_NO_DEVICE},
	{.event = 3, .kind = BH_EVENT_TX, .vtime_ns = 1000, .cause = 2, .packet = 3, .length = 98},
	{.event = 4,
	 .kind = BH_EVENT_RX,
	 .node = 1,
	 .vtime_ns = 2000,
	 .cause = 3,
	 .packet = 3,
	 .hop = 1,
	 .length = 98},
	{.event = 5,
	 .kind = BH_EVENT_TX,
	 .node = 1,
	 .vtime_ns = 2000,
	 .cause = 4,
	 .packet = 3,
	 .hop = 1,
	 .length = 148},
	{.event = 6,
	 .kind = BH_EVENT_RX,
	 .node = 2,
	 .vtime_ns = 3000,
	 .cause = 5,
	 .packet = 3,
	 .hop = 2,
	 .length = 148},
	{.event = 7,
	 .kind = BH_EVENT_TX,
	 .node = 2,
	 .vtime_ns = 3000,
	 .cause = 6,
	 .packet = 3,
	 .hop = 2,
	 .length = 98},
	{.event = 8,
	 .kind = BH_EVENT_RX,
	 .node = 3,
	 .vtime_ns = 4000,
	 .cause = 7,
	 .packet = 3,
	 .hop = 3,
	 .length = 98},
	{.event = 9,
	 .kind = BH_EVENT_DROP,
	 .node = 3,
	 .vtime_ns = 4000,
	 .cause = 8,
	 .packet = 3,
	 .hop = 3,
	 .length = 84,
	 .device = BH_NO_DEVICE,
	 .value = 0x10002},
	{.event = 10,
	 .kind = BH_EVENT_TX,
	 .node = 1,
	 .vtime_ns = 5000,
	 .cause = 2,
	 .packet = 10,
	 .length = 54},
	{.event = 11,
	 .kind = BH_EVENT_LOST,
	 .node = 1,
	 .vtime_ns = 5000,
	 .cause = 10,
	 .packet = 10,
	 .length = 54,
	 .value = BH_LOSS_QUEUE},
	{.event = 12,
	 .kind = BH_EVENT_STOP,
	 .node = BH_NO_NODE,
	 .vtime_ns = 9000,
	 .device = BH_NO_DEVICE},
};

#define EVENT_COUNT (sizeof(events) / sizeof(events[0]))

static struct bh_trace *make_trace(const char *path)
{
	return made_trace(path, "packets", 4, events, EVENT_COUNT, "{}");
}

static void add_frame(struct bh_buffer *stream, uint64_t event, uint64_t mark, const char *frame,
		      size_t size)
{
	bh_buffer_u8(stream, BH_PASS_FRAME);
	bh_buffer_varint(stream, event);
	bh_buffer_varint(stream, mark);
	bh_buffer_sized(stream, frame, size);
}

static void make_stream(struct bh_buffer *stream)
{
	const uint64_t mark[] = {3, 5, BH_ORIGIN_SYSCALL, 2, 1000, 0, 77, 44 + 1, 0};
	const uint64_t freed[] = {3, 1};

	bh_buffer_u8(stream, BH_PASS_DEVICE);
	for (int i = 0; i < 3; i++)
		bh_buffer_varint(stream, 0);
	bh_buffer_string(stream, "eth0");
	bh_buffer_u8(stream, BH_PASS_MARK);
	for (size_t i = 0; i < sizeof(mark) / sizeof(mark[0]); i++)
		bh_buffer_varint(stream, mark[i]);
	bh_buffer_string(stream, "ping");
	add_frame(stream, 3, 5, request, sizeof(request) - 1);
	add_frame(stream, 5, 0, vxlan, sizeof(vxlan) - 1);
	bh_buffer_u8(stream, BH_PASS_FREED);
	bh_buffer_varint(stream, 5);
	for (size_t i = 0; i < 2; i++)
		bh_buffer_varint(stream, freed[i]);
	add_frame(stream, 7, 0, request, sizeof(request) - 1);
	add_frame(stream, 10, 0, syn, sizeof(syn) - 1);
}

static struct bh_error *no_kernel(void *arg, const char *version, char **path_ret)
{
	return bh_error_new(BH_ERR_MACHINE, "no kernel %s", version);
}

static void test_table(const struct bh_packets *packets)
{
	const struct bh_packet *packet, *around;
	size_t index = 0;

	ok(bh_packets_count(packets) == 3, "three packets");
	must(bh_packets_find(packets, 3, &packet));
	ok(packet->hop_count == 4 && packet->hops[2].event == 7 && packet->hops[3].node == 3,
	   "a packet goes on where its tunnel ends");
	ok(packet->end_count == 1 && packet->ends[0].kind == BH_PACKET_DROPPED &&
		   packet->ends[0].event == 9 && packet->to == 3,
	   "and ends with the drop");
	ok(packet->origin.kind == BH_ORIGIN_SYSCALL && packet->origin.pid == 77 &&
		   packet->origin.event == 2 && !strcmp(packet->origin.program, "ping") &&
		   !strcmp(packet->origin.call, "sendto"),
	   "its origin");
	around = bh_packets_next_child(packets, packet, &index);
	ok(around && around->id == 5 && around->relation == BH_PACKET_ENCAPSULATED &&
		   around->hop_count == 2 && !strcmp(around->ends[0].reason, "decapsulated") &&
		   !bh_packets_next_child(packets, packet, &index),
	   "what it was in");
	ok(bh_packets_of_event(packets, 6, NULL) == around &&
		   bh_packets_of_event(packets, 8, NULL) == packet &&
		   !bh_packets_of_event(packets, 9, NULL),
	   "packets of events");
	must(bh_packets_find(packets, 11, &packet));
	ok(packet->id == 10 && packet->ends[0].kind == BH_PACKET_LOST &&
		   !strcmp(packet->ends[0].reason, "queue") && packet->to == BH_NO_NODE,
	   "one that a link lost, by the event of its loss");
	struct bh_error *error = bh_packets_find(packets, 12, &packet);

	ok(error && error->code == BH_ERR_USAGE && strstr(error->message, "between 3 and 10"),
	   "an id that there is not");
	bh_error_free(error);
	ok(!strcmp(bh_packets_device(packets, 0, 0), "eth0") && !bh_packets_device(packets, 1, 0),
	   "devices");
}

static size_t matches(const struct bh_packets *packets, const char *text)
{
	struct bh_packet_filter *filter;
	size_t found = 0;

	must(bh_packet_filter_create(bh_packets_trace(packets), text, &filter));
	for (size_t i = 0; i < bh_packets_count(packets); i++)
		found += bh_packet_filter_matches(filter, packets, bh_packets_at(packets, i));
	bh_packet_filter_destroy(filter);
	return found;
}

static void test_filters(const struct bh_packets *packets)
{
	ok(matches(packets, "") == 3 && matches(packets, NULL) == 3, "no filter");
	ok(matches(packets, "icmp") == 1 && matches(packets, "udp port 4789") == 1 &&
		   matches(packets, "host 10.0.1.2") == 2,
	   "filters in libpcap's words");
	ok(matches(packets, "dropped") == 1 && matches(packets, "not dropped") == 2 &&
		   matches(packets, "at d") == 1 && matches(packets, "to 3") == 1 &&
		   matches(packets, "from b") == 2 && matches(packets, "lost") == 1,
	   "filters in ours");
	ok(matches(packets, "icmp and at c and not lost") == 1 &&
		   matches(packets, "at c and icmp") == 1 && matches(packets, "lost and icmp") == 0,
	   "both");
}

/* Goes through all that can be asked. */
static void use(const struct bh_packets *packets)
{
	for (size_t i = 0; i < bh_packets_count(packets); i++) {
		size_t index = 0;

		free(bh_packet_json(packets, bh_packets_at(packets, i)));
		while (bh_packets_next_child(packets, bh_packets_at(packets, i), &index))
			;
	}
	for (uint64_t event = 0; event < EVENT_COUNT + 2; event++)
		bh_packets_of_event(packets, event, NULL);
}

static void change(uint8_t *bytes, size_t length)
{
	for (uint64_t changes = 1 + random_next() % 4; changes; changes--)
		bytes[random_next() % length] = (uint8_t)(random_next() >> 20);
}

static void test_damage(const struct bh_packets_source *source, const struct bh_buffer *stream,
			const struct bh_packets *packets)
{
	const uint8_t key[16] = {1, 2, 3};
	struct bh_buffer file = {0};
	struct bh_packets *again;
	int is_same = 1;

	bh_packets_encode(packets, key, &file);
	must(bh_packets_decode(source->trace, key, file.bytes, file.length, &again));
	for (size_t i = 0; i < bh_packets_count(packets); i++) {
		char *was = bh_packet_json(packets, bh_packets_at(packets, i));
		char *is = bh_packet_json(again, bh_packets_at(again, i));

		is_same &= !strcmp(was, is);
		free(was);
		free(is);
	}
	ok(is_same && bh_packets_count(again) == bh_packets_count(packets),
	   "a table that was written and read");
	bh_packets_destroy(again);
	for (int i = 0; i < 20000; i++) {
		/* Of its own size, so that a decoder that goes on is seen. */
		size_t length = i % 8 ? file.length : 36 + random_next() % (file.length - 36);
		uint8_t *copy = malloc(length);

		memcpy(copy, file.bytes, length);
		if (length > 36)
			change(copy + 36, length - 36);
		uint64_t hash = bh_hash64(copy + 36, length - 36);

		memcpy(copy + 28, &hash, sizeof(hash));
		struct bh_error *error =
			bh_packets_decode(source->trace, key, copy, length, &again);

		if (!error) {
			use(again);
			bh_packets_destroy(again);
		}
		bh_error_free(error);
		free(copy);
	}
	ok(1, "tables that are damaged or made up");
	for (int i = 0; i < 5000; i++) {
		struct bh_buffer changed = {.length = stream->length};

		changed.bytes = malloc(stream->length);
		memcpy(changed.bytes, stream->bytes, stream->length);
		change(changed.bytes, changed.length);
		struct bh_error *error = bh_packets_build(source, &changed, &again);

		if (!error) {
			use(again);
			bh_packets_destroy(again);
		}
		bh_error_free(error);
		free(changed.bytes);
	}
	ok(1, "reruns that tell nonsense");
	bh_buffer_free(&file);
}

int main(void)
{
	struct bh_trace *trace = make_trace("packets.bht");
	const struct bh_packets_source source = {
		.trace = trace, .find_kernel = no_kernel, .cache_folder = ""};
	struct bh_buffer stream = {0};
	struct bh_packets *packets;

	make_stream(&stream);
	must(bh_packets_build(&source, &stream, &packets));
	test_frames();
	test_relations();
	test_table(packets);
	test_filters(packets);
	test_damage(&source, &stream, packets);
	bh_packets_destroy(packets);
	bh_buffer_free(&stream);
	bh_trace_close(trace);
	unlink("packets.bht");
	printf("1..%d\n", count);
	return failures != 0;
}
