/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace files: a run's inputs plus a compact index of its events and their digest. The format is
 * specified in FORMAT.md, which rules. Written by recorder/, read by replayer/ and cli/.
 */
#ifndef BH_TRACES_TRACE_H
#define BH_TRACES_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/event.h"

/* Most events that a chunk holds, and so that bh_trace_decode_chunk() gives. */
#define BH_TRACE_CHUNK_EVENTS 65536u

/* --- writing --- */

struct bh_trace_writer;

/* What an input is for; values are part of the format. */
enum bh_trace_input_role {
	BH_TRACE_SCENARIO = 1, /* contents always stored */
	BH_TRACE_KERNEL = 2,   /* a kernel image: build-id and hash; name is the version */
	BH_TRACE_FILE = 3,     /* a host file as in posix/inputs.h */
	BH_TRACE_PROGRAM = 4,  /* the program that is the scenario; text: its arguments */
	BH_TRACE_TERMINAL = 5, /* a program with a terminal; name: node, number: its start in ns,
				* text: environment and arguments */
	BH_TRACE_TYPED = 6,    /* what was typed there; number: of the event, name: the same */
};

struct bh_trace_input {
	uint8_t role; /* enum bh_trace_input_role */
	uint8_t kind; /* enum bh_input_kind of posix/inputs.h for FILE, else 1 */
	uint8_t was_read;
	uint16_t mode;
	uint64_t size, number;
	uint8_t hash[16];     /* XXH3-128, canonical */
	const char *name;     /* path, or kernel version */
	const char *build_id; /* lower-case hex; NULL if none */
	const void *text;     /* stored contents: scenario, link target, listing; NULL if none */
	size_t text_size;
};

struct bh_trace_start {
	const char *scenario_name;
	uint64_t seed;
	const char *const *node_names;
	size_t node_count;
};

/* Creates path (refuses a directory, replaces a file), writes the header. Nothing but
 * bh_trace_write_event may be called while inside a node; it only appends to memory. */
struct bh_error *bh_trace_writer_create(const char *path, const struct bh_trace_start *start,
					struct bh_trace_writer **writer_ret);
/* Events come in order, without gaps; a fault is told by the next flush. */
void bh_trace_write_event(struct bh_trace_writer *writer, const struct bh_event *event);
/* Buffered; copied before return. */
struct bh_error *bh_trace_write_input(struct bh_trace_writer *writer,
				      const struct bh_trace_input *input);
/* Writes out full chunks, if there are any; call between events. */
struct bh_error *bh_trace_writer_flush(struct bh_trace_writer *writer);
/* Writes out the inputs so far; where a run calls it must not depend on the host's clock. */
struct bh_error *bh_trace_writer_flush_inputs(struct bh_trace_writer *writer);
/* Whether flush would write now: the place to hand in inputs first. */
int bh_trace_writer_is_full(const struct bh_trace_writer *writer);
/*
 * A checkpoint writes out everything, so that it can be read if the recording is killed afterwards.
 * It leaves no mark in the bytes of a complete trace (FORMAT.md, section 2), so it may depend on
 * the host's clock. begin returns 0 if there is nothing to do; else the inputs written before end
 * belong to the checkpoint only, and must be written again for the trace.
 */
int bh_trace_writer_checkpoint_begin(struct bh_trace_writer *writer);
struct bh_error *bh_trace_writer_checkpoint_end(struct bh_trace_writer *writer);
/* Writes the rest, the summary (the JSON object of `record --json`) and the end mark, which makes
 * the trace complete. */
struct bh_error *bh_trace_writer_finish(struct bh_trace_writer *writer, const char *summary_json,
					uint64_t digest, const uint64_t *node_digests);
/*
 * For a signal handler that ends the process (common/last_words.h): writes what would be lost, as
 * a checkpoint does, but without memory, errno or compression. First the inputs that the trace
 * doesn't have, as long as there is room (0), then all the rest. Does nothing if the writer itself
 * was interrupted.
 */
int bh_trace_last_words_input(struct bh_trace_writer *writer, const struct bh_trace_input *input);
void bh_trace_last_words(struct bh_trace_writer *writer);
/* Takes NULL; closes without an end mark if not finished (a truncated but readable trace). */
void bh_trace_writer_destroy(struct bh_trace_writer *writer);

/* --- reading --- */

struct bh_trace;

/* The whole file is read and checked on opening: a damaged chunk is an error that names its offset,
 * a missing end makes the trace truncated, readable up to the last whole chunk. */
struct bh_error *bh_trace_open(const char *path, struct bh_trace **trace_ret);
/* The same from memory (copied), so that the reader can be fuzzed. */
struct bh_error *bh_trace_open_memory(const void *bytes, size_t length,
				      struct bh_trace **trace_ret);
/*
 * For running the trace again, which compares each event with the run's: opening takes little
 * longer than reading the file. All checksums are checked, but what is in a chunk of events only
 * when it is unpacked, so that bh_trace_event() and bh_trace_decode_chunk() can fail on a trace
 * that was made on purpose; virtual time is checked within each chunk only, and digests aren't
 * checked.
 */
struct bh_error *bh_trace_open_for_replay(const char *path, struct bh_trace **trace_ret);
struct bh_error *bh_trace_open_memory_for_replay(const void *bytes, size_t length,
						 struct bh_trace **trace_ret);
void bh_trace_close(struct bh_trace *trace);

/* As it was opened; NULL: from memory. */
const char *bh_trace_path(const struct bh_trace *trace);
unsigned int bh_trace_version(const struct bh_trace *trace);
int bh_trace_is_complete(const struct bh_trace *trace);
const char *bh_trace_scenario_name(const struct bh_trace *trace);
uint64_t bh_trace_seed(const struct bh_trace *trace);
size_t bh_trace_node_count(const struct bh_trace *trace);
const char *bh_trace_node_name(const struct bh_trace *trace, size_t node);
size_t bh_trace_input_count(const struct bh_trace *trace);
const struct bh_trace_input *bh_trace_input(const struct bh_trace *trace, size_t index);
/* NULL if truncated. */
const char *bh_trace_summary_json(const struct bh_trace *trace);
/* Digest at the end; for a truncated trace after its last event, or 0 if opened for replay. */
uint64_t bh_trace_digest(const struct bh_trace *trace);
/* The same over the events of one node. */
uint64_t bh_trace_node_digest(const struct bh_trace *trace, size_t node);
/* A hash of the events as they are stored, however the trace was opened. */
uint64_t bh_trace_events_hash(const struct bh_trace *trace);
uint64_t bh_trace_event_count(const struct bh_trace *trace);
/* Event of this number (from 1). Random access; decodes at most one chunk, the last one decoded is
 * kept. */
struct bh_error *bh_trace_event(const struct bh_trace *trace, uint64_t number,
				struct bh_event *event_ret);

/* Decodes the chunk that holds the event of this number into the caller's array of
 * BH_TRACE_CHUNK_EVENTS; allocates nothing. */
struct bh_error *bh_trace_decode_chunk(const struct bh_trace *trace, uint64_t number,
				       struct bh_event *events_ret, size_t *count_ret);
/* By which the run is found in a cache: of its events as they are stored, which can be told without
 * unpacking them, of its scenario, from which come the names of nodes and devices, and of its
 * kernel images, from which come those of functions. */
void bh_trace_key(const struct bh_trace *trace, uint8_t key_ret[16]);
/* The same of the trace that the writer has finished. */
void bh_trace_writer_key(const struct bh_trace_writer *writer, uint8_t key_ret[16]);
/* "scenario", "kernel" or "file"; NULL for a number that is no role. */
const char *bh_trace_input_role_name(unsigned int role);

#endif
