/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scenarios in memory, however they were made: see scenario.h. */
#include "simulator/scenario.h"

#include <stdlib.h>

#include "simulator/shell_words.h"

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
	for (size_t i = 0; i < node->process_count; i++) {
		bh_words_free(node->processes[i].argv);
		bh_words_free(node->processes[i].environment);
	}
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
	free(scenario->name);
	free(scenario->filename);
	free(scenario);
}
