/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes the feed of a node, or takes it from the cache: see node_feed.h. The pass over the run is
 * the packets' (packet_pass.h) with another listener, which runs inside nodes, on small stacks: it
 * appends to memory, and what it wrote is sent on between two events.
 */
#include "replayer/node_feed.h"

#include <stdlib.h>
#include <string.h>

#include "common/cache.h"
#include "common/cache_file.h"
#include "replayer/packet_pass.h"

#define BLOCK_BYTES (1u << 18)

static const struct bh_cache_format format = {
	.magic = "bhnofeed",
	.version = 1,
	.suffix = ".feed",
	.max_bytes = 2ull << 30,
	.max_files = 200,
};

struct bh_node_feed {
	struct bh_feed *feed;
	/* What it points into: one of the two. */
	struct bh_buffer buffer;
	struct bh_cache_file file;
};

/* --- the pass --- */

struct pass {
	struct bh_confined_run run;
	struct bh_feed_writer writer;
	uint32_t node;
	uint64_t last_event;
};

static void observe_event(void *arg, const struct bh_event *event)
{
	struct pass *pass = arg;

	if (event->node == pass->node || event->event == pass->last_event)
		bh_feed_write_event(&pass->writer, event);
}

static void observe_arrived(void *arg, uint32_t node, const void *data, size_t length)
{
	struct pass *pass = arg;

	if (node == pass->node)
		bh_feed_write_frame(&pass->writer, data, length);
}

static void observe_outside(void *arg, uint32_t node, uint64_t value)
{
	struct pass *pass = arg;

	if (node == pass->node)
		bh_feed_write_value(&pass->writer, value);
}

static int observe_between(void *arg)
{
	struct pass *pass = arg;

	return bh_confined_run_flush(&pass->run, BLOCK_BYTES);
}

static struct bh_error *run_pass(const struct bh_packets_source *source, uint32_t node,
				 struct bh_buffer *stream_ret)
{
	struct pass pass = {.node = node, .last_event = bh_trace_event_count(source->trace)};
	const struct bh_rerun_listener listener = {
		.arg = &pass,
		.event = observe_event,
		.arrived = observe_arrived,
		.outside = observe_outside,
		.between = observe_between,
	};

	pass.writer.buffer = &pass.run.stream;
	struct bh_error *error = bh_packet_rerun(source, &listener, &pass.run,
						 "no node of it can be replayed alone");

	if (!error && pass.run.stream.length > BH_CACHE_FILE_MAX)
		error = bh_error_new(BH_ERR_INPUT,
				     "node %s got more than %llu GiB from the others in this run, "
				     "too much to be kept: replay the whole run, without --node",
				     bh_trace_node_name(source->trace, node),
				     BH_CACHE_FILE_MAX >> 30);
	if (error) {
		bh_buffer_free(&pass.run.stream);
		return error;
	}
	*stream_ret = pass.run.stream;
	return NULL;
}

/* --- the cache --- */

/* Bytes that another made, or that are about another run: none of its numbers may be beyond. */
static struct bh_error *open_feed(const struct bh_trace *trace, uint32_t node, const uint8_t *bytes,
				  size_t length, struct bh_feed **feed_ret)
{
	size_t count;

	BH_TRY(bh_feed_open(bytes + BH_CACHE_HEADER_BYTES, length - BH_CACHE_HEADER_BYTES, node,
			    feed_ret));
	const uint64_t *numbers = bh_feed_numbers(*feed_ret, &count);

	if (numbers[count - 1] == bh_trace_event_count(trace))
		return NULL;
	bh_feed_close(*feed_ret);
	*feed_ret = NULL;
	return bh_error_new(BH_ERR_INTERNAL, "the replay gave a malformed result");
}

static int load(struct bh_node_feed *feed, const struct bh_trace *trace, uint32_t node,
		const char *path, const uint8_t key[16])
{
	feed->file = bh_cache_file_map(path);
	if (feed->file.bytes &&
	    bh_cache_file_is(&format, key, feed->file.bytes, feed->file.length)) {
		struct bh_error *error =
			open_feed(trace, node, feed->file.bytes, feed->file.length, &feed->feed);

		if (!error) {
			bh_cache_touch(path);
			return 1;
		}
		bh_error_free(error);
	}
	bh_cache_file_unmap(&feed->file);
	return 0;
}

static struct bh_error *make(struct bh_node_feed *feed, const struct bh_trace *trace, uint32_t node,
			     const struct bh_replay_options *options, const uint8_t key[16])
{
	const struct bh_packets_source source = {
		.trace = trace,
		.find_kernel = options->find_kernel,
		.find_kernel_arg = options->find_kernel_arg,
	};
	struct bh_buffer stream;

	BH_TRY(run_pass(&source, node, &stream));
	bh_cache_file_begin(&format, key, &feed->buffer);
	bh_buffer_bytes(&feed->buffer, stream.bytes, stream.length);
	bh_buffer_free(&stream);
	bh_cache_file_end(&feed->buffer);
	if (feed->buffer.failed)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	return open_feed(trace, node, feed->buffer.bytes, feed->buffer.length, &feed->feed);
}

/* What the cache has not, with the caller told how long it takes. */
static struct bh_error *make_and_keep(struct bh_node_feed *feed, const struct bh_trace *trace,
				      uint32_t node, const struct bh_replay_options *options,
				      const uint8_t key[16])
{
	if (options->passing)
		options->passing(1);
	struct bh_error *error = make(feed, trace, node, options, key);

	if (options->passing)
		options->passing(0);
	return error;
}

struct bh_error *bh_node_feed_create(const struct bh_trace *trace, uint32_t node,
				     const struct bh_replay_options *options,
				     struct bh_node_feed **feed_ret)
{
	char *folder = options->cache_folder ? bh_cache_folder_at(options->cache_folder)
					     : bh_cache_folder("feeds");
	struct bh_node_feed *feed = calloc(1, sizeof(*feed));
	struct bh_error *error = NULL;
	uint8_t key[16];

	bh_trace_key(trace, key);
	for (unsigned int i = 0; i < sizeof(node); i++)
		key[i] ^= (uint8_t)(node >> 8 * i);
	char *path = folder ? bh_cache_path(folder, key, format.suffix) : NULL;

	if (!feed)
		error = bh_error_new(BH_ERR_NOMEM, "out of memory");
	else if (!path || !load(feed, trace, node, path, key))
		error = make_and_keep(feed, trace, node, options, key);
	if (!error && path && feed->buffer.bytes)
		bh_cache_file_save(&format, folder, path, &feed->buffer);
	free(path);
	free(folder);
	if (error) {
		bh_node_feed_destroy(feed);
		return error;
	}
	*feed_ret = feed;
	return NULL;
}

void bh_node_feed_destroy(struct bh_node_feed *feed)
{
	if (!feed)
		return;
	bh_feed_close(feed->feed);
	bh_cache_file_unmap(&feed->file);
	bh_buffer_free(&feed->buffer);
	free(feed);
}

struct bh_feed *bh_node_feed_get(const struct bh_node_feed *feed)
{
	return feed->feed;
}
