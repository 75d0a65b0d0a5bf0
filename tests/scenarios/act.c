/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions that act, and what they may not do. The first argument says which test it is; see
 * tests/build/c-interface, which runs it.
 */
#include <stdio.h>
#include <string.h>

#include <backhop/scenario.h>

static const char *test;
static uint32_t node_a, node_b;
static int step;
static char seen[64];

static int is_test(const char *name)
{
	return strcmp(test, name) == 0;
}

static void fail_unless(struct bh_run *run, int condition, const char *what)
{
	if (!condition)
		bh_run_fail(run, BH_NODE_NONE, "%s", what);
}

/* --- actions, one after the other --- */

static void at_last(struct bh_run *run, void *arg)
{
	fail_unless(run, bh_run_now_ns(run) == BH_S(8), "the last call came at another time");
	step++;
	bh_run_stop(run);
}

static void got_value(struct bh_run *run, uint32_t node, const char *value, void *arg)
{
	snprintf(seen, sizeof(seen), "%s", value ? value : "nothing");
	fail_unless(run, node == node_b && arg == seen, "the value came otherwise");
	step++;
	bh_run_schedule(run, BH_S(8), at_last, NULL);
}

static void set_value(struct bh_run *run, const struct bh_program_end *end, void *arg)
{
	fail_unless(run,
		    end->exit_status == 0 && strcmp(end->output, "hello\n") == 0 &&
			    bh_run_now_ns(run) >= BH_S(5),
		    "echo ended otherwise");
	step++;
	bh_run_sysctl_get(run, node_b, "net.ipv4.ip_default_ttl", got_value, seen);
}

static void first(struct bh_run *run, void *arg)
{
	const struct bh_program echo = {.path = "echo",
					.args = "hello",
					.start_ns = BH_S(5),
					.must_end = 1,
					.finished = set_value};

	fail_unless(run, bh_run_now_ns(run) == BH_S(3), "the first call came at another time");
	step++;
	bh_run_ip(run, node_a, "addr add 10.0.0.1/24 dev eth0");
	bh_run_sysctl_set(run, node_b, "net.ipv4.ip_default_ttl", "77");
	bh_run_program(run, node_b, &echo);
}

static void check(struct bh_run *run, void *arg)
{
	fail_unless(run, step == 4 && strcmp(seen, "77") == 0 && bh_run_now_ns(run) == BH_S(8),
		    "not all steps were made");
}

/* --- what may not be --- */

static void act_in_look(struct bh_run *run, void *arg)
{
	bh_run_ip(run, node_a, "link");
}

static void start_nothing(struct bh_run *run, void *arg)
{
	const struct bh_program none = {0}, bad = {.path = "true", .more = "pth: x"};

	bh_run_program(run, 7, &bad);
	bh_run_program(run, node_a, &none);
	bh_run_program(run, node_a, &bad);
}

static void again(struct bh_run *run, void *arg)
{
	bh_run_schedule(run, 0, again, NULL);
}

static int lose_second(struct bh_run *run, const struct bh_frame_info *frame, void *arg)
{
	/* IPv4 with ICMP inside. */
	int is_ping = frame->length == 98 && frame->data[12] == 8 && frame->data[23] == 1;

	return is_ping && frame->is_received == (arg != NULL) && ++step == 2;
}

static void check_words(struct bh_run *run, const struct bh_program_end *end, void *arg)
{
	fail_unless(run, strcmp(end->output, "in: two lines 1000 100 it's\n") == 0, end->output);
	fail_unless(run, end->exit_status == 3, "the exit status is another");
	step++;
}

static void check_two(struct bh_run *run, void *arg)
{
	fail_unless(run, step == 2, "not both ended");
}

/* What both kinds of start understand. */
static const char *const words[] = {
	"-c", "read x; read y; echo in: $x $y $(id -u) $(id -g) $A; exit 3", NULL};
static const char *const variables[] = {"A=it's", NULL};
static const struct bh_program sh = {
	.path = "/bin/sh",
	.argv = words,
	.environment = variables,
	.stdin_text = "two\nlines\n",
	.uid = 1000,
	.gid = 100,
	.expected_exit = 3,
	.must_end = 1,
	.more = "strace: true",
	.finished = check_words,
};

static void start_sh(struct bh_run *run, void *arg)
{
	bh_run_program(run, node_b, &sh);
}

static void build_fault(struct bh_build *b, const char *fault)
{
	if (strcmp(fault, "node") == 0)
		bh_build_exec(b, 9, "ip link");
	else if (strcmp(fault, "device") == 0)
		bh_build_inspect(b, "a:eth7", lose_second, NULL);
	else if (strcmp(fault, "link") == 0)
		bh_build_link(b, "a:eth1", "c:eth1", NULL);
	else if (strcmp(fault, "line") == 0)
		bh_build_node_set(b, node_a, "ram", "64MiB\n");
	else if (strcmp(fault, "stop") == 0)
		bh_build_stop_time(b, 0);
	else if (strcmp(fault, "path") == 0)
		bh_build_program(b, node_a, &(const struct bh_program){0});
	else
		bh_build_fail(b, "\"%s\" is no test", fault);
}

static void build(struct bh_build *b, int argc, char **argv)
{
	const struct bh_program pause = {
		.path = "ping", .args = "-c 2 10.0.0.2", .start_ns = BH_S(1)};

	test = argc > 1 ? argv[1] : "";
	bh_build_stop_time(b, BH_S(10));
	node_a = bh_build_node(b, "a");
	node_b = bh_build_node(b, "b");
	bh_build_link(b, "a:eth0", "b:eth0", NULL);
	bh_build_bind(b, node_a, "/etc/hostname:/usr/bound:ro");
	if (is_test("steps")) {
		bh_build_schedule(b, BH_S(3), first, NULL);
		bh_build_at_end(b, check, NULL);
	} else if (is_test("program")) {
		bh_build_program(b, node_a, &sh);
		bh_build_schedule(b, BH_S(1), start_sh, NULL);
		bh_build_at_end(b, check_two, NULL);
	} else if (is_test("act-in-look")) {
		bh_build_look(b, BH_S(1), act_in_look, NULL);
	} else if (is_test("start-nothing")) {
		bh_build_schedule(b, BH_S(1), start_nothing, NULL);
	} else if (is_test("again")) {
		bh_build_schedule(b, BH_S(1), again, NULL);
	} else if (is_test("lose-sent") || is_test("lose-received")) {
		bh_build_exec(b, node_a, "ip addr add 10.0.0.1/24 dev eth0");
		bh_build_exec(b, node_b, "ip addr add 10.0.0.2/24 dev eth0");
		bh_build_program(b, node_a, &pause);
		bh_build_inspect(b, "b:eth0", lose_second, is_test("lose-received") ? seen : NULL);
	} else {
		build_fault(b, test);
	}
}

int main(int argc, char **argv)
{
	return bh_scenario_main(argc, argv, build);
}
