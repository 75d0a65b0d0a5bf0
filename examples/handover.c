/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scenario in C, in the manner of a DCE script: a client reaches a server over one of two
 *routers. While it downloads, the route moves from one to the other; the program checks that the
 *transfer survives and that frames really take the new way, and loses the first frame that comes
 *back over it, which TCP must repair. Build and run it (docs/c-interface.md says more):
 *
 *	cc handover.c $(pkg-config --static --cflags --libs backhop) -o handover
 *	./handover                          runs it
 *	./handover record -o handover.bht   records it, for backhop replay handover.bht
 *	./handover -- 200000                with another number of bytes
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <backhop/scenario.h>

#define HANDOVER_NS BH_MS(3500)

static const char server[] = "import socket\n"
			     "s = socket.create_server(('10.9.0.2', 5001))\n"
			     "c, peer = s.accept()\n"
			     "total = 0\n"
			     "while data := c.recv(65536):\n"
			     "    total += len(data)\n"
			     "print(total)\n";
static const char client[] = "import socket, sys, time\n"
			     "s = socket.create_connection(('10.9.0.2', 5001))\n"
			     "left = int(sys.argv[1])\n"
			     "while left:\n"
			     "    n = min(left, 5000)\n"
			     "    s.sendall(bytes(n))\n"
			     "    left -= n\n"
			     "    time.sleep(0.1)\n"
			     "s.close()\n";

/* What the callbacks count. */
struct state {
	long bytes;
	uint32_t client, router[2], server;
	unsigned int frames_over[2];
	int is_first_lost;
};

/* --- while the run goes on --- */

static void got_forwarding(struct bh_run *run, uint32_t node, const char *value, void *arg)
{
	if (!value || strcmp(value, "1") != 0)
		bh_run_fail(run, node, "%s doesn't forward", bh_run_node_name(run, node));
}

static void hand_over(struct bh_run *run, void *arg)
{
	struct state *state = arg;

	fprintf(stderr,
		"%" PRIu64 " ms: over to the second router; %u frames went over the first\n",
		bh_run_now_ns(run) / BH_MS(1), state->frames_over[0]);
	bh_run_ip(run, state->client, "route replace 10.9.0.0/24 via 10.2.0.2 src 10.1.0.1");
	bh_run_ip(run, state->server, "route replace 10.0.0.0/8 via 10.9.2.1");
	bh_run_sysctl_get(run, state->router[1], "net.ipv4.ip_forward", got_forwarding, NULL);
}

static int count_frame(struct bh_run *run, const struct bh_frame_info *frame, void *arg)
{
	struct state *state = arg;
	int router = frame->node == state->router[1];
	/* IPv4 with TCP inside. */
	int is_tcp = frame->length > 34 && frame->data[12] == 8 && frame->data[23] == 6;

	if (!frame->is_received || !is_tcp)
		return 0;
	state->frames_over[router]++;
	if (router == 1 && !state->is_first_lost) {
		state->is_first_lost = 1;
		return 1;
	}
	return 0;
}

static void server_finished(struct bh_run *run, const struct bh_program_end *end, void *arg)
{
	struct state *state = arg;
	long received = strtol(end->output, NULL, 10);

	if (received != state->bytes)
		bh_run_fail(run, end->node, "the server got %ld bytes, not %ld", received,
			    state->bytes);
}

static void check(struct bh_run *run, void *arg)
{
	struct state *state = arg;

	for (int i = 0; i < 2; i++)
		if (state->frames_over[i] < 10)
			bh_run_fail(run, state->router[i], "only %u frames came over %s",
				    state->frames_over[i], bh_run_node_name(run, state->router[i]));
	if (!state->is_first_lost)
		bh_run_fail(run, BH_NODE_NONE, "no frame was lost");
	fprintf(stderr, "%u and %u frames\n", state->frames_over[0], state->frames_over[1]);
}

/* --- before it --- */

static void add_router(struct bh_build *b, struct state *state, int number)
{
	const struct bh_link_options access = {.delay_ns = BH_MS(5), .rate_bps = 10000000};
	const struct bh_link_options core = {.delay_ns = BH_MS(number ? 30 : 10)};
	char name[20], line[80], end[32], other[32];

	snprintf(name, sizeof(name), "router%d", number + 1);
	uint32_t router = state->router[number] = bh_build_node(b, name);

	bh_build_sysctl(b, router, "net.ipv4.ip_forward", "1");
	snprintf(line, sizeof(line), "ip addr add 10.%d.0.2/24 dev eth0", number + 1);
	bh_build_exec(b, router, line);
	snprintf(line, sizeof(line), "ip addr add 10.9.%d.1/30 dev eth1", number + 1);
	bh_build_exec(b, router, line);
	snprintf(line, sizeof(line), "ip route add 10.9.0.0/24 via 10.9.%d.2", number + 1);
	bh_build_exec(b, router, line);
	snprintf(end, sizeof(end), "client:eth%d", number);
	snprintf(other, sizeof(other), "%s:eth0", name);
	bh_build_link(b, end, other, &access);
	snprintf(end, sizeof(end), "%s:eth1", name);
	snprintf(other, sizeof(other), "server:eth%d", number);
	bh_build_link(b, end, other, &core);
	snprintf(end, sizeof(end), "%s:eth0", name);
	bh_build_inspect(b, end, count_frame, state);
}

static void build(struct bh_build *b, int argc, char **argv)
{
	static struct state state;
	static char bytes[16] = "100000";
	static const char *const server_words[] = {"-c", server, NULL};
	static const char *const client_words[] = {"-c", client, bytes, NULL};
	const struct bh_program sink = {.path = "python3",
					.argv = server_words,
					.must_end = 1,
					.finished = server_finished,
					.arg = &state};
	const struct bh_program source = {
		.path = "python3", .argv = client_words, .start_ns = BH_S(2), .must_end = 1};

	if (argc > 2)
		bh_build_fail(b, "give at most one argument, a number of bytes");
	snprintf(bytes, sizeof(bytes), "%s", argc == 2 ? argv[1] : "100000");
	state = (struct state){.bytes = strtol(bytes, NULL, 10)};
	if (state.bytes < 50000)
		bh_build_fail(b, "\"%s\" is not a number of at least 50000 bytes", bytes);
	bh_build_stop_time(b, BH_S(60));
	bh_build_seed(b, 3);
	state.client = bh_build_node(b, "client");
	state.server = bh_build_node(b, "server");
	add_router(b, &state, 0);
	add_router(b, &state, 1);

	/* The client keeps its first address when it moves. */
	bh_build_exec(b, state.router[1], "ip route add 10.1.0.1/32 via 10.2.0.1");
	bh_build_exec(b, state.client, "ip addr add 10.1.0.1/24 dev eth0");
	bh_build_exec(b, state.client, "ip addr add 10.2.0.1/24 dev eth1");
	bh_build_exec(b, state.server, "ip addr add 10.9.0.2/32 dev lo");
	bh_build_exec(b, state.server, "ip addr add 10.9.1.2/30 dev eth0");
	bh_build_exec(b, state.server, "ip addr add 10.9.2.2/30 dev eth1");
	bh_build_ip(b, state.server, BH_S(1), "route add 10.0.0.0/8 via 10.9.1.1");
	bh_build_ip(b, state.client, BH_S(1), "route add 10.9.0.0/24 via 10.1.0.2 src 10.1.0.1");
	/* Answers may take the other way. */
	bh_build_sysctl_at(b, state.client, BH_S(1), "net.ipv4.conf.all.rp_filter", "0");

	bh_build_program(b, state.server, &sink);
	bh_build_program(b, state.client, &source);
	bh_build_schedule(b, HANDOVER_NS, hand_over, &state);
	bh_build_at_end(b, check, &state);
}

int main(int argc, char **argv)
{
	return bh_scenario_main(argc, argv, build);
}
