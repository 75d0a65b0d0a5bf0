/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scenarios in memory, however they were made: see scenario.h. */
#include "simulator/scenario.h"

#include <stdlib.h>

#include "simulator/shell_words.h"

struct bh_link_properties bh_link_properties_default(void)
{
	/* CoDel's own: RFC 8289, section 4.1. */
	return (struct bh_link_properties){
		.queue_frames = 1000,
		.queue_bytes = UINT64_MAX,
		.codel_target_ns = 5000000,
		.codel_interval_ns = 100000000,
		.is_jitter_ordered = 1,
	};
}

size_t bh_scenario_end_count(const struct bh_scenario *scenario)
{
	size_t count = scenario->link_count * 2;

	for (size_t i = 0; i < scenario->segment_count; i++)
		count += scenario->segments[i].end_count;
	return count;
}

const struct bh_scenario_link_end *bh_scenario_end(const struct bh_scenario *scenario,
						   size_t number)
{
	const struct bh_scenario_segment *segment = scenario->segments;

	if (number < scenario->link_count * 2)
		return &scenario->links[number / 2].end[number % 2];
	number -= scenario->link_count * 2;
	for (; number >= segment->end_count; segment++)
		number -= segment->end_count;
	return &segment->ends[number];
}

static const char *const fault_names[BH_FAULT_COUNT] = {
	[BH_FAULT_BUG] = "bug",	    [BH_FAULT_WARNING] = "warning", [BH_FAULT_OOPS] = "oops",
	[BH_FAULT_PANIC] = "panic", [BH_FAULT_OOM] = "oom",
};

const char *bh_fault_name(enum bh_fault fault)
{
	return fault_names[fault];
}

void bh_process_release(struct bh_process *process)
{
	bh_words_free(process->argv);
	bh_words_free(process->environment);
	free(process->stdin_text);
}

static void node_clear(struct bh_scenario_node *node)
{
	free(node->name);
	free(node->kernel);
	free(node->command_line);
	for (size_t i = 0; i < node->sysctl_count; i++) {
		free(node->sysctls[i].key);
		free(node->sysctls[i].value);
	}
	free(node->sysctls);
	for (size_t i = 0; i < node->bind_count; i++) {
		free(node->binds[i].host_path);
		free(node->binds[i].node_path);
	}
	free(node->binds);
	for (size_t i = 0; i < node->process_count; i++)
		bh_process_release(&node->processes[i]);
	free(node->processes);
}

void bh_scenario_destroy(struct bh_scenario *scenario)
{
	if (!scenario)
		return;
	for (size_t i = 0; i < scenario->node_count; i++)
		node_clear(&scenario->nodes[i]);
	free(scenario->nodes);
	free(scenario->links);
	for (size_t i = 0; i < scenario->segment_count; i++) {
		free(scenario->segments[i].name);
		free(scenario->segments[i].ends);
	}
	free(scenario->segments);
	free(scenario->actions);
	for (size_t i = 0; i < scenario->expectation_count; i++) {
		free(scenario->expectations[i].filter);
		free(scenario->expectations[i].reason);
	}
	free(scenario->expectations);
	free(scenario->name);
	free(scenario->filename);
	free(scenario);
}
