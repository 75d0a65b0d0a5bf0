/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scenarios from YAML: what is read, and the exact sentence for what is refused. */
#include "simulator/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_count, failure_count;

static void check(int is_ok, const char *text)
{
	printf("%s %d - %s\n", is_ok ? "ok" : "not ok", ++test_count, text);
	failure_count += !is_ok;
}

static struct bh_scenario *parse(const char *text, size_t length)
{
	struct bh_scenario *scenario = NULL;
	struct bh_error *error = bh_scenario_parse_yaml(text, length, "t.yaml", &scenario);

	if (error)
		printf("# %s\n", error->message);
	bh_error_free(error);
	return scenario;
}

/* --- what is read --- */

static const char whole[] =
	"name: all of it\n"
	"general: {seed: 18446744073709551615, stop_time: 1.5m}\n"
	"topology:\n"
	"  defaults: {kernel: 6.10, ram: 32MiB, cmdline: quiet}\n"
	"  links:\n"
	"    - {endpoints: [\"a:eth1\", \"b.c:wan\"], delay: 2.5us, rate: 1.5mbit, loss: 0.1%,\n"
	"       queue: 7, mtu: 9000}\n"
	"    - endpoints: [a:eth0, a:eth2]\n"
	"  nodes:\n"
	"    a:\n"
	"      kernel: \"6.1\"\n"
	"      ram: 1GiB\n"
	"      sysctls: {net.ipv4.ip_forward: 1, net/ipv4/tcp_rmem: 1 2 3}\n"
	"      exec: [\"ip link set 'a b' \\\"c d\\\" e\\\\ f ''\"]\n"
	"      processes:\n"
	"        - {args: [-c, 3, a b], path: ping, start_time: 5s, expected_exit: 1,\n"
	"           environment: {A: 1, B: }}\n"
	"        - {path: /bin/x, environment: [C=d=e], expected_final_state: running}\n"
	"        - {path: y, args: a 'b c', expected_final_state: {exited: 3}}\n"
	"    b.c:\n";

static void test_topology(const struct bh_scenario *scenario)
{
	const struct bh_scenario_link *link = scenario->links;
	const struct bh_link_properties *sends = &link->end[0].sends;

	check(strcmp(scenario->name, "all of it") == 0 && scenario->seed == UINT64_MAX &&
		      scenario->stop_ns == 90000000000,
	      "general");
	check(scenario->node_count == 2 && strcmp(scenario->nodes[0].name, "a") == 0 &&
		      strcmp(scenario->nodes[1].name, "b.c") == 0,
	      "nodes are in the document's order");
	check(scenario->link_count == 2 && link->end[0].node == 0 && link->end[1].node == 1 &&
		      strcmp(link->end[1].device, "wan") == 0 && sends->delay_ns == 2500 &&
		      sends->rate_bps == 1500000 && sends->loss_ppb == 1000000 &&
		      sends->queue_frames == 7 && link->mtu == 9000 &&
		      memcmp(sends, &link->end[1].sends, sizeof(*sends)) == 0,
	      "a link with everything, before the nodes it names");
	sends = &link[1].end[1].sends;
	check(sends->delay_ns == 0 && sends->rate_bps == 0 && sends->loss_ppb == 0 &&
		      sends->queue_frames == 1000 && sends->is_jitter_ordered &&
		      link[1].mtu == 1500,
	      "a link with defaults, both ends on one node");
}

static int words_are(char *const *words, const char *const *expected)
{
	while (words && *words && *expected && strcmp(*words, *expected) == 0) {
		words++;
		expected++;
	}
	return (!words || !*words) && !*expected;
}

static void test_programs(const struct bh_scenario_node *node)
{
	const struct bh_process *process = node->processes;

	check(node->process_count == 4 && process->is_setup && process->has_expected_exit &&
		      process->expected_exit == 0 &&
		      words_are(process->argv, (const char *[]){"ip", "link", "set", "a b", "c d",
								"e f", "", NULL}),
	      "an exec line is split as a shell does");
	process++;
	check(!process->is_setup && process->start_ns == 5000000000 && process->has_expected_exit &&
		      process->expected_exit == 1 &&
		      words_are(process->argv, (const char *[]){"ping", "-c", "3", "a b", NULL}) &&
		      words_are(process->environment, (const char *[]){"A=1", "B=", NULL}),
	      "args as a list, before path; environment as a mapping");
	process++;
	check(process->has_expected_running && process->expected_running &&
		      words_are(process->environment, (const char *[]){"C=d=e", NULL}),
	      "environment as a list; running at the end");
	process++;
	check(process->has_expected_exit && process->expected_exit == 3 &&
		      words_are(process->argv, (const char *[]){"y", "a", "b c", NULL}),
	      "args as a line; exited: STATUS");
}

static void test_whole(void)
{
	struct bh_scenario *scenario = parse(whole, strlen(whole));

	check(scenario != NULL, "a scenario with everything is read");
	if (!scenario)
		return;
	const struct bh_scenario_node *node = scenario->nodes;

	test_topology(scenario);
	test_programs(node);
	check(strcmp(node->kernel, "6.1") == 0 && node->ram_bytes == 1u << 30 &&
		      strcmp(node->command_line, "quiet") == 0 && node->sysctl_count == 2 &&
		      strcmp(node->sysctls[1].key, "net/ipv4/tcp_rmem") == 0 &&
		      strcmp(node->sysctls[1].value, "1 2 3") == 0,
	      "a node's own values, and the default command line");
	check(strcmp(node[1].kernel, "6.10") == 0 && node[1].ram_bytes == 32u << 20,
	      "defaults; 6.10 is a version, not a number");
	bh_scenario_destroy(scenario);
}

static void test_alias(void)
{
	static const char text[] = "general: {stop_time: 1s}\n"
				   "topology:\n"
				   "  nodes:\n"
				   "    a: &host\n"
				   "      exec: [\"ip link\"]\n"
				   "    b: *host\n";
	struct bh_scenario *scenario = parse(text, strlen(text));

	check(scenario && scenario->nodes[1].process_count == 1 &&
		      strcmp(scenario->nodes[1].processes[0].argv[1], "link") == 0,
	      "an alias stands for what its anchor has");
	bh_scenario_destroy(scenario);
}

static const char network[] =
	"general: {stop_time: 60s}\n"
	"topology:\n"
	"  nodes: {a: , b: , c: }\n"
	"  links:\n"
	"    - delay: 5ms\n"
	"      jitter: 1ms\n"
	"      endpoints: [\"a:eth0\", {node: b, interface: eth0, mac: \"02:00:00:00:00:FF\",\n"
	"                              delay: 7ms, jitter_reorders: true}]\n"
	"      queue: {frames: 9, bytes: 64kB, discipline: codel, target: 1ms, interval: 50ms}\n"
	"  segments:\n"
	"    lan:\n"
	"      kind: hub\n"
	"      rate: 10mbit\n"
	"      endpoints: [\"a:eth1\", {node: b, interface: eth1, loss: 1%,\n"
	"                              receives: {rate: 1mbit, queue: {full: hold}}}]\n"
	"    wan: {ageing: 20s, endpoints: [\"c:eth0\"], mtu: 9000}\n"
	"events:\n"
	"  - {at: 9s, link: \"a:eth0\", delay: 1s, direction: rx}\n"
	"  - {at: 8s, link: \"b:eth0\", state: down}\n"
	"  - {at: 8s, link: \"b:eth1\", duplicate: 2%, rate: unlimited}\n"
	"  - {at: 10s, link: \"b:eth0\", jitter: 2ms}\n";

static void test_links(const struct bh_scenario *scenario)
{
	const struct bh_scenario_link_end *end = scenario->links[0].end;
	const struct bh_scenario_segment *segment = scenario->segments;

	check(end[0].sends.delay_ns == 5000000 && end[1].sends.delay_ns == 7000000 &&
		      end[1].sends.jitter_ns == 1000000 && end[0].sends.is_jitter_ordered &&
		      !end[1].sends.is_jitter_ordered,
	      "an end's own properties come before the link's");
	check(!end[0].has_mac && end[1].has_mac && end[1].mac[5] == 0xff, "a MAC address");
	check(end[0].sends.queue_frames == 9 && end[0].sends.queue_bytes == 64000 &&
		      end[0].sends.discipline == BH_QUEUE_CODEL &&
		      end[0].sends.codel_target_ns == 1000000 &&
		      end[0].sends.codel_interval_ns == 50000000,
	      "a queue with everything");
	check(scenario->segment_count == 2 && segment->kind == BH_SEGMENT_HUB &&
		      segment->end_count == 2 && segment[1].kind == BH_SEGMENT_SWITCH &&
		      segment[1].ageing_ns == 20000000000 && segment[1].mtu == 9000 &&
		      segment->ageing_ns == 300000000000,
	      "segments");
	end = segment->ends;
	check(end[0].receives.rate_bps == 10000000 && end[1].sends.loss_ppb == 10000000 &&
		      end[1].receives.loss_ppb == 10000000 && end[1].sends.rate_bps == 10000000 &&
		      end[1].receives.rate_bps == 1000000 && end[1].receives.is_queue_held &&
		      !end[1].sends.is_queue_held,
	      "a segment's ends have both directions");
}

static void test_network(void)
{
	struct bh_scenario *scenario = parse(network, strlen(network));

	check(scenario != NULL, "a network with everything is read");
	if (!scenario)
		return;
	const struct bh_scenario_action *action = scenario->actions;

	test_links(scenario);
	check(scenario->action_count == 4 && action[0].at_ns == 8000000000 &&
		      action[0].kind == BH_ACTION_LINK_STATE && action[0].end == 1 &&
		      !action[0].is_up && action[1].at_ns == 8000000000 && action[1].end == 3,
	      "events are in the order of their times, then of the document");
	check(action[1].kind == BH_ACTION_LINK_CHANGE && action[1].has_sends &&
		      action[1].has_receives && action[1].sends.duplicate_ppb == 20000000 &&
		      action[1].sends.loss_ppb == 10000000 && action[1].sends.rate_bps == 0 &&
		      action[1].receives.is_queue_held,
	      "a change leaves the other properties");
	check(!action[2].has_sends && action[2].has_receives &&
		      action[2].receives.delay_ns == 1000000000,
	      "one direction");
	check(action[3].sends.delay_ns == 1000000000 && action[3].receives.delay_ns == 5000000 &&
		      action[3].receives.jitter_ns == 2000000,
	      "a change stands on those before it");
	bh_scenario_destroy(scenario);
}

/* --- what is refused --- */

#define HEAD	 "general: {stop_time: 1s}\ntopology:\n  nodes:\n    h1: {}\n    h2: {}\n"
#define LINKS	 HEAD "  links:\n"
#define SEGMENTS HEAD "  segments: "
#define EVENTS                                                                                     \
	LINKS "    - {endpoints: [h1:eth0, h2:eth0], delay: 5ms}\n"                                \
	      "events: "
#define PROC "general: {stop_time: 9s}\ntopology:\n  nodes:\n    h1:\n      processes:\n        - "

static const struct {
	const char *text, *message;
} refused[] = {
	{"", "t.yaml:1:1: the document is empty"},
	{"# nothing\n", "t.yaml:1:1: the document is empty"},
	{"--- ~\n", "t.yaml:1:1: the document is empty"},
	{"- a\n", "t.yaml:1:1: a scenario wants a mapping, not a list"},
	{"nonsense\n", "t.yaml:1:1: a scenario wants a mapping, not a single value"},
	{"a: b\n---\nc: d\n", "t.yaml:2:1: a scenario is one document; a second one begins here"},
	{"a: [1\n", "t.yaml:2:1: not YAML: did not find expected ',' or ']' while parsing a flow "
		    "sequence"},
	{"a: \xff\n", "t.yaml:1:4: not YAML: invalid leading UTF-8 octet"},
	{"a: \"x\\0y\"\n", "t.yaml:1:4: a value can't hold a zero byte"},
	{"a: !!int 5\n", "t.yaml:1:4: tags such as \"tag:yaml.org,2002:int\" aren't supported"},
	{"? [a]\n: b\n", "t.yaml:1:3: a key must be a word"},
	{"a: *b\n", "t.yaml:1:4: no anchor \"b\" ends before this line"},
	{"a: &b [*b]\n", "t.yaml:1:8: no anchor \"b\" ends before this line"},
	{"a: &b 1\nc: &b 2\n", "t.yaml:2:4: anchor \"b\" is defined twice"},
	{"a: [[[[[[[[[[[[[[]]]]]]]]]]]]]]\n",
	 "t.yaml:1:15: lists and mappings are nested more than 12 deep"},
	{"name: a\nname: b\n", "t.yaml:2:1: key \"name\" is given twice; the first is on line 1"},
	{"topologie: {}\n",
	 "t.yaml:1:1: unknown key \"topologie\" in a scenario; did you mean \"topology\"?"},
	{"x: {}\n",
	 "t.yaml:1:1: unknown key \"x\" in a scenario; it knows: name, general, topology, "
	 "events, expect"},
	{"expect: {}\n",
	 "t.yaml:1:1: the scenario has no topology; add topology: {nodes: {h1: {}}}"},
	{"name: \"\"\n", "t.yaml:1:7: a name has 1 to 200 bytes, not 0"},
	{"name: \"a\\eb\"\n", "t.yaml:1:7: a name can't hold control characters"},
	{"\"a\\e[31m\": 1\n",
	 "t.yaml:1:1: unknown key \"a?[31m\" in a scenario; it knows: name, general, topology, "
	 "events, expect"},
	{"name: a\n", "t.yaml:1:1: the scenario has no topology; add topology: {nodes: {h1: {}}}"},
	{"topology: {nodes: {a: {}}}\n", "t.yaml:1:1: the scenario doesn't say when it ends, and "
					 "has no programs whose end could be its "
					 "end; add general: {stop_time: 30s}"},
	{"topology: {nodes: {a: {processes: [{path: x, expected_final_state: running}]}}}\n",
	 "t.yaml:1:1: the scenario doesn't say when it ends, but a program on a is to be running "
	 "then; add general: {stop_time: 30s}"},
	{"general: {seed: -1}\n", "t.yaml:1:17: seed: \"-1\" isn't a whole number"},
	{"general: {seed: 18446744073709551616}\n",
	 "t.yaml:1:17: seed: \"18446744073709551616\" isn't from 0 to 18446744073709551615"},
	{"general: {stop_time: 30}\n", "t.yaml:1:22: \"30\" has no unit; write a time such as 5ms"},
	{"general: {stop_time: 30sec}\n",
	 "t.yaml:1:22: \"30sec\" isn't a time: unknown unit \"sec\"; write it such as 5ms"},
	{"general: {stop_time: 30S}\n",
	 "t.yaml:1:22: \"30S\" isn't a time: unknown unit \"S\"; did you mean \"s\"?"},
	{"general: {stop_time: .5s}\n", "t.yaml:1:22: \".5s\" isn't a time; write it such as 5ms"},
	{"general: {stop_time: 1.s}\n", "t.yaml:1:22: \"1.s\" isn't a time; write it such as 5ms"},
	{"general: {stop_time: -1s}\n", "t.yaml:1:22: \"-1s\" isn't a time; write it such as 5ms"},
	{"general: {stop_time: 0.5ns}\n", "t.yaml:1:22: \"0.5ns\" is finer than 1 ns; round it"},
	{"general: {stop_time: 999999999h}\n",
	 "t.yaml:1:22: \"999999999h\" is too much; the most is 36 years"},
	{"general: {stop_time: 0}\n",
	 "t.yaml:1:22: a run that stops at 0 does nothing; give a later stop_time"},
	{"general: {stop_time: [1s]}\n", "t.yaml:1:22: stop_time wants a single value, not a list"},
	{"general: {stop_time: }\n", "t.yaml:1:22: stop_time wants a single value, not nothing"},
	{"general: {stoptime: 1s}\n",
	 "t.yaml:1:11: unknown key \"stoptime\" in general; did you mean \"stop_time\"?"},
	{"topology: {nodes: {}}\n",
	 "t.yaml:1:19: nodes wants a mapping with at least one node, such as {h1: {}}"},
	{"topology: {links: []}\n", "t.yaml:1:11: topology has no nodes; add nodes: {h1: {}}"},
	{"topology: {nodes: {a/b: {}}}\n", "t.yaml:1:20: \"a/b\" can't be the name of a node: 1 to "
					   "63 letters, digits, hyphens, and a "
					   "letter or digit at both ends"},
	{"topology: {nodes: {..: {}}}\n",
	 "t.yaml:1:20: \"..\" can't be the name of a node: 1 to 63 letters, digits, hyphens, and a "
	 "letter or digit at both ends"},
	{"topology: {nodes: {a: {kernel: .x y}}}\n",
	 "t.yaml:1:32: \".x y\" is no kernel version; write one such as \"6.1\", or the path of a "
	 "kernel "
	 "image"},
	{"topology: {nodes: {a: {ram: 64M}}}\n",
	 "t.yaml:1:29: \"64M\" isn't a size: unknown unit \"M\"; did you mean \"MB\"?"},
	{"topology: {nodes: {a: {ram: 1MiB}}}\n",
	 "t.yaml:1:29: a node has 16MiB to 2GiB of ram, not \"1MiB\""},
	{"topology: {nodes: {a: {sysctl: {}}}}\n",
	 "t.yaml:1:24: unknown key \"sysctl\" in a node; did you mean \"sysctls\"?"},
	{"topology: {nodes: {a: {sysctls: {../x: 1}}}}\n",
	 "t.yaml:1:34: \"../x\" can't be a sysctl; write one such as net.ipv4.ip_forward"},
	{"topology: {nodes: {a: {exec: ip link}}}\n",
	 "t.yaml:1:30: exec wants a list, not a single value"},
	{"topology: {nodes: {a: {exec: [\"ip 'x\"]}}}\n", "t.yaml:1:31: the quote ' isn't closed"},
	{"topology: {nodes: {a: {exec: [\"a | b\"]}}}\n",
	 "t.yaml:1:31: no shell reads this line, so '|' has no meaning in it; quote it with '…', "
	 "or "
	 "run: sh -c '…'"},
	{"topology: {nodes: {a: {exec: [\" \"]}}}\n", "t.yaml:1:31: the exec line is empty"},
	{PROC "{args: x}\n",
	 "t.yaml:6:11: the process has no path; write path: PROGRAM, command: \"PROGRAM "
	 "ARGUMENTS\" or shell: \"LINE\""},
	{PROC "{path: bin/x}\n",
	 "t.yaml:6:18: \"bin/x\" is relative; write an absolute path, or a name that is found in "
	 "PATH"},
	{PROC "{path: x, expected_exit: 256}\n",
	 "t.yaml:6:36: expected_exit: \"256\" isn't from 0 to 255"},
	{PROC "{path: x, expected_final_state: gone}\n",
	 "t.yaml:6:43: unknown state \"gone\"; it is \"running\", \"exited\", {exited: STATUS} or "
	 "{signaled: SIGNAL}"},
	{PROC "{path: x, expected_final_state: running, expected_exit: 0}\n",
	 "t.yaml:6:11: the program can't end in two ways; give one of expected_exit and "
	 "expected_final_state"},
	{PROC "{path: x, start_time: 9s}\n",
	 "t.yaml:6:11: the program would start at or after the end of the run; see general: "
	 "stop_time"},
	{PROC "{path: x, environment: {1A: b}}\n",
	 "t.yaml:6:35: \"1A\" can't be the name of an environment variable"},
	{PROC "{path: x, environment: [A]}\n", "t.yaml:6:35: \"A\" sets nothing; write NAME=value"},
	{LINKS "    - {endpoints: [h1:eth0, h3:eth0]}\n",
	 "t.yaml:7:29: no node is named \"h3\"; did you mean \"h1\"?"},
	{LINKS "    - {endpoints: [h1:eth0]}\n", "t.yaml:7:19: a link has 2 endpoints, not 1"},
	{LINKS "    - {endpoints: [h1, h2]}\n",
	 "t.yaml:7:20: \"h1\" is no endpoint; write node and device, such as \"h1:eth0\""},
	{LINKS "    - {endpoints: [h1:eth0, h1:eth0]}\n",
	 "t.yaml:7:29: \"h1:eth0\" is already an end of the link on line 7"},
	{LINKS "    - {endpoints: [h1:lo, h2:eth0]}\n",
	 "t.yaml:7:20: \"lo\" can't be the name of a device; write one such as \"eth0\""},
	{LINKS "    - {endpoints: [h1:a234567890123456, h2:eth0]}\n",
	 "t.yaml:7:20: \"a234567890123456\" can't be the name of a device; write one such as "
	 "\"eth0\""},
	{LINKS "    - {delay: 1ms}\n",
	 "t.yaml:7:7: the link has no endpoints; write endpoints: [\"h1:eth0\", \"h2:eth0\"]"},
	{LINKS "    - {jitter: 1ms}\n",
	 "t.yaml:7:7: jitter is more than the delay, and no frame arrives before it is sent; give "
	 "a larger delay"},
	{LINKS "    - {reorder: 1%}\n",
	 "t.yaml:7:7: without a delay no frame can be overtaken; give a delay along with reorder"},
	{LINKS "    - {jitter_reorders: yes}\n",
	 "t.yaml:7:25: jitter_reorders is true or false, not \"yes\""},
	{LINKS "    - {queue: {discipline: red}}\n",
	 "t.yaml:7:28: discipline is \"drop-tail\", \"drop-head\" or \"codel\", not \"red\""},
	{LINKS "    - {queue: {full: wait}}\n",
	 "t.yaml:7:22: full is \"drop\" or \"hold\", not \"wait\""},
	{LINKS "    - {queue: {full: hold, discipline: drop-head}}\n",
	 "t.yaml:7:7: a queue that holds its device loses nothing, so drop-head has no meaning "
	 "with full: hold"},
	{LINKS "    - {endpoints: [h1:eth0, h2:eth0, h2:eth1]}\n",
	 "t.yaml:7:19: a link has 2 endpoints, not 3; more than two devices share a segment"},
	{LINKS "    - {endpoints: [h1:eth0, {node: h2}]}\n",
	 "t.yaml:7:29: the endpoint names no node and interface; write {node: h1, interface: "
	 "eth0}"},
	{LINKS "    - {endpoints: [h1:eth0, {node: h2, interface: eth0, mac: 1}]}\n",
	 "t.yaml:7:62: \"1\" is no MAC address; write one such as \"02:00:00:00:00:01\", in "
	 "quotes"},
	{LINKS "    - {endpoints: [h1:eth0, {node: h2, interface: eth0, mac: "
	       "\"01:00:00:00:00:01\"}]}\n",
	 "t.yaml:7:62: \"01:00:00:00:00:01\" can't be the address of one device: it is that of a "
	 "group"},
	{LINKS "    - {endpoints: [h1:eth0, {node: h2, interface: eth0, receives: {}}]}\n",
	 "t.yaml:7:57: unknown key \"receives\" in an endpoint; it knows: node, interface, mac, "
	 "delay, jitter, jitter_reorders, rate, loss, duplicate, reorder, corrupt, queue"},
	{LINKS "    - {endpoints: [h1:eth0, {node: h1, interface: eth0}]}\n",
	 "t.yaml:7:29: \"h1:eth0\" is already an end of the link on line 7"},
	{SEGMENTS "[]\n",
	 "t.yaml:6:13: segments wants a mapping of names, such as {lan: {endpoints: [\"h1:eth0\", "
	 "\"h2:eth0\"]}}"},
	{SEGMENTS "{lan: {}}\n",
	 "t.yaml:6:19: the segment has no endpoints; write endpoints: [\"h1:eth0\", \"h2:eth0\", "
	 "\"h3:eth0\"]"},
	{SEGMENTS "{lan: {endpoints: []}}\n", "t.yaml:6:31: a segment has at least 1 endpoint"},
	{SEGMENTS "{lan: {kind: bridge, endpoints: [h1:eth0]}}\n",
	 "t.yaml:6:26: kind is \"switch\" or \"hub\", not \"bridge\""},
	{SEGMENTS "{lan: {endpoints: [h1:eth0]}, wan: {endpoints: [h1:eth0]}}\n",
	 "t.yaml:6:61: \"h1:eth0\" is already an end of the segment on line 6"},
	{EVENTS "{}\n", "t.yaml:8:9: events wants a list, not a mapping"},
	{EVENTS "[at]\n",
	 "t.yaml:8:10: an event wants a mapping, such as {at: 12s, link: \"h1:eth0\", state: "
	 "down}"},
	{EVENTS "[{link: h1:eth0}]\n", "t.yaml:8:10: the event has no time; write at: 12s"},
	{EVENTS "[{at: 1s, link: h1:eth0}]\n",
	 "t.yaml:8:15: the event would happen at or after the end of the run; see general: "
	 "stop_time"},
	{EVENTS "[{at: 0s}]\n", "t.yaml:8:10: the event doesn't say what it is about; write link: "
				"\"NODE:DEVICE\" or node: NODE"},
	{EVENTS "[{at: 0s, link: h1:eth1, state: up}]\n",
	 "t.yaml:8:25: no link ends at \"h1:eth1\"; did you mean \"h1:eth0\"?"},
	{EVENTS "[{at: 0s, link: h1:eth0}]\n",
	 "t.yaml:8:10: the event doesn't say what happens to the link; write state: down, or a "
	 "property such as delay: 5ms"},
	{EVENTS "[{at: 0s, link: h1:eth0, state: off}]\n",
	 "t.yaml:8:41: state is \"up\" or \"down\", not \"off\""},
	{EVENTS "[{at: 0s, link: h1:eth0, state: up, delay: 1s}]\n",
	 "t.yaml:8:10: an event changes a link's state or its properties; make it two events with "
	 "the same time"},
	{EVENTS "[{at: 0s, link: h1:eth0, dealy: 1s}]\n",
	 "t.yaml:8:34: unknown key \"dealy\" in an event; did you mean \"delay\"?"},
	{EVENTS "[{at: 0s, link: h1:eth0, delay: 1s, direction: out}]\n",
	 "t.yaml:8:56: direction is \"both\", \"tx\" or \"rx\", not \"out\""},
	{EVENTS "[{at: 0.2s, link: h1:eth0, jitter: 6ms}, {at: 0.1s, link: h1:eth0, delay: 4ms}]\n",
	 "t.yaml:8:10: jitter is more than the delay, and no frame arrives before it is sent; give "
	 "a larger delay"},
	{LINKS "    - {rate: 100Mbit}\n",
	 "t.yaml:7:14: \"100Mbit\" isn't a rate: unknown unit \"Mbit\"; did you mean \"mbit\"?"},
	{LINKS "    - {rate: 0}\n",
	 "t.yaml:7:14: a rate of 0 carries nothing; leave rate out for a link that is infinitely "
	 "fast"},
	{LINKS "    - {loss: 101%}\n", "t.yaml:7:14: \"101%\" is too much; the most is 100%"},
	{LINKS "    - {loss: 0.1}\n",
	 "t.yaml:7:14: \"0.1\" has no unit; write a percentage such as 0.1%"},
	{LINKS "    - {loss: 0.00000001%}\n",
	 "t.yaml:7:14: \"0.00000001%\" is finer than 0.0000001%; round it"},
	{LINKS "    - {mtu: 67}\n", "t.yaml:7:13: mtu: \"67\" isn't from 68 to 65521"},
	{LINKS "    - {queue: 1e3}\n", "t.yaml:7:15: queue: \"1e3\" isn't a whole number"},
	{LINKS "    - {dealy: 1ms}\n",
	 "t.yaml:7:8: unknown key \"dealy\" in a link; did you mean \"delay\"?"},
};

static void test_refused(void)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct bh_scenario *scenario = NULL;
		struct bh_error *error = bh_scenario_parse_yaml(
			refused[i].text, strlen(refused[i].text), "t.yaml", &scenario);
		int is_ok = error && strcmp(error->message, refused[i].message) == 0 &&
			    bh_error_exit_status(error) == 2;

		check(is_ok, refused[i].message);
		if (!is_ok)
			printf("# got: %s\n", error ? error->message : "a scenario");
		bh_error_free(error);
		bh_scenario_destroy(scenario);
	}
}

/* --- what is made to be slow or large --- */

static void check_refused(const char *text, size_t length, const char *part, const char *name)
{
	struct bh_scenario *scenario = NULL;
	struct bh_error *error = bh_scenario_parse_yaml(text, length, "t.yaml", &scenario);
	int is_ok = error && strstr(error->message, part);

	check(is_ok != 0, name);
	if (!is_ok)
		printf("# got: %s\n", error ? error->message : "a scenario");
	bh_error_free(error);
	bh_scenario_destroy(scenario);
}

static void test_large(void)
{
	size_t size = 17u << 20;
	char *text = malloc(size);
	size_t length = 0;

	if (!text)
		exit(1);
	memset(text, ' ', size);
	check_refused(text, size, "is longer than 16 MiB", "a document that is too long");
	length = (size_t)sprintf(text, "general: {stop_time: 1s}\ntopology:\n  nodes:\n    a: &a\n"
				       "      exec: [");
	for (int i = 0; i < 2000; i++)
		length += (size_t)sprintf(text + length, "\"ip link show %d\",", i);
	length += (size_t)sprintf(text + length, "]\n");
	for (int i = 0; i < 4000; i++)
		length += (size_t)sprintf(text + length, "    n%d: *a\n", i);
	check_refused(text, length, "the scenario is too large: over 64 MiB",
		      "aliases can't multiply a scenario without bound");
	length = (size_t)sprintf(text, "a: [");
	for (int i = 0; i < 1000001; i++)
		length += (size_t)sprintf(text + length, "1,");
	length += (size_t)sprintf(text + length, "]\n");
	check_refused(text, length, "the document has more than 1000000 values",
		      "a document with too many values");
	memset(text, '[', 1u << 20);
	check_refused(text, 1u << 20, "nested more than 12 deep", "a document that is too deep");
	free(text);
}

int main(void)
{
	test_whole();
	test_network();
	test_alias();
	test_refused();
	test_large();
	printf("1..%d\n", test_count);
	return failure_count > 0;
}
