// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel library alone: nodes are booted and driven by host operations written here, without
 * the simulator and without programs. The image is $BACKHOP_TEST_IMAGE, or build/kernel-6.1/image.
 * Lines are as TAP has them; figures go to stderr.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel-lib/image.h"
#include "kernel-lib/node.h"

#define NODES	    16
#define QUEUE_MAX   64
#define FRAME_BYTES 2048

struct frame {
	unsigned int length, device;
	unsigned long packet;
	unsigned char bytes[FRAME_BYTES];
};

/* One node's host side: two ends of hand-made links, left (device 0) and right (device 1). */
struct host {
	struct bh_node *node;
	unsigned long deadline;
	unsigned long entropy;
	struct host *peer[2];
	unsigned int peer_device[2];
	struct frame queue[QUEUE_MAX];
	unsigned int head, count;
	unsigned long transmitted, dropped;
	char log[1 << 16];
	size_t log_length;
};

static unsigned long now_ns;
static unsigned long next_packet = 1;
static int tests_done, tests_failed;

static void ok(int passed, const char *format, ...)
{
	va_list list;

	tests_done++;
	tests_failed += !passed;
	printf("%sok %d - ", passed ? "" : "not ", tests_done);
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	printf("\n");
	fflush(stdout);
}

static unsigned long host_clock(void *arg)
{
	return now_ns;
}

static void host_timer(void *arg, unsigned long deadline_ns)
{
	((struct host *)arg)->deadline = deadline_ns;
}

static void host_console(void *arg, const char *text, unsigned long length)
{
	struct host *host = arg;

	if (getenv("BACKHOP_TEST_CONSOLE"))
		fwrite(text, 1, length, stderr);
	if (length > sizeof(host->log) - 1 - host->log_length)
		length = sizeof(host->log) - 1 - host->log_length;
	memcpy(host->log + host->log_length, text, length);
	host->log_length += length;
}

static void host_entropy(void *arg, void *bytes_ret, unsigned long length)
{
	struct host *host = arg;
	unsigned char *bytes = bytes_ret;

	while (length--) {
		host->entropy = host->entropy * 6364136223846793005ul + 1442695040888963407ul;
		*bytes++ = host->entropy >> 56;
	}
}

static unsigned char prepared[FRAME_BYTES];

static void *host_prepare(void *arg, unsigned int length)
{
	return length <= FRAME_BYTES ? prepared : NULL;
}

static void host_transmit(void *arg, unsigned int device, unsigned int length, unsigned long packet)
{
	struct host *host = arg, *peer = device < 2 ? host->peer[device] : NULL;
	struct frame *frame;

	host->transmitted++;
	if (!peer || peer->count == QUEUE_MAX || length > FRAME_BYTES)
		return;
	frame = &peer->queue[(peer->head + peer->count++) % QUEUE_MAX];
	frame->length = length;
	frame->device = host->peer_device[device];
	frame->packet = packet ? packet : next_packet++;
	memcpy(frame->bytes, prepared, length);
}

static int host_receive(void *arg, struct bh_rx_frame *frame_ret)
{
	struct host *host = arg;
	struct frame *frame = &host->queue[host->head];

	if (!host->count)
		return 0;
	host->head = (host->head + 1) % QUEUE_MAX;
	host->count--;
	*frame_ret =
		(struct bh_rx_frame){frame->bytes, frame->length, frame->device, frame->packet};
	return 1;
}

static void host_drop(void *arg, unsigned long packet, unsigned long location, unsigned int reason,
		      unsigned int length)
{
	((struct host *)arg)->dropped++;
}

static int host_spawn_next(void *arg, struct bh_spawn *spawn_ret)
{
	return 0;
}

static void host_spawn_result(void *arg, unsigned long id, int pid_or_errno)
{
}

static void host_device_state(void *arg, unsigned int device, int is_on)
{
}

static const struct bh_host_ops host_ops = {
	.clock_ns = host_clock,
	.timer_set = host_timer,
	.console = host_console,
	.entropy = host_entropy,
	.device_state = host_device_state,
	.frame_prepare = host_prepare,
	.frame_transmit = host_transmit,
	.frame_receive = host_receive,
	.packet_drop = host_drop,
	.spawn_next = host_spawn_next,
	.spawn_result = host_spawn_result,
};

static double seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* The process's own memory in KiB. Pages of files count only once it wrote to them: those of a file
 * that was just made are dirty, too, and private as long as no other process maps them. */
static long private_kib(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	long value, sum = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Anonymous: %ld", &value) == 1)
			sum += value;
	if (file)
		fclose(file);
	return sum;
}

static struct host *create(const struct bh_image *image, unsigned int id)
{
	struct host *host = calloc(1, sizeof(*host));
	char name[16];
	struct bh_netdev devices[2] = {
		{.name = "eth0", .mac = {2, 0, 0, 0, id, 1}, .carrier = 1, .mtu = 1500},
		{.name = "eth1", .mac = {2, 0, 0, 0, id, 2}, .carrier = 1, .mtu = 1500},
	};
	struct bh_node_options options = {
		.image = image,
		.id = id,
		.hostname = name,
		.host_ops = &host_ops,
		.host = host,
		.devices = devices,
		.device_count = 2,
		.epoch_ns = 946684800000000000ul,
	};
	struct bh_error *error;

	snprintf(name, sizeof(name), "n%u", id);
	host->deadline = BH_NO_DEADLINE;
	host->entropy = id + 1;
	error = bh_node_create(&options, &host->node);
	if (!error)
		error = bh_node_boot(host->node);
	if (error) {
		printf("# %s\n", error->message);
		bh_error_free(error);
		fwrite(host->log, 1, host->log_length, stderr);
		bh_node_destroy(host->node);
		free(host);
		return NULL;
	}
	return host;
}

static void destroy(struct host *host)
{
	if (host)
		bh_node_destroy(host->node);
	free(host);
}

/* The smallest simulator: frames at once, otherwise the nearest deadline up to limit_ns. Returns
 * how often a node was resumed. */
static unsigned int run_until(struct host **hosts, unsigned int count, unsigned long limit_ns)
{
	unsigned int resumed = 0;

	for (;;) {
		unsigned long next = BH_NO_DEADLINE;
		unsigned int i, busy = 0;

		for (i = 0; i < count; i++) {
			unsigned long bits = 0;

			if (hosts[i]->count)
				bits |= BH_IRQ_NET;
			if (hosts[i]->deadline <= now_ns) {
				hosts[i]->deadline = BH_NO_DEADLINE;
				bits |= BH_IRQ_TIMER;
			}
			if (bits && bh_node_state(hosts[i]->node) == BH_NODE_IDLE) {
				bh_node_resume(hosts[i]->node, bits);
				busy = 1;
				resumed++;
			}
			if (hosts[i]->deadline < next)
				next = hosts[i]->deadline;
		}
		if (busy)
			continue;
		if (next > limit_ns)
			break;
		now_ns = next;
	}
	now_ns = limit_ns;
	return resumed;
}

static int log_has(const struct host *host, const char *text)
{
	return strstr(host->log, text) != NULL;
}

/* Gives host a frame as if the link of device had brought it. */
static void inject(struct host *host, unsigned int device, const void *bytes, unsigned int length,
		   unsigned long packet)
{
	struct frame *frame = &host->queue[(host->head + host->count++) % QUEUE_MAX];

	frame->length = length;
	frame->device = device;
	frame->packet = packet;
	memcpy(frame->bytes, bytes, length);
}

static void test_one(const struct bh_image *image)
{
	double start = seconds();
	struct host *host = create(image, 0);
	size_t count, i;
	const uint32_t *entries = bh_image_patchable_entries(image, &count);
	static const unsigned char nop[5] = {0x0f, 0x1f, 0x44, 0, 0};
	int good = count > 1000;
	unsigned int resumed;

	fprintf(stderr, "first boot: %.1f ms\n", (seconds() - start) * 1e3);
	ok(host != NULL, "a node boots to idle");
	if (!host)
		return;
	ok(bh_node_state(host->node) == BH_NODE_IDLE, "and is idle");
	ok(log_has(host, "Linux version"), "and has logged its version");
	ok(!log_has(host, "WARNING") && !log_has(host, "BUG"), "and has logged no warning");
	for (i = 0; i < count; i++)
		good &= !memcmp((void *)(bh_node_base(host->node) + entries[i]), nop, sizeof(nop));
	ok(good, "all %zu patchable entries hold one 5-byte NOP", count);
	run_until(&host, 1, now_ns + 100000000000ul);
	ok(bh_node_state(host->node) == BH_NODE_IDLE, "it idles for 100 s of virtual time");
	ok(host->deadline > now_ns, "its next deadline lies ahead");
	/* Linux's own housekeeping: vmstat, the neighbour tables' garbage collection, writeback. */
	resumed = run_until(&host, 1, now_ns + 1000000000000ul);
	ok(resumed <= 500, "1000 s of idling wake it %u times, not once a second", resumed);
	fprintf(stderr, "deadline after 100 s idle: %.3f s ahead\n",
		host->deadline == BH_NO_DEADLINE ? -1 : (host->deadline - now_ns) / 1e9);
	bh_node_resume(host->node, 0);
	ok(bh_node_state(host->node) == BH_NODE_IDLE, "a resume without interrupts idles again");
	ok(bh_node_fault_fixup(host->node, bh_node_base(host->node) + bh_image_entry(image)) == 0,
	   "an address without a fix-up has none");
	destroy(host);
}

static void test_many(const struct bh_image *image)
{
	struct host *hosts[NODES];
	unsigned int i, same = 1;
	long before = private_kib();
	double start = seconds();

	for (i = 0; i < NODES; i++) {
		hosts[i] = create(image, i);
		if (!hosts[i]) {
			ok(0, "%d nodes boot", NODES);
			return;
		}
	}
	fprintf(stderr, "boot: %.2f ms a node, %ld KiB private a node (test's own %zu KiB)\n",
		(seconds() - start) * 1e3 / NODES, (private_kib() - before) / NODES,
		sizeof(struct host) / 1024);
	for (i = 1; i < NODES; i++)
		same &= hosts[i]->log_length == hosts[0]->log_length;
	ok(1, "%d nodes boot", NODES);
	ok(same, "and all have logged the same amount");
	for (i = 0; i < NODES; i++)
		destroy(hosts[i]);
	hosts[0] = create(image, 0);
	ok(hosts[0] != NULL, "a number can be used again after its node is destroyed");
	destroy(hosts[0]);
}

static void test_bad_images(void)
{
	struct bh_image *image = NULL;
	struct bh_error *error = bh_image_open("/dev/null", &image);

	ok(error && error->code == BH_ERR_INPUT && !image, "/dev/null is refused");
	bh_error_free(error);
	error = bh_image_open("/proc/self/exe", &image);
	ok(error && !image, "a program is refused: %s", error ? error->message : "");
	bh_error_free(error);
	error = bh_image_open("/nonexistent/image", &image);
	ok(error && !image, "a missing file is refused");
	bh_error_free(error);
}

/* IPv6 works by itself once a device is up, but nothing here can bring one up without programs:
 * so frames only show that the drop hook and the receive path run. */
static void test_frames(const struct bh_image *image)
{
	static const unsigned char frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
						0,    0,    0,	  9,	9,    8,    6};
	struct host *host = create(image, 3);

	if (!host)
		return;
	inject(host, 0, frame, sizeof(frame), 77);
	bh_node_resume(host->node, BH_IRQ_NET);
	ok(host->count == 0, "a frame for a device that is down is taken");
	bh_node_boot_record(host->node)->devices[0].carrier = 0;
	bh_node_resume(host->node, BH_IRQ_LINK);
	ok(bh_node_state(host->node) == BH_NODE_IDLE, "a carrier change is taken");
	destroy(host);
}

/* A node whose memory is given back, and that boots again as it did the first time. */
static void test_release(const struct bh_image *image)
{
	long before = private_kib(), booted, released;
	struct host *host = create(image, 0);
	char first_log[sizeof(host->log)];

	booted = private_kib();
	memcpy(first_log, host->log, sizeof(first_log));
	bh_node_release(host->node);
	released = private_kib();
	fprintf(stderr, "# a node's private memory: %ld KiB, when it is released: %ld KiB\n",
		booted - before, released - before);
	ok(booted - before > 1000, "a node uses memory");
	/* The log in struct host, a page for its control. */
	ok(released - before < 200, "a released node has given its memory back");
	ok(bh_node_state(host->node) == BH_NODE_DEAD, "a released node is dead");
	bh_node_reset(host->node);
	ok(bh_node_state(host->node) == BH_NODE_CREATED, "a reset node can boot");
	memset(host->log, 0, sizeof(host->log));
	host->log_length = host->entropy = 0;
	bh_error_free(bh_node_boot(host->node));
	ok(bh_node_state(host->node) == BH_NODE_IDLE && host->log_length > 1000 &&
		   !memcmp(first_log, host->log, host->log_length),
	   "it boots as it did the first time");
	destroy(host);
}

int main(void)
{
	const char *path = getenv("BACKHOP_TEST_IMAGE"), *build = getenv("BUILD");
	char built[4096];
	struct bh_image *image = NULL;

	snprintf(built, sizeof(built), "%s/kernel-6.1/image", build ? build : "build");
	struct bh_error *error = bh_image_open(path ? path : built, &image);

	if (error) {
		printf("1..0 # SKIP %s\n", error->message);
		bh_error_free(error);
		return 0;
	}
	test_bad_images();
	test_one(image);
	test_many(image);
	test_frames(image);
	test_release(image);
	bh_image_close(image);
	printf("1..%d\n", tests_done);
	return tests_failed != 0;
}
