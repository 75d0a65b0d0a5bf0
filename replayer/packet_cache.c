/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bh_packets_create() of packets.h: takes the table of a run's packets from the cache, or makes it
 * and puts it there. The cache is a folder of files named by what they are of; it is bounded, the
 * oldest go first. A cache that can't be written, or holds something else, is no error.
 */
#include <stdlib.h>
#include <string.h>

#include "common/cache.h"
#include "replayer/packet_pass.h"
#include "replayer/packet_table.h"

char *bh_packet_cache_folder(const struct bh_packets_source *source)
{
	return source->cache_folder ? bh_cache_folder_at(source->cache_folder)
				    : bh_cache_folder("packets");
}

static struct bh_packets *load(const struct bh_trace *trace, const char *path,
			       const uint8_t key[16])
{
	struct bh_packets *packets;
	struct bh_cache_file file = bh_cache_file_map(path);

	if (!file.bytes)
		return NULL;
	struct bh_error *error = bh_packets_decode(trace, key, file.bytes, file.length, &packets);

	if (error) {
		bh_error_free(error);
		bh_cache_file_unmap(&file);
		return NULL;
	}
	packets->file = file;
	bh_cache_touch(path);
	return packets;
}

static void save(const struct bh_packets *packets, const char *folder, const char *path,
		 const uint8_t key[16])
{
	struct bh_buffer buffer = {0};

	bh_packets_encode(packets, key, &buffer);
	bh_cache_file_save(&bh_packet_format, folder, path, &buffer);
	bh_buffer_free(&buffer);
}

static struct bh_error *make(const struct bh_packets_source *source,
			     struct bh_packets **packets_ret)
{
	struct bh_buffer stream = {0};

	BH_TRY(bh_packet_pass(source, &stream));
	struct bh_error *error = bh_packets_build(source, &stream, packets_ret);

	if (error) {
		bh_buffer_free(&stream);
		return error;
	}
	(*packets_ret)->frames = stream.bytes;
	return NULL;
}

struct bh_error *bh_packets_create(const struct bh_packets_source *source,
				   struct bh_packets **packets_ret)
{
	char *folder = bh_packet_cache_folder(source);
	uint8_t key[16];

	bh_trace_key(source->trace, key);
	char *path = folder ? bh_cache_path(folder, key, bh_packet_format.suffix) : NULL;
	struct bh_packets *packets = path ? load(source->trace, path, key) : NULL;
	struct bh_error *error = NULL;

	if (!packets) {
		error = make(source, &packets);
		/* When the debug information is there, there is more to know. */
		if (!error && path && !packets->missing)
			save(packets, folder, path, key);
	}
	free(path);
	free(folder);
	if (!error)
		*packets_ret = packets;
	return error;
}
