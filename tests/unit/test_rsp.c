/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The wire format of gdb's remote protocol: replayer/rsp.c. Run by tests/run; prints TAP. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replayer/rsp.h"

static int count, failures;

static void ok(int is_right, const char *what)
{
	count++;
	failures += !is_right;
	printf("%sok %d - %s\n", is_right ? "" : "not ", count, what);
}

/* The next item is a packet with this text. */
static int is_packet(struct bh_rsp_reader *reader, const char *text)
{
	const char *packet;
	size_t length;

	return bh_rsp_reader_next(reader, &packet, &length) == BH_RSP_PACKET &&
	       length == strlen(text) && !memcmp(packet, text, length);
}

static enum bh_rsp_item next(struct bh_rsp_reader *reader)
{
	const char *packet;
	size_t length;

	return bh_rsp_reader_next(reader, &packet, &length);
}

static void feed(struct bh_rsp_reader *reader, const char *text)
{
	bh_rsp_reader_feed(reader, text, strlen(text));
}

static void test_reader(void)
{
	struct bh_rsp_reader reader = {0};

	feed(&reader, "+$g#67$OK#9a");
	ok(next(&reader) == BH_RSP_ACK, "an acknowledgement");
	ok(is_packet(&reader, "g"), "a packet behind it");
	ok(is_packet(&reader, "OK"), "a second packet in the same bytes");
	ok(next(&reader) == BH_RSP_NOTHING, "then nothing");
	feed(&reader, "$vCo");
	ok(next(&reader) == BH_RSP_NOTHING, "half a packet is not one");
	feed(&reader, "nt?#");
	ok(next(&reader) == BH_RSP_NOTHING, "nor one without its checksum");
	feed(&reader, "4");
	ok(next(&reader) == BH_RSP_NOTHING, "nor with half of it");
	feed(&reader, "9\003");
	ok(is_packet(&reader, "vCont?"), "the rest makes it whole");
	ok(next(&reader) == BH_RSP_INTERRUPT, "an interrupt behind it");
	feed(&reader, "$g#68-noise$#00");
	ok(next(&reader) == BH_RSP_DAMAGED, "a wrong checksum");
	ok(next(&reader) == BH_RSP_NACK, "a negative acknowledgement");
	ok(is_packet(&reader, ""), "an empty packet behind noise");
	feed(&reader, "$g#6x");
	ok(next(&reader) == BH_RSP_DAMAGED, "a checksum that is no number");
	bh_rsp_reader_free(&reader);
}

static void test_overlong(void)
{
	struct bh_rsp_reader reader = {0};
	char *text = malloc(BH_RSP_PACKET_MAX);

	memset(text, 'a', BH_RSP_PACKET_MAX);
	feed(&reader, "$");
	bh_rsp_reader_feed(&reader, text, BH_RSP_PACKET_MAX);
	ok(next(&reader) == BH_RSP_NOTHING, "the longest packet is waited for");
	feed(&reader, "#00");
	ok(is_packet(&reader, "") == 0, "and judged by its checksum");
	feed(&reader, "$");
	for (int i = 0; i < 8; i++) {
		bh_rsp_reader_feed(&reader, text, BH_RSP_PACKET_MAX);
		next(&reader);
	}
	ok(reader.buffer.length <= 2 * BH_RSP_PACKET_MAX, "an endless packet isn't kept");
	feed(&reader, "#00$g#67");
	ok(next(&reader) == BH_RSP_DAMAGED, "it is damaged when it does end");
	ok(is_packet(&reader, "g"), "the one behind it is read");
	free(text);
	bh_rsp_reader_free(&reader);
}

static struct bh_rsp_scan scan_of(const char *text)
{
	struct bh_rsp_scan scan;

	bh_rsp_scan_init(&scan, text, strlen(text));
	return scan;
}

static int64_t thread_of(const char *text)
{
	struct bh_rsp_scan scan = scan_of(text);
	int64_t thread = bh_rsp_scan_thread(&scan);

	return scan.failed || bh_rsp_scan_left(&scan) ? -99 : thread;
}

static void test_scan(void)
{
	struct bh_rsp_scan scan = scan_of("1f,ffffffffffffffff;12345678901234567");
	size_t length;
	uint8_t *bytes;

	ok(bh_rsp_scan_hex(&scan) == 0x1f, "a number");
	bh_rsp_scan_expect(&scan, ",");
	ok(bh_rsp_scan_hex(&scan) == UINT64_MAX, "the largest number");
	ok(!bh_rsp_scan_accept(&scan, ",") && bh_rsp_scan_accept(&scan, ";"), "text that may come");
	ok(bh_rsp_scan_hex(&scan) == 0 && scan.failed, "a number that is too large");
	scan = scan_of("x");
	bh_rsp_scan_hex(&scan);
	ok(scan.failed, "no number");
	scan = scan_of("18446744073709551616");
	bh_rsp_scan_decimal(&scan);
	ok(scan.failed, "a decimal number that is too large");
	ok(thread_of("p1.2f") == 0x2f && thread_of("2f") == 0x2f,
	   "a thread, with process and without");
	ok(thread_of("-1") == -1 && thread_of("p1.-1") == -1 && thread_of("p1") == -1 &&
		   thread_of("p-1.-1") == -1,
	   "all threads, in each form");
	ok(thread_of("0") == 0 && thread_of("p0.0") == 0, "any thread");
	ok(thread_of("p2.1") == -99, "another process");
	ok(thread_of("ffffffffffffffff") == -99, "a thread that is no number of one");
	scan = scan_of("6162zz");
	bytes = bh_rsp_scan_bytes(&scan, &length);
	ok(bytes && length == 2 && !memcmp(bytes, "ab", 3), "bytes up to something else");
	free(bytes);
	scan = scan_of("616x");
	bytes = bh_rsp_scan_bytes(&scan, &length);
	ok(!bytes && scan.failed, "half a byte");
}

static void test_replies(void)
{
	struct bh_buffer reply = {0}, frame = {0};
	static const uint8_t odd[] = {'a', '#', '$', '}', '*', 0};
	uint8_t back[16];

	bh_rsp_text(&reply, "T%02x", 5);
	bh_rsp_frame(&frame, reply.bytes, reply.length);
	ok(frame.length == 7 && !memcmp(frame.bytes, "$T05#b9", 7), "a frame");
	reply.length = 0;
	bh_rsp_binary(&reply, odd, sizeof(odd));
	ok(reply.length == sizeof(odd) + 4 && !memchr(reply.bytes, '#', reply.length) &&
		   !memchr(reply.bytes, '*', reply.length),
	   "binary data has its escapes");
	ok(bh_rsp_unescape((char *)reply.bytes, reply.length, back) == sizeof(odd) &&
		   !memcmp(back, odd, sizeof(odd)),
	   "and comes back");
	reply.length = 0;
	bh_rsp_hex(&reply, odd, 2);
	ok(reply.length == 4 && !memcmp(reply.bytes, "6123", 4), "bytes in hexadecimal");
	bh_buffer_free(&reply);
	bh_buffer_free(&frame);
}

int main(void)
{
	test_reader();
	test_overlong();
	test_scan();
	test_replies();
	printf("1..%d\n", count);
	return failures ? 1 : 0;
}
