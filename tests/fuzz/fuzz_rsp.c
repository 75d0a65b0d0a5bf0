/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzes what the gdb server does with bytes from its socket: packets, their fields, and the
 * bytecode of conditions. With libFuzzer:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -DBH_LIBFUZZER -I. -D_GNU_SOURCE \
 *     tests/fuzz/fuzz_rsp.c replayer/rsp.c replayer/agent.c common/cursor.c
 * Without it, main() runs each file given, and with `--seconds N` mutates a packet for N seconds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "replayer/agent.h"
#include "replayer/rsp.h"

static int read_register(void *arg, unsigned int number, uint64_t *value_ret)
{
	*value_ret = number;
	return number > 64 ? -1 : 0;
}

static int read_memory(void *arg, uint64_t address, void *bytes_ret, size_t length)
{
	memset(bytes_ret, (int)address, length);
	return address > 1u << 20 ? -1 : 0;
}

static void try_packet(const char *packet, size_t length)
{
	static const struct bh_agent_source source = {NULL, read_register, read_memory};
	struct bh_rsp_scan scan;
	uint8_t *bytes;
	size_t count;
	uint64_t value;

	bytes = malloc(length + 1);
	count = bh_rsp_unescape(packet, length, bytes);
	bh_agent_evaluate(bytes, count, &source, &value);
	free(bytes);
	bh_rsp_scan_init(&scan, packet, length);
	bh_rsp_scan_accept(&scan, "vCont;");
	bh_rsp_scan_thread(&scan);
	bh_rsp_scan_init(&scan, packet, length);
	bh_rsp_scan_expect(&scan, "Z");
	bh_rsp_scan_hex(&scan);
	bh_rsp_scan_expect(&scan, ",");
	bh_rsp_scan_decimal(&scan);
	bytes = bh_rsp_scan_bytes(&scan, &count);
	if (bytes)
		bh_agent_evaluate(bytes, count, &source, &value);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* Fed in two parts, so that packets are cut anywhere. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	size_t parts[2] = {length ? bytes[0] % length : 0, 0};
	struct bh_rsp_reader reader = {0};

	parts[1] = length - parts[0];
	for (int i = 0; i < 2; i++) {
		enum bh_rsp_item item;
		const char *packet;
		size_t count;

		bh_rsp_reader_feed(&reader, bytes + (i ? parts[0] : 0), parts[i]);
		while ((item = bh_rsp_reader_next(&reader, &packet, &count)) != BH_RSP_NOTHING)
			if (item == BH_RSP_PACKET)
				try_packet(packet, count);
	}
	bh_rsp_reader_free(&reader);
	try_packet((const char *)bytes, length);
	return 0;
}

#ifndef BH_LIBFUZZER
#include "tests/random.h"

static void mutate_and_run(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length + 1);

	memcpy(copy, bytes, length);
	for (uint64_t changes = random_next() % 8; changes && length; changes--)
		copy[random_next() % length] = (uint8_t)random_next();
	LLVMFuzzerTestOneInput(copy, length);
	free(copy);
}

int main(int argc, char **argv)
{
	static const char packet[] = "$Z0,1000,1;Xb,26003c2a2022032a201327#3a+$vCont;s:p1.2f#00"
				     "\x26\x00\x3c\x22\x03\x13\x20\x00\x00\x27";
	long seconds = 1, runs = 0;

	for (int i = 1; i < argc; i++) {
		static uint8_t bytes[1 << 20];
		FILE *file;

		if (!strcmp(argv[i], "--seconds") && i + 1 < argc) {
			seconds = atol(argv[++i]);
			continue;
		}
		file = fopen(argv[i], "rb");
		if (!file) {
			perror(argv[i]);
			return 1;
		}
		LLVMFuzzerTestOneInput(bytes, fread(bytes, 1, sizeof(bytes), file));
		fclose(file);
	}
	for (time_t end = time(NULL) + seconds; time(NULL) < end; runs++)
		mutate_and_run((const uint8_t *)packet, sizeof(packet) - 1);
	printf("%ld mutations, no crash\n", runs);
	return 0;
}

#endif
