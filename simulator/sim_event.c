/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events begin and failures are remembered here: see sim_internal.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulator/feed.h"
#include "simulator/sim_internal.h"

/* What goes wrong after so many failures follows from them, and isn't kept. */
#define FAILURES_MAX 100u

uint64_t bh_sim_next_event(const struct bh_sim *sim)
{
	return sim->config.feed ? bh_sim_alone_next_event(sim) : sim->result.events + 1;
}

void bh_sim_event_begin(struct bh_sim *sim, struct bh_event *event)
{
	struct bh_sim_result *result = &sim->result;

	event->event = result->events = bh_sim_next_event(sim);
	if (sim->config.feed)
		bh_feed_advance(sim->config.feed);
	event->vtime_ns = sim->now_ns;
	result->digest = bh_event_digest(result->digest, event);
	if (event->node != BH_NO_NODE) {
		uint64_t *digest = &result->node_digests[event->node];

		*digest = bh_event_digest(*digest, event);
	}
	bh_gate.event = event->event;
	bh_gate.tick = 0;
	bh_gate.vtime_ns = event->vtime_ns;
	bh_gate.packet = event->packet;
	bh_gate.digest = result->digest;
	if (sim->config.observer.event)
		sim->config.observer.event(sim->config.observer.arg, event);
	bh_gate_pass();
}

static struct bh_failure *failure_add(struct bh_sim_result *result)
{
	if (result->failure_count == FAILURES_MAX)
		return NULL;
	if (!result->failures)
		result->failures = calloc(FAILURES_MAX, sizeof(*result->failures));
	return result->failures ? &result->failures[result->failure_count] : NULL;
}

void bh_sim_fail(struct bh_sim *sim, const char *what, uint32_t node, uint64_t event,
		 const char *format, ...)
{
	struct bh_failure *failure = failure_add(&sim->result);
	char *detail = NULL;
	va_list args;

	if (!failure)
		return;
	va_start(args, format);
	if (vasprintf(&detail, format, args) < 0)
		detail = NULL;
	va_end(args);
	*failure = (struct bh_failure){.what = strdup(what),
				       .node = node,
				       .vtime_ns = sim->now_ns,
				       .event = event,
				       .detail = detail};
	if (failure->what && failure->detail) {
		sim->result.failure_count++;
		return;
	}
	free(failure->what);
	free(failure->detail);
	bh_sim_abort(sim, bh_error_new(BH_ERR_NOMEM, "out of memory"));
}

void bh_sim_abort(struct bh_sim *sim, struct bh_error *error)
{
	if (sim->error)
		bh_error_free(error);
	else
		sim->error = error;
}

uint64_t bh_sim_first_free_action(const struct bh_sim *sim)
{
	return sim->config.scenario->action_count;
}

void bh_sim_one_more(struct bh_sim *sim)
{
	sim->unfinished++;
	if (sim->is_all_ended && !sim->is_stopped)
		sim->is_over = 0;
	sim->is_all_ended = 0;
}

void bh_sim_one_finished(struct bh_sim *sim)
{
	if (--sim->unfinished > 0 || !sim->has_programs || sim->is_over)
		return;
	sim->is_over = sim->is_all_ended = 1;
}

void bh_sim_node_output(struct bh_sim_node *node, const char *name, const void *data, size_t length)
{
	char path[80];

	snprintf(path, sizeof(path), "var/log/%s", name);
	bh_sim_output(node->sim, node->id, path, data, length);
}

void bh_sim_output(struct bh_sim *sim, uint32_t node, const char *path, const void *data,
		   size_t length)
{
	if (sim->config.observer.output)
		sim->config.observer.output(sim->config.observer.arg, node, path, data, length);
}
