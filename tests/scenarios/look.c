/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ping, and functions that only look at it: the digest is that of the same scenario without them,
 * and that of the YAML which it prints. With the argument "plain" there are none. Run by
 * tests/build/c-interface.
 */
#include <stdio.h>
#include <string.h>

#include <backhop/scenario.h>

static unsigned int looks, frames, finished;

static void look(struct bh_run *run, void *arg)
{
	looks++;
	if (bh_run_node_count(run) != 2 || strcmp(bh_run_node_name(run, 1), "b") != 0 ||
	    bh_run_node_name(run, 2) || bh_run_now_ns(run) > BH_S(9) || !bh_run_event(run))
		bh_run_fail(run, BH_NODE_NONE, "the run isn't as described");
	bh_run_random(run);
}

static void never(struct bh_run *run, void *arg)
{
	bh_run_fail(run, BH_NODE_NONE, "called after the end of the run");
}

static int inspect(struct bh_run *run, const struct bh_frame_info *frame, void *arg)
{
	char text[64];

	frames++;
	/* Deeper than a kernel's stack is. */
	volatile char room[100000];

	memset((char *)room, 0, sizeof(room));
	snprintf(text, sizeof(text), "%s", frame->device);
	if (strcmp(text, "eth0") != 0 || frame->node != 1 || frame->length < 42 || !frame->packet)
		bh_run_fail(run, frame->node, "a frame isn't as described");
	return 0;
}

static void ended(struct bh_run *run, const struct bh_program_end *end, void *arg)
{
	finished++;
	if (end->exit_status != 0 || !strstr(end->output, "3 received") ||
	    strlen(end->output) != end->output_size)
		bh_run_fail(run, end->node, "ping ended otherwise");
}

static void check(struct bh_run *run, void *arg)
{
	/* Two of ARP and two of each ping at least. */
	if (looks != 3 || frames < 8 || finished != 1)
		bh_run_fail(run, BH_NODE_NONE, "%u looks, %u frames, %u ends", looks, frames,
			    finished);
}

static void build(struct bh_build *b, int argc, char **argv)
{
	const struct bh_link_options wire = {
		.delay_ns = BH_MS(5), .rate_bps = 1000000, .queue_frames = 7, .mtu = 1400};
	const struct bh_link_options lossy = {.loss_ppb = 12345678, .more = "delay: 1us"};
	struct bh_program ping = {.path = "ping",
				  .args = "-c 3 -p 'ab' 10.0.0.2",
				  .start_ns = BH_MS(1500),
				  .must_end = 1};
	int is_plain = argc > 1 && strcmp(argv[1], "plain") == 0;

	bh_build_name(b, "look: \"\t\\ \x7f");
	bh_build_name(b, "look");
	bh_build_seed(b, 18446744073709551615u);
	bh_build_stop_time(b, BH_S(20));
	bh_build_default(b, "kernel", "\"6.1\"");
	uint32_t left = bh_build_node(b, "a"), right = bh_build_node(b, "b");

	bh_build_link(b, "a:eth0", "b:eth0", &wire);
	bh_build_link(b, "a:eth1", "b:eth1", &lossy);
	bh_build_link(b, "a:eth2", "b:eth2", NULL);
	bh_build_exec(b, left, "ip addr add 10.0.0.1/24 dev eth0");
	bh_build_exec(b, right, "ip addr add 10.0.0.2/24 dev eth0");
	bh_build_node_set(b, right, "ram", "64MiB");
	if (!is_plain) {
		ping.finished = ended;
		bh_build_look(b, BH_MS(1700), look, NULL);
		bh_build_look(b, BH_S(2), look, NULL);
		bh_build_look(b, BH_MS(1), look, NULL);
		bh_build_look(b, BH_S(19), never, NULL);
		bh_build_inspect(b, "b:eth0", inspect, NULL);
		bh_build_at_end(b, check, NULL);
	}
	bh_build_program(b, left, &ping);
}

int main(int argc, char **argv)
{
	return bh_scenario_main(argc, argv, build);
}
