/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The timeline of a scenario, `events:`, from YAML: see scenario_reader.h. Links and segments have
 * been read before. An event names a link (by one of its ends) or a node, and what happens to it.
 */
#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "simulator/scenario_reader.h"
#include "simulator/units.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ACTIONS_MAX	100000u

/* An event before it is made an action: the events are sorted first, because what a change leaves
 * as it is follows from the changes before it. */
struct event {
	const struct bh_yaml_node *node;
	uint64_t at_ns;
	size_t order; /* in the document */
};

/* The properties of a link's two directions at the point of the timeline that is read. */
struct timeline {
	struct bh_link_properties *sends, *receives; /* by end */
};

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory while reading the scenario");
}

/* For keys that are read in an order of their own. */
static struct bh_error *read_nothing(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value, void *target)
{
	return NULL;
}

/* --- what happens to a link --- */

struct bh_error *bh_scenario_unknown_endpoint(const struct bh_scenario_reader *reader,
					      const struct bh_yaml_node *value)
{
	const char **names = calloc(reader->end_count + 1, sizeof(*names));
	struct bh_error *error;

	if (!names)
		return out_of_memory();
	for (size_t i = 0; i < reader->endpoints.capacity; i++)
		if (reader->endpoints.entries[i].name)
			names[reader->endpoints.entries[i].number] =
				reader->endpoints.entries[i].name;
	const char *nearest = bh_suggest(value->text, names, reader->end_count);

	error = nearest ? bh_scenario_error(reader, value,
					    "no link ends at \"%.80s\"; did you mean \"%s\"?",
					    value->text, nearest)
			: bh_scenario_error(reader, value,
					    "no link ends at \"%.80s\"; name one of a link's "
					    "endpoints, such as \"h1:eth0\"",
					    value->text);
	free(names);
	return error;
}

static struct bh_error *find_end(const struct bh_scenario_reader *reader,
				 const struct bh_yaml_node *value, size_t *end_ret)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, "link"));
	size_t end = bh_name_table_find(&reader->endpoints, value->text);

	if (end == BH_NAME_ABSENT)
		return bh_scenario_unknown_endpoint(reader, value);
	*end_ret = end;
	return NULL;
}

static struct bh_error *read_state(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value,
				   struct bh_scenario_action *action)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, "state"));
	action->kind = BH_ACTION_LINK_STATE;
	action->is_up = strcmp(value->text, "up") == 0;
	if (!action->is_up && strcmp(value->text, "down") != 0)
		return bh_scenario_error(reader, value,
					 "state is \"up\" or \"down\", not \"%.40s\"", value->text);
	return NULL;
}

/* direction: seen from the device that `link` names. */
static struct bh_error *read_direction(const struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value,
				       struct bh_scenario_action *action)
{
	action->has_sends = action->has_receives = 1;
	if (!value)
		return NULL;
	BH_TRY(bh_scenario_expect_scalar(reader, value, "direction"));
	if (strcmp(value->text, "both") == 0)
		return NULL;
	action->has_sends = strcmp(value->text, "tx") == 0;
	action->has_receives = strcmp(value->text, "rx") == 0;
	if (!action->has_sends && !action->has_receives)
		return bh_scenario_error(reader, value,
					 "direction is \"both\", \"tx\" or \"rx\", not \"%.40s\"",
					 value->text);
	return NULL;
}

static int has_property(const struct bh_yaml_node *node)
{
	for (size_t i = 0; i < BH_SCENARIO_PROPERTY_COUNT; i++)
		if (bh_scenario_find_key(node, bh_scenario_property_fields[i].key))
			return 1;
	return 0;
}

static const struct bh_scenario_field link_fields[] = {{"at", read_nothing},
						       {"link", read_nothing},
						       {"state", read_nothing},
						       {"direction", read_nothing}};

/* One direction of a change: on top of what holds by then, which it replaces. */
static struct bh_error *change(struct bh_scenario_reader *reader, const struct bh_yaml_node *node,
			       struct bh_link_properties *current,
			       struct bh_link_properties *properties_ret)
{
	struct bh_scenario_link_target to = {.properties = current};

	BH_TRY(bh_scenario_read_properties(reader, node, "an event", link_fields,
					   COUNT_OF(link_fields), &to));
	BH_TRY(bh_scenario_check_properties(reader, node, current));
	*properties_ret = *current;
	return NULL;
}

static struct bh_error *read_change(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *node, struct timeline *timeline,
				    struct bh_scenario_action *action)
{
	size_t end = action->end, link_ends = reader->scenario->link_count * 2;
	/* What one end of a link receives is what the other sends. */
	struct bh_link_properties *receives =
		end < link_ends ? &timeline->sends[end ^ 1] : &timeline->receives[end];

	action->kind = BH_ACTION_LINK_CHANGE;
	BH_TRY(read_direction(reader, bh_scenario_find_key(node, "direction"), action));
	if (action->has_sends)
		BH_TRY(change(reader, node, &timeline->sends[end], &action->sends));
	if (action->has_receives)
		BH_TRY(change(reader, node, receives, &action->receives));
	return NULL;
}

static struct bh_error *read_link_event(struct bh_scenario_reader *reader,
					const struct bh_yaml_node *node, struct timeline *timeline,
					struct bh_scenario_action *action)
{
	const struct bh_yaml_node *state = bh_scenario_find_key(node, "state");
	struct bh_link_properties unused = {0};
	struct bh_scenario_link_target to = {.properties = &unused};

	/* All keys are known, whatever comes of them. */
	BH_TRY(bh_scenario_read_properties(reader, node, "an event", link_fields,
					   COUNT_OF(link_fields), &to));
	BH_TRY(find_end(reader, bh_scenario_find_key(node, "link"), &action->end));
	if (state && has_property(node))
		return bh_scenario_error(reader, node,
					 "an event changes a link's state or its properties; make "
					 "it two events with the same time");
	if (state)
		return read_state(reader, state, action);
	if (!has_property(node))
		return bh_scenario_error(reader, node,
					 "the event doesn't say what happens to the link; write "
					 "state: down, or a property such as delay: 5ms");
	return read_change(reader, node, timeline, action);
}

/* --- what happens to a node --- */

static struct bh_error *read_power(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, void *target)
{
	static const char *const names[] = {
		[BH_POWER_BOOT] = "boot",
		[BH_POWER_HALT] = "halt",
		[BH_POWER_RESTART] = "restart",
		[BH_POWER_CRASH] = "crash",
	};
	struct bh_scenario_action *action = target;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "action"));
	for (unsigned int i = 0; i < COUNT_OF(names); i++) {
		if (strcmp(names[i], value->text) == 0) {
			action->power = i;
			return NULL;
		}
	}
	const char *nearest = bh_suggest(value->text, names, COUNT_OF(names));

	return bh_scenario_error(reader, value,
				 "action is boot, halt, restart or crash, not \"%.40s\"%s%s%s",
				 value->text, nearest ? "; did you mean \"" : "",
				 nearest ? nearest : "", nearest ? "\"?" : "");
}

static struct bh_error *read_node(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_action *action = target;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "node"));
	size_t node = bh_name_table_find(&reader->nodes, value->text);

	if (node == BH_NAME_ABSENT)
		return bh_scenario_unknown_node(reader, value, value->text);
	action->node = (uint32_t)node;
	return NULL;
}

static struct bh_error *read_node_event(struct bh_scenario_reader *reader,
					const struct bh_yaml_node *node,
					struct bh_scenario_action *action)
{
	static const struct bh_scenario_field fields[] = {
		{"at", read_nothing}, {"node", read_node}, {"action", read_power}};

	action->kind = BH_ACTION_NODE;
	BH_TRY(bh_scenario_read_mapping(reader, node, "an event of a node", fields,
					COUNT_OF(fields), action));
	if (!bh_scenario_find_key(node, "action"))
		return bh_scenario_error(reader, node,
					 "the event doesn't say what happens to the node; write "
					 "action: boot, halt, restart or crash");
	return NULL;
}

/* --- the list --- */

static struct bh_error *read_event(struct bh_scenario_reader *reader, const struct event *event,
				   struct timeline *timeline)
{
	struct bh_scenario *scenario = reader->scenario;
	struct bh_scenario_action *action = bh_scenario_grow(
		(void **)&scenario->actions, &scenario->action_count, sizeof(*action));

	if (!action)
		return out_of_memory();
	action->at_ns = event->at_ns;
	action->line = event->node->line;
	if (bh_scenario_find_key(event->node, "link"))
		return read_link_event(reader, event->node, timeline, action);
	if (bh_scenario_find_key(event->node, "node"))
		return read_node_event(reader, event->node, action);
	return bh_scenario_error(reader, event->node,
				 "the event doesn't say what it is about; write link: "
				 "\"NODE:DEVICE\" or node: NODE");
}

static struct bh_error *read_at(struct bh_scenario_reader *reader, const struct bh_yaml_node *node,
				uint64_t *at_ns_ret)
{
	const struct bh_yaml_node *at = bh_scenario_find_key(node, "at");

	if (node->kind != BH_YAML_MAPPING)
		return bh_scenario_error(reader, node,
					 "an event wants a mapping, such as {at: 12s, link: "
					 "\"h1:eth0\", state: down}");
	if (!at)
		return bh_scenario_error(reader, node, "the event has no time; write at: 12s");
	BH_TRY(bh_scenario_expect_scalar(reader, at, "at"));
	BH_TRY(bh_scenario_error_at(reader, at, bh_parse_duration(at->text, at_ns_ret)));
	if (*at_ns_ret >= reader->scenario->stop_ns)
		return bh_scenario_error(reader, at,
					 "the event would happen at or after the end of the run; "
					 "see general: stop_time");
	return NULL;
}

static int compare_events(const void *a, const void *b)
{
	const struct event *left = a, *right = b;

	if (left->at_ns != right->at_ns)
		return left->at_ns < right->at_ns ? -1 : 1;
	return left->order < right->order ? -1 : 1;
}

static struct bh_error *read_sorted(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *value, struct event *events,
				    struct timeline *timeline)
{
	for (size_t i = 0; i < value->child_count; i++) {
		events[i].node = value->children[i];
		events[i].order = i;
		BH_TRY(read_at(reader, value->children[i], &events[i].at_ns));
	}
	qsort(events, value->child_count, sizeof(*events), compare_events);
	for (size_t i = 0; i < reader->end_count; i++) {
		timeline->sends[i] = reader->ends[i]->sends;
		timeline->receives[i] = reader->ends[i]->receives;
	}
	for (size_t i = 0; i < value->child_count; i++)
		BH_TRY(read_event(reader, &events[i], timeline));
	return NULL;
}

struct bh_error *bh_scenario_read_events(struct bh_scenario_reader *reader,
					 const struct bh_yaml_node *value)
{
	struct timeline timeline;

	BH_TRY(bh_scenario_expect_sequence(reader, value, "events"));
	if (value->child_count > ACTIONS_MAX)
		return bh_scenario_error(reader, value, "%zu events are too many; the most is %u",
					 value->child_count, ACTIONS_MAX);
	struct event *events = calloc(value->child_count + 1, sizeof(*events));

	timeline.sends = calloc(reader->end_count + 1, sizeof(*timeline.sends));
	timeline.receives = calloc(reader->end_count + 1, sizeof(*timeline.receives));
	struct bh_error *error = events && timeline.sends && timeline.receives
					 ? read_sorted(reader, value, events, &timeline)
					 : out_of_memory();

	free(events);
	free(timeline.sends);
	free(timeline.receives);
	return error;
}
