/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inputs of a run: every host file, directory or symbolic link that a program on a node looked
 * at, also those that were not there. The first look decides what the rest of the run sees, so that
 * a file changing on the host during the run can't show. The recorder stores the table in the
 * trace; the replayer fills it from the trace, and then nothing outside it exists.
 *
 * Used by posix/ (the node's view of the host's files), recorder/ and replayer/.
 */
#ifndef BH_POSIX_INPUTS_H
#define BH_POSIX_INPUTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct bh_inputs;

/* Values are part of the trace format (traces/FORMAT.md). */
enum bh_input_kind {
	BH_INPUT_ABSENT = 0,
	BH_INPUT_FILE = 1,
	BH_INPUT_DIRECTORY = 2,
	BH_INPUT_SYMLINK = 3,
	BH_INPUT_SPECIAL = 4, /* a device, socket or fifo: exists, cannot be opened */
};

#define BH_BUILD_ID_MAX 32u /* longer ones are no build-id */

struct bh_input {
	char *path;	     /* absolute host path, normalised; owned by the table */
	uint8_t kind;	     /* enum bh_input_kind */
	uint16_t mode;	     /* permission bits; owner and times are never shown to a node */
	uint64_t size;	     /* bytes of a file */
	uint64_t number;     /* inode number shown to nodes: a hash of the path */
	int was_read;	     /* contents (or listing) were read, so hash is valid */
	uint8_t hash[16];    /* XXH3-128, canonical, of contents, link target or listing */
	char *text;	     /* link target, or directory listing (names NUL-separated, sorted, each
			      * followed by its kind's digit and NUL); owned by the table */
	size_t text_size;    /* bytes of text */
	const uint8_t *data; /* file contents, mapped read-only and private; NULL until read */
	/* Of an executable or library that was read and has one: what a linker calls it by, in ELF
	 * note NT_GNU_BUILD_ID. */
	uint8_t build_id[BH_BUILD_ID_MAX], build_id_length;
};

/* A table that looks at the host's file system at each first question. */
struct bh_error *bh_inputs_create_live(struct bh_inputs **inputs_ret);
/* A table that is filled with bh_inputs_add(); a question about anything else is a divergence:
 * remembered for bh_inputs_missing(), answered as absent. */
struct bh_error *bh_inputs_create_recorded(struct bh_inputs **inputs_ret);
void bh_inputs_destroy(struct bh_inputs *inputs);

/* Looks at path without following a final symbolic link. Never fails: unreadable is absent. The
 * result is valid until the table is destroyed. */
const struct bh_input *bh_inputs_lookup(struct bh_inputs *inputs, const char *path);
/* Reads contents, target or listing, so that data/text and hash are valid; a file that can't be
 * read gives -errno, else 0. In a recorded table a file whose hash has changed on the host gives
 * -ESTALE and is remembered for bh_inputs_missing(). */
int bh_inputs_read(struct bh_inputs *inputs, const struct bh_input *input);
/* A host descriptor for mapping a file that was read (private mappings only); -errno on failure.
 * Owned by the table. */
int bh_inputs_descriptor(struct bh_inputs *inputs, const struct bh_input *input);

/*
 * The folder of the scenario, absolute, from which its relative paths are meant; NULL if none was
 * set. In a live table it is the folder of the file that bh_inputs_set_scenario() named, and the
 * first question makes it an entry of the table (a link named BH_INPUTS_FOLDER), so that a run
 * elsewhere finds the same files; a recorded table answers by that entry.
 */
#define BH_INPUTS_FOLDER "/.backhop-scenario-folder"
const char *bh_inputs_folder(struct bh_inputs *inputs);
/* A file that isn't there is remembered as having no folder. */
void bh_inputs_set_scenario(struct bh_inputs *inputs, const char *scenario_path);

/*
 * What lies at path, or below, isn't there for the run, nor in its folder's listing: what a run
 * writes itself, which would make the next run in the same place another one. Of a live table;
 * before the first question.
 */
struct bh_error *bh_inputs_hide(struct bh_inputs *inputs, const char *path);

/* Copies fields from recorded; data and text may be NULL (then a file is read from the host and
 * checked against the hash). */
struct bh_error *bh_inputs_add(struct bh_inputs *inputs, const struct bh_input *recorded);

/*
 * A live table goes on as a recorded one, in another process: its descriptors are none there. What
 * the recorded run looks at from then on has to be added, by the second function, which takes any
 * input of the run.
 */
void bh_inputs_become_recorded(struct bh_inputs *inputs);
struct bh_error *bh_inputs_add_rest(struct bh_inputs *inputs, const struct bh_input *recorded);

/* In order of first question. */
size_t bh_inputs_count(const struct bh_inputs *inputs);
const struct bh_input *bh_inputs_get(const struct bh_inputs *inputs, size_t index);

/* A recorded table was asked for something it doesn't have, or that changed: the first such path,
 * or NULL. */
const char *bh_inputs_missing(const struct bh_inputs *inputs);

#endif
