/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a scenario expects of a run besides the ends of its programs: packets dropped and frames
 * seen, or never; and the faults of kernels that it allows. Told by sim_node.c and sim_link.c on a
 * stack of a node (so: shallow), checked at the end by sim.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "simulator/sim_internal.h"

/* --- set-up --- */

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory");
}

/* An expectation of any node takes a reason that one of the kernels has. */
static struct bh_error *check_reason(const struct bh_sim *sim,
				     const struct bh_expectation *expectation)
{
	const struct bh_scenario *scenario = sim->config.scenario;
	const char *names[512];
	size_t count = 0;

	for (size_t i = 0; i < sim->image_count; i++) {
		const struct bh_image *image = sim->images[i];
		size_t reasons;
		const struct bh_drop_reason *list = bh_image_drop_reasons(image, &reasons);

		if (expectation->node != BH_NO_NODE &&
		    bh_node_image(sim->nodes[expectation->node].kernel) != image)
			continue;
		for (size_t j = 0; j < reasons && count < sizeof(names) / sizeof(names[0]); j++) {
			if (!strcmp(list[j].name, expectation->reason))
				return NULL;
			names[count++] = list[j].name;
		}
	}
	const char *nearest = bh_suggest(expectation->reason, names, count);

	if (nearest)
		return bh_error_new(BH_ERR_INPUT,
				    "%s:%u:%u: \"%.60s\" is no reason for which this kernel drops "
				    "packets; did you mean \"%s\"?",
				    scenario->filename ? scenario->filename : "scenario",
				    expectation->line, expectation->column, expectation->reason,
				    nearest);
	return bh_error_new(BH_ERR_INPUT,
			    "%s:%u:%u: \"%.60s\" is no reason for which this kernel drops packets; "
			    "write one such as NETFILTER_DROP (include/net/dropreason.h), or leave "
			    "reason out",
			    scenario->filename ? scenario->filename : "scenario", expectation->line,
			    expectation->column, expectation->reason);
}

struct bh_error *bh_sim_expect_create(struct bh_sim *sim)
{
	const struct bh_scenario *scenario = sim->config.scenario;

	sim->expectations = calloc(scenario->expectation_count + 1, sizeof(*sim->expectations));
	if (!sim->expectations)
		return out_of_memory();
	for (size_t i = 0; i < scenario->expectation_count; i++) {
		const struct bh_expectation *expectation = &scenario->expectations[i];
		struct bh_sim_expectation *state = &sim->expectations[i];

		state->scenario = expectation;
		if (expectation->filter)
			BH_TRY(bh_frame_filter_create(expectation->filter, &state->filter));
		if (expectation->reason && !sim->config.feed)
			BH_TRY(check_reason(sim, expectation));
		sim->expects_frames |= expectation->kind == BH_EXPECT_FRAME;
	}
	return NULL;
}

void bh_sim_expect_destroy(struct bh_sim *sim)
{
	for (size_t i = 0; sim->expectations && i < sim->config.scenario->expectation_count; i++)
		bh_frame_filter_destroy(sim->expectations[i].filter);
	free(sim->expectations);
}

/* --- what happens --- */

int bh_sim_expect_allows(const struct bh_sim *sim, uint32_t node, enum bh_fault fault)
{
	const struct bh_scenario *scenario = sim->config.scenario;

	for (size_t i = 0; i < scenario->expectation_count; i++) {
		const struct bh_expectation *expectation = &scenario->expectations[i];

		if (expectation->kind == BH_EXPECT_ALLOW &&
		    expectation->allowed_faults & 1u << fault &&
		    (expectation->node == BH_NO_NODE || expectation->node == node))
			return 1;
	}
	return 0;
}

static int is_in_time(const struct bh_sim *sim, const struct bh_expectation *expectation)
{
	return sim->now_ns >= expectation->after_ns && sim->now_ns < expectation->before_ns;
}

/* "r1:eth0, after 2.000000 s, before 5.000000 s", as far as the scenario says it. */
static void describe_place(const struct bh_sim *sim, const struct bh_expectation *expectation,
			   char *text_ret, size_t size)
{
	int length = 0;

	text_ret[0] = '\0';
	if (expectation->node != BH_NO_NODE)
		length += snprintf(text_ret, size, " %s %s%s%s",
				   expectation->kind == BH_EXPECT_DROP ? "on" : "at",
				   sim->nodes[expectation->node].scenario->name,
				   expectation->device[0] ? ":" : "", expectation->device);
	if (expectation->after_ns > 0)
		length += snprintf(text_ret + length, size - (size_t)length,
				   " from %" PRIu64 ".%06" PRIu64 " s on",
				   expectation->after_ns / 1000000000,
				   expectation->after_ns / 1000 % 1000000);
	if (expectation->before_ns != UINT64_MAX)
		snprintf(text_ret + length, size - (size_t)length,
			 " before %" PRIu64 ".%06" PRIu64 " s", expectation->before_ns / 1000000000,
			 expectation->before_ns / 1000 % 1000000);
}

/* Something that an expectation is about. detail says what, for one that should never be; only the
 * first counts, the others follow from it more often than not. */
static void happened(struct bh_sim *sim, struct bh_sim_expectation *state,
		     const struct bh_event *event, const char *detail)
{
	if (++state->count > 1 || !state->scenario->is_never)
		return;
	bh_sim_fail(sim, "expectation", event->node, event->event, "%s, which line %u never wants",
		    detail, state->scenario->line);
}

void bh_sim_expect_frame(struct bh_sim *sim, const struct bh_event *event, const void *data)
{
	const struct bh_scenario *scenario = sim->config.scenario;

	if (!sim->expects_frames)
		return;
	const struct bh_sim_node *node = &sim->nodes[event->node];
	const char *device = bh_node_boot_record(node->kernel)->devices[event->device].name;
	int direction = event->kind == BH_EVENT_TX ? BH_FRAME_TX : BH_FRAME_RX;

	for (size_t i = 0; i < scenario->expectation_count; i++) {
		struct bh_sim_expectation *state = &sim->expectations[i];
		const struct bh_expectation *expectation = state->scenario;
		char text[256];

		if (expectation->kind != BH_EXPECT_FRAME || !is_in_time(sim, expectation) ||
		    (expectation->node != BH_NO_NODE && expectation->node != event->node) ||
		    (expectation->device[0] && strcmp(expectation->device, device) != 0) ||
		    (expectation->direction && (int)expectation->direction != direction) ||
		    (state->filter && !bh_frame_filter_matches(state->filter, data, event->length)))
			continue;
		snprintf(text, sizeof(text), "a frame of %u bytes%s%.80s%s %s %s", event->length,
			 expectation->filter ? " that matches \"" : "",
			 expectation->filter ? expectation->filter : "",
			 expectation->filter ? "\"" : "",
			 direction == BH_FRAME_TX ? "left" : "arrived at", device);
		happened(sim, state, event, text);
	}
}

void bh_sim_expect_drop(struct bh_sim *sim, const struct bh_event *event, const char *reason)
{
	const struct bh_scenario *scenario = sim->config.scenario;

	for (size_t i = 0; i < scenario->expectation_count; i++) {
		struct bh_sim_expectation *state = &sim->expectations[i];
		const struct bh_expectation *expectation = state->scenario;
		char text[256];

		if (expectation->kind != BH_EXPECT_DROP || !is_in_time(sim, expectation) ||
		    (expectation->node != BH_NO_NODE && expectation->node != event->node) ||
		    (expectation->reason && (!reason || strcmp(expectation->reason, reason) != 0)))
			continue;
		snprintf(text, sizeof(text), "the kernel dropped a packet of %u bytes (%s)",
			 event->length, reason ? reason : "a reason without a name");
		happened(sim, state, event, text);
	}
}

/* --- the end --- */

static void check_seen(struct bh_sim *sim, const struct bh_sim_expectation *state,
		       uint64_t stop_event)
{
	const struct bh_expectation *expectation = state->scenario;
	char place[256], what[256];

	describe_place(sim, expectation, place, sizeof(place));
	if (expectation->kind == BH_EXPECT_FRAME)
		snprintf(what, sizeof(what), "frames%s%.80s%s",
			 expectation->filter ? " that match \"" : "",
			 expectation->filter ? expectation->filter : "",
			 expectation->filter ? "\"" : "");
	else
		snprintf(what, sizeof(what), "packets dropped%s%s%s",
			 expectation->reason ? " (" : "",
			 expectation->reason ? expectation->reason : "",
			 expectation->reason ? ")" : "");
	bh_sim_fail(sim, "expectation", expectation->node, stop_event,
		    "%s%s: %" PRIu64 " seen, line %u wants at least %" PRIu64, what, place,
		    state->count, expectation->line, expectation->at_least);
}

void bh_sim_expect_check(struct bh_sim *sim, uint64_t stop_event)
{
	const struct bh_scenario *scenario = sim->config.scenario;

	for (size_t i = 0; i < scenario->expectation_count; i++) {
		const struct bh_sim_expectation *state = &sim->expectations[i];

		if (state->scenario->kind != BH_EXPECT_ALLOW && !state->scenario->is_never &&
		    state->count < state->scenario->at_least)
			check_seen(sim, state, stop_event);
	}
}
