/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The wire format of gdb's remote serial protocol, see rsp.h. Used by replayer/gdb_server*.c. */
#include "replayer/rsp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

static uint8_t checksum(const uint8_t *bytes, size_t length)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum += bytes[i];
	return sum;
}

void bh_rsp_reader_free(struct bh_rsp_reader *reader)
{
	bh_buffer_free(&reader->buffer);
	memset(reader, 0, sizeof(*reader));
}

int bh_rsp_reader_feed(struct bh_rsp_reader *reader, const void *bytes, size_t length)
{
	size_t left = reader->buffer.length - reader->used;

	if (reader->used && left)
		memmove(reader->buffer.bytes, reader->buffer.bytes + reader->used, left);
	reader->buffer.length = left;
	reader->used = 0;
	bh_buffer_bytes(&reader->buffer, bytes, length);
	return reader->buffer.failed;
}

/* Drops the bytes of a packet that is too long to keep, all but the '$'. */
static void skip_overlong(struct bh_rsp_reader *reader)
{
	size_t keep = reader->used + 1;

	reader->is_overlong = 1;
	memmove(reader->buffer.bytes + keep, reader->buffer.bytes + keep + reader->scanned,
		reader->buffer.length - keep - reader->scanned);
	reader->buffer.length -= reader->scanned;
	reader->scanned = 0;
}

/* A '$' lies at used. */
static enum bh_rsp_item take_packet(struct bh_rsp_reader *reader, const char **packet_ret,
				    size_t *length_ret)
{
	const uint8_t *start = reader->buffer.bytes + reader->used + 1;
	size_t left = reader->buffer.length - reader->used - 1;
	const uint8_t *mark = NULL;
	int high, low, is_overlong;
	size_t length;

	if (left > reader->scanned)
		mark = memchr(start + reader->scanned, '#', left - reader->scanned);
	if (!mark) {
		reader->scanned = left;
		if (left > BH_RSP_PACKET_MAX)
			skip_overlong(reader);
		return BH_RSP_NOTHING;
	}
	length = (size_t)(mark - start);
	reader->scanned = length;
	if (left < length + 3)
		return BH_RSP_NOTHING;
	high = hex_value((char)mark[1]);
	low = hex_value((char)mark[2]);
	is_overlong = reader->is_overlong || length > BH_RSP_PACKET_MAX;
	reader->used += length + 4;
	reader->scanned = 0;
	reader->is_overlong = 0;
	if (is_overlong || high < 0 || low < 0 || checksum(start, length) != high * 16 + low)
		return BH_RSP_DAMAGED;
	*packet_ret = (const char *)start;
	*length_ret = length;
	return BH_RSP_PACKET;
}

enum bh_rsp_item bh_rsp_reader_next(struct bh_rsp_reader *reader, const char **packet_ret,
				    size_t *length_ret)
{
	while (reader->used < reader->buffer.length) {
		switch (reader->buffer.bytes[reader->used]) {
		case '$':
			return take_packet(reader, packet_ret, length_ret);
		case 0x03:
			reader->used++;
			return BH_RSP_INTERRUPT;
		case '+':
			reader->used++;
			return BH_RSP_ACK;
		case '-':
			reader->used++;
			return BH_RSP_NACK;
		default: /* noise between packets is skipped, as the protocol says */
			reader->used++;
		}
	}
	return BH_RSP_NOTHING;
}

void bh_rsp_scan_init(struct bh_rsp_scan *scan, const char *packet, size_t length)
{
	scan->at = packet;
	scan->end = packet + length;
	scan->failed = 0;
}

size_t bh_rsp_scan_left(const struct bh_rsp_scan *scan)
{
	return scan->failed ? 0 : (size_t)(scan->end - scan->at);
}

int bh_rsp_scan_accept(struct bh_rsp_scan *scan, const char *text)
{
	size_t length = strlen(text);

	if (bh_rsp_scan_left(scan) < length || memcmp(scan->at, text, length))
		return 0;
	scan->at += length;
	return 1;
}

void bh_rsp_scan_expect(struct bh_rsp_scan *scan, const char *text)
{
	if (!bh_rsp_scan_accept(scan, text))
		scan->failed = 1;
}

uint64_t bh_rsp_scan_hex(struct bh_rsp_scan *scan)
{
	uint64_t value = 0;
	int digits = 0;

	for (; bh_rsp_scan_left(scan) && hex_value(*scan->at) >= 0; scan->at++, digits++) {
		if (value >> 60)
			scan->failed = 1;
		value = value << 4 | (uint64_t)hex_value(*scan->at);
	}
	if (!digits)
		scan->failed = 1;
	return scan->failed ? 0 : value;
}

uint64_t bh_rsp_scan_decimal(struct bh_rsp_scan *scan)
{
	uint64_t value = 0;
	int digits = 0;

	for (; bh_rsp_scan_left(scan) && *scan->at >= '0' && *scan->at <= '9';
	     scan->at++, digits++) {
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*scan->at - '0'), &value))
			scan->failed = 1;
	}
	if (!digits)
		scan->failed = 1;
	return scan->failed ? 0 : value;
}

uint8_t *bh_rsp_scan_bytes(struct bh_rsp_scan *scan, size_t *length_ret)
{
	uint8_t *bytes = malloc(bh_rsp_scan_left(scan) / 2 + 1);
	size_t length = 0;

	if (!bytes)
		scan->failed = 1;
	while (bh_rsp_scan_left(scan) >= 2 && hex_value(scan->at[0]) >= 0) {
		if (hex_value(scan->at[1]) < 0) {
			scan->failed = 1;
			break;
		}
		bytes[length++] = (uint8_t)(hex_value(scan->at[0]) << 4 | hex_value(scan->at[1]));
		scan->at += 2;
	}
	if (scan->failed) {
		free(bytes);
		return NULL;
	}
	bytes[length] = 0;
	*length_ret = length;
	return bytes;
}

int64_t bh_rsp_scan_thread(struct bh_rsp_scan *scan)
{
	uint64_t thread;

	if (bh_rsp_scan_accept(scan, "p")) {
		if (!bh_rsp_scan_accept(scan, "-1") && bh_rsp_scan_hex(scan) > 1)
			scan->failed = 1;
		if (!bh_rsp_scan_accept(scan, "."))
			return BH_RSP_ALL_THREADS;
	}
	if (bh_rsp_scan_accept(scan, "-1"))
		return BH_RSP_ALL_THREADS;
	thread = bh_rsp_scan_hex(scan);
	if (thread > INT64_MAX)
		scan->failed = 1;
	return scan->failed ? 0 : (int64_t)thread;
}

size_t bh_rsp_unescape(const char *data, size_t length, uint8_t *bytes_ret)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++) {
		if (data[i] == '}' && i + 1 < length)
			bytes_ret[count++] = (uint8_t)data[++i] ^ 0x20;
		else
			bytes_ret[count++] = (uint8_t)data[i];
	}
	return count;
}

void bh_rsp_text(struct bh_buffer *reply, const char *format, ...)
{
	va_list arguments;
	uint8_t *to;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	to = length < 0 ? NULL : bh_buffer_reserve(reply, (size_t)length + 1);
	if (!to)
		return;
	va_start(arguments, format);
	vsnprintf((char *)to, (size_t)length + 1, format, arguments);
	va_end(arguments);
	reply->length += (size_t)length;
}

void bh_rsp_hex(struct bh_buffer *reply, const void *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *from = bytes;
	uint8_t *to = bh_buffer_reserve(reply, length * 2);

	if (!to)
		return;
	for (size_t i = 0; i < length; i++) {
		*to++ = (uint8_t)digits[from[i] >> 4];
		*to++ = (uint8_t)digits[from[i] & 15];
	}
	reply->length += length * 2;
}

void bh_rsp_binary(struct bh_buffer *reply, const void *bytes, size_t length)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < length; i++) {
		/* '*' would start a run-length code in a reply. */
		if (from[i] == '}' || from[i] == '#' || from[i] == '$' || from[i] == '*') {
			bh_buffer_u8(reply, '}');
			bh_buffer_u8(reply, from[i] ^ 0x20);
		} else {
			bh_buffer_u8(reply, from[i]);
		}
	}
}

void bh_rsp_frame(struct bh_buffer *out, const void *payload, size_t length)
{
	char end[4];

	snprintf(end, sizeof(end), "#%02x", checksum(payload, length));
	bh_buffer_u8(out, '$');
	bh_buffer_bytes(out, payload, length);
	bh_buffer_bytes(out, end, 3);
}
