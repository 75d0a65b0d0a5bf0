/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list `expect:` of a scenario. Called by scenario_yaml.c when nodes and links are known. Names
 * of drop reasons are the kernels' own and checked when those are opened: sim_expect.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/frame_filter.h"
#include "common/suggest.h"
#include "simulator/scenario_reader.h"
#include "simulator/units.h"

#define COUNT_OF(array)	 (sizeof(array) / sizeof((array)[0]))
#define EXPECTATIONS_MAX 10000u
#define FILTER_BYTES_MAX 4096u

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory while reading the scenario");
}

static struct bh_error *read_subject(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value,
				     struct bh_expectation *expectation, const char *key)
{
	static const char *const subjects[] = {"drop", "frame"};

	BH_TRY(bh_scenario_expect_scalar(reader, value, key));
	if (!strcmp(value->text, "drop")) {
		expectation->kind = BH_EXPECT_DROP;
		return NULL;
	}
	if (!strcmp(value->text, "frame")) {
		expectation->kind = BH_EXPECT_FRAME;
		return NULL;
	}
	const char *nearest = bh_suggest(value->text, subjects, COUNT_OF(subjects));

	return bh_scenario_error(reader, value,
				 "%s wants \"drop\" or \"frame\", not \"%.40s\"%s%s%s", key,
				 value->text, nearest ? "; did you mean \"" : "",
				 nearest ? nearest : "", nearest ? "\"?" : "");
}

static struct bh_error *read_never(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, void *target)
{
	struct bh_expectation *expectation = target;

	expectation->is_never = 1;
	return read_subject(reader, value, expectation, "never");
}

static struct bh_error *read_seen(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	return read_subject(reader, value, target, "seen");
}

static struct bh_error *allow_fault(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *value,
				    struct bh_expectation *expectation)
{
	const char *names[BH_FAULT_COUNT];

	BH_TRY(bh_scenario_expect_scalar(reader, value, "allow"));
	for (unsigned int i = 0; i < BH_FAULT_COUNT; i++) {
		names[i] = bh_fault_name(i);
		if (!strcmp(names[i], value->text)) {
			expectation->allowed_faults |= 1u << i;
			return NULL;
		}
	}
	const char *nearest = bh_suggest(value->text, names, COUNT_OF(names));

	return bh_scenario_error(reader, value,
				 "\"%.40s\" can't be allowed; a kernel's bug, warning, oops, panic "
				 "and oom can%s%s%s",
				 value->text, nearest ? "; did you mean \"" : "",
				 nearest ? nearest : "", nearest ? "\"?" : "");
}

static struct bh_error *read_allow(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, void *target)
{
	struct bh_expectation *expectation = target;

	expectation->kind = BH_EXPECT_ALLOW;
	if (value->kind != BH_YAML_SEQUENCE)
		return allow_fault(reader, value, expectation);
	if (value->child_count == 0)
		return bh_scenario_error(reader, value,
					 "allow is an empty list; write what is "
					 "allowed, such as [warning]");
	for (size_t i = 0; i < value->child_count; i++)
		BH_TRY(allow_fault(reader, value->children[i], expectation));
	return NULL;
}

/* --- where --- */

static struct bh_error *read_node_name(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value, const char *name,
				       struct bh_expectation *expectation)
{
	size_t node = bh_name_table_find(&reader->nodes, name);

	if (node == BH_NAME_ABSENT)
		return bh_scenario_unknown_node(reader, value, name);
	expectation->node = (uint32_t)node;
	return NULL;
}

static struct bh_error *read_node(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, "node"));
	return read_node_name(reader, value, value->text, target);
}

/* "r1" or "r1:eth0". */
static struct bh_error *read_at(struct bh_scenario_reader *reader, const struct bh_yaml_node *value,
				void *target)
{
	struct bh_expectation *expectation = target;
	char name[64];

	BH_TRY(bh_scenario_expect_scalar(reader, value, "at"));
	size_t length = strcspn(value->text, ":");
	const char *device = value->text[length] ? value->text + length + 1 : NULL;

	if (length >= sizeof(name))
		return bh_scenario_error(reader, value,
					 "\"%.80s\" is no place; write a node or a node and its "
					 "device, such as \"r1:eth0\"",
					 value->text);
	memcpy(name, value->text, length);
	name[length] = '\0';
	BH_TRY(read_node_name(reader, value, name, expectation));
	if (!device)
		return NULL;
	if (bh_name_table_find(&reader->endpoints, value->text) == BH_NAME_ABSENT)
		return bh_scenario_unknown_endpoint(reader, value);
	memcpy(expectation->device, device, strlen(device) + 1);
	return NULL;
}

static struct bh_error *read_direction(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value, void *target)
{
	struct bh_expectation *expectation = target;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "direction"));
	if (!strcmp(value->text, "rx"))
		expectation->direction = BH_FRAME_RX;
	else if (!strcmp(value->text, "tx"))
		expectation->direction = BH_FRAME_TX;
	else if (strcmp(value->text, "both") != 0)
		return bh_scenario_error(reader, value,
					 "direction is \"both\", \"tx\" or \"rx\", not \"%.40s\"",
					 value->text);
	return NULL;
}

/* --- what and when --- */

static struct bh_error *read_filter(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *value, void *target)
{
	struct bh_expectation *expectation = target;
	struct bh_frame_filter *filter;

	BH_TRY(bh_scenario_read_text(reader, value, "filter", &expectation->filter));
	if (strlen(value->text) > FILTER_BYTES_MAX)
		return bh_scenario_error(reader, value, "a filter has at most %u bytes",
					 FILTER_BYTES_MAX);
	BH_TRY(bh_scenario_error_at(reader, value, bh_frame_filter_create(value->text, &filter)));
	bh_frame_filter_destroy(filter);
	return NULL;
}

static struct bh_error *read_reason(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *value, void *target)
{
	static const char prefix[] = "SKB_DROP_REASON_";
	struct bh_expectation *expectation = target;

	BH_TRY(bh_scenario_read_text(reader, value, "reason", &expectation->reason));
	expectation->line = value->line;
	expectation->column = value->column;
	/* As the kernel's sources have it. */
	if (!strncmp(expectation->reason, prefix, strlen(prefix)))
		memmove(expectation->reason, expectation->reason + strlen(prefix),
			strlen(expectation->reason + strlen(prefix)) + 1);
	return NULL;
}

static struct bh_error *read_after(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, void *target)
{
	struct bh_expectation *expectation = target;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "after"));
	return bh_scenario_error_at(reader, value,
				    bh_parse_duration(value->text, &expectation->after_ns));
}

static struct bh_error *read_before(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *value, void *target)
{
	struct bh_expectation *expectation = target;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "before"));
	return bh_scenario_error_at(reader, value,
				    bh_parse_duration(value->text, &expectation->before_ns));
}

static struct bh_error *read_at_least(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value, void *target)
{
	struct bh_expectation *expectation = target;

	return bh_scenario_read_integer(reader, value, "at_least", 1, UINT64_MAX,
					&expectation->at_least);
}

/* --- an entry --- */

/* Which keys an entry may have depends on what it is about. */
static struct bh_error *check_keys(const struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value,
				   const struct bh_expectation *expectation)
{
	static const struct {
		const char *key;
		int drop, frame, allow; /* 1: may have it */
	} rules[] = {
		{"node", 1, 0, 1},   {"at", 0, 1, 0},	    {"direction", 0, 1, 0},
		{"filter", 0, 1, 0}, {"reason", 1, 0, 0},   {"after", 1, 1, 0},
		{"before", 1, 1, 0}, {"at_least", 1, 1, 0},
	};
	static const char *const subjects[] = {[BH_EXPECT_DROP] = "drop",
					       [BH_EXPECT_FRAME] = "frame",
					       [BH_EXPECT_ALLOW] = "allow"};

	for (size_t i = 0; i < value->child_count; i += 2) {
		const struct bh_yaml_node *key = value->children[i];

		for (size_t j = 0; j < COUNT_OF(rules); j++) {
			int may = expectation->kind == BH_EXPECT_DROP	 ? rules[j].drop
				  : expectation->kind == BH_EXPECT_FRAME ? rules[j].frame
									 : rules[j].allow;

			if (strcmp(rules[j].key, key->text) == 0 && !may)
				return bh_scenario_error(
					reader, key, "\"%s\" doesn't go with \"%s\"%s", key->text,
					subjects[expectation->kind],
					strcmp(key->text, "node") == 0
						? "; write at: NODE or at: \"NODE:DEVICE\""
						: "");
		}
	}
	return NULL;
}

static struct bh_error *check_expectation(const struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *value,
					  const struct bh_expectation *expectation)
{
	const struct bh_yaml_node *at_least = bh_scenario_find_key(value, "at_least");
	const struct bh_yaml_node *before = bh_scenario_find_key(value, "before");

	BH_TRY(check_keys(reader, value, expectation));
	if (expectation->is_never && at_least)
		return bh_scenario_error(reader, at_least,
					 "at_least goes with seen: never means not once");
	if (before && expectation->before_ns <= expectation->after_ns)
		return bh_scenario_error(reader, before,
					 "before is \"%.40s\", which is no later than after",
					 before->text);
	if (expectation->after_ns >= reader->scenario->stop_ns && reader->scenario->stop_ns > 0)
		return bh_scenario_error(reader, bh_scenario_find_key(value, "after"),
					 "the run ends before that; see general: stop_time");
	return NULL;
}

static struct bh_error *read_expectation(struct bh_scenario_reader *reader,
					 const struct bh_yaml_node *value,
					 struct bh_expectation *expectation)
{
	static const struct bh_scenario_field fields[] = {
		{"never", read_never},
		{"seen", read_seen},
		{"allow", read_allow},
		{"node", read_node},
		{"at", read_at},
		{"direction", read_direction},
		{"filter", read_filter},
		{"reason", read_reason},
		{"after", read_after},
		{"before", read_before},
		{"at_least", read_at_least},
	};
	int subjects = 0;

	expectation->node = BH_NO_NODE;
	expectation->before_ns = UINT64_MAX;
	expectation->at_least = 1;
	expectation->line = value->line;
	expectation->column = value->column;
	BH_TRY(bh_scenario_read_mapping(reader, value, "an expectation", fields, COUNT_OF(fields),
					expectation));
	subjects += bh_scenario_find_key(value, "never") != NULL;
	subjects += bh_scenario_find_key(value, "seen") != NULL;
	subjects += bh_scenario_find_key(value, "allow") != NULL;
	if (subjects != 1)
		return bh_scenario_error(reader, value,
					 "an expectation has one of never, seen and allow, such as "
					 "{never: drop, node: r1}");
	return check_expectation(reader, value, expectation);
}

struct bh_error *bh_scenario_read_expectations(struct bh_scenario_reader *reader,
					       const struct bh_yaml_node *value)
{
	struct bh_scenario *scenario = reader->scenario;

	BH_TRY(bh_scenario_expect_sequence(reader, value, "expect"));
	if (value->child_count > EXPECTATIONS_MAX)
		return bh_scenario_error(reader, value,
					 "%zu expectations are too many; the most is %u",
					 value->child_count, EXPECTATIONS_MAX);
	for (size_t i = 0; i < value->child_count; i++) {
		BH_TRY(bh_scenario_charge(reader, value, sizeof(struct bh_expectation)));
		struct bh_expectation *expectation =
			bh_scenario_grow((void **)&scenario->expectations,
					 &scenario->expectation_count, sizeof(*expectation));

		if (!expectation)
			return out_of_memory();
		BH_TRY(read_expectation(reader, value->children[i], expectation));
	}
	return NULL;
}
