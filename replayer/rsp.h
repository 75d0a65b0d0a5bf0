/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wire format of gdb's remote serial protocol: packets out of bytes and back, escapes, hex.
 * Everything works on memory, nothing here knows a socket, so that it can be fuzzed. Used by
 * replayer/gdb_server*.c; the meaning of the packets is theirs.
 */
#ifndef BH_REPLAYER_RSP_H
#define BH_REPLAYER_RSP_H

#include <stddef.h>
#include <stdint.h>

#include "common/cursor.h"

/* Longest packet that we take, without '$', '#' and checksum; told to gdb as PacketSize. */
#define BH_RSP_PACKET_MAX 0x20000u

/* --- what the debugger sends --- */

enum bh_rsp_item {
	BH_RSP_NOTHING,	  /* more bytes are needed */
	BH_RSP_PACKET,	  /* a whole packet with the right checksum */
	BH_RSP_DAMAGED,	  /* wrong checksum, or too long: answer '-' unless acknowledgements are off
			   */
	BH_RSP_INTERRUPT, /* a byte 0x03 between packets: the user pressed Ctrl-C */
	BH_RSP_ACK,	  /* '+' */
	BH_RSP_NACK,	  /* '-': the last reply is wanted again */
};

/* Zeroes are an empty reader. */
struct bh_rsp_reader {
	struct bh_buffer buffer;
	size_t used;	 /* bytes of buffer that were taken already */
	size_t scanned;	 /* bytes of the packet at used in which there is no '#' */
	int is_overlong; /* the packet that is coming in is too long: skip to its end */
};

void bh_rsp_reader_free(struct bh_rsp_reader *reader);
/* Copies bytes that arrived. Returns non-zero when out of memory. */
int bh_rsp_reader_feed(struct bh_rsp_reader *reader, const void *bytes, size_t length);
/* Takes the next item. A packet's bytes (escapes still in) are valid until the next feed. */
enum bh_rsp_item bh_rsp_reader_next(struct bh_rsp_reader *reader, const char **packet_ret,
				    size_t *length_ret);

/* --- taking a packet apart --- */

/* Reads from the front; a field that isn't there sets failed, and all later ones give 0. */
struct bh_rsp_scan {
	const char *at, *end;
	int failed;
};

void bh_rsp_scan_init(struct bh_rsp_scan *scan, const char *packet, size_t length);
/* Bytes left. */
size_t bh_rsp_scan_left(const struct bh_rsp_scan *scan);
/* Skips text if it comes next; non-zero if it did. */
int bh_rsp_scan_accept(struct bh_rsp_scan *scan, const char *text);
/* The same for text that must come next. */
void bh_rsp_scan_expect(struct bh_rsp_scan *scan, const char *text);
/* A hexadecimal number of 1 to 16 digits. */
uint64_t bh_rsp_scan_hex(struct bh_rsp_scan *scan);
/* A decimal number that fits. */
uint64_t bh_rsp_scan_decimal(struct bh_rsp_scan *scan);
/* Pairs of hexadecimal digits up to the end or to another character; the result has to be freed
 * and ends in a NUL that isn't counted. NULL when failed. */
uint8_t *bh_rsp_scan_bytes(struct bh_rsp_scan *scan, size_t *length_ret);
/* "p1.2f", "2f", "p1", "-1", "0": the thread alone. Another process than 1 fails. */
int64_t bh_rsp_scan_thread(struct bh_rsp_scan *scan);

#define BH_RSP_ALL_THREADS (-1)
#define BH_RSP_ANY_THREAD  0

/* Takes the escapes ('}') out of binary data; returns the new length, at most the old one. */
size_t bh_rsp_unescape(const char *data, size_t length, uint8_t *bytes_ret);

/* --- putting a reply together --- */

void bh_rsp_text(struct bh_buffer *reply, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void bh_rsp_hex(struct bh_buffer *reply, const void *bytes, size_t length);
/* Bytes as they are, with escapes where the protocol wants them. */
void bh_rsp_binary(struct bh_buffer *reply, const void *bytes, size_t length);
/* Frames payload: '$', payload, '#', checksum. */
void bh_rsp_frame(struct bh_buffer *out, const void *payload, size_t length);

#endif
