/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A trace made of events that a test lists, without a run: for tests of what reads traces. */
#ifndef BH_TESTS_MADE_TRACE_H
#define BH_TESTS_MADE_TRACE_H

#include <stdio.h>
#include <stdlib.h>

#include "traces/trace.h"

#define MADE_NODES_MAX 4

static void must(struct bh_error *error)
{
	if (!error)
		return;
	printf("Bail out! %s\n", error->message);
	exit(1);
}

/* Written to path and opened. Its nodes are called a, b and so on. Without a summary it has no end,
 * as if the recording had been killed. The caller destroys it. */
static struct bh_trace *made_trace(const char *path, const char *name, size_t node_count,
				   const struct bh_event *events, size_t event_count,
				   const char *summary)
{
	static const char *const names[MADE_NODES_MAX] = {"a", "b", "c", "d"};
	const struct bh_trace_start start = {name, 1, names, node_count};
	char file[64], text[64];
	uint64_t digest = 0, node_digests[MADE_NODES_MAX] = {0};
	struct bh_trace_writer *writer;
	struct bh_trace *trace;

	snprintf(file, sizeof(file), "%s.yaml", name);
	int text_size = snprintf(text, sizeof(text), "name: %s\n", name);
	const struct bh_trace_input input = {.role = BH_TRACE_SCENARIO,
					     .kind = 1,
					     .was_read = 1,
					     .name = file,
					     .text = text,
					     .text_size = (size_t)text_size};

	must(bh_trace_writer_create(path, &start, &writer));
	must(bh_trace_write_input(writer, &input));
	for (size_t i = 0; i < event_count; i++) {
		bh_trace_write_event(writer, &events[i]);
		digest = bh_event_digest(digest, &events[i]);
		if (events[i].node < node_count)
			node_digests[events[i].node] =
				bh_event_digest(node_digests[events[i].node], &events[i]);
	}
	if (summary)
		must(bh_trace_writer_finish(writer, summary, digest, node_digests));
	bh_trace_writer_destroy(writer);
	must(bh_trace_open(path, &trace));
	return trace;
}

#endif
