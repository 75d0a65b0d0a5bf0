/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the import share: clab.c (the file), clab_node.c, clab_link.c, clab_notes.c. */
#ifndef BH_CLI_CLAB_INTERNAL_H
#define BH_CLI_CLAB_INTERNAL_H

#include "cli/clab.h"
#include "simulator/build.h"
#include "simulator/yaml_tree.h"

struct bh_clab_node {
	const struct bh_yaml_node *key; /* its name in the file */
	char name[64];			/* as a scenario may have it */
	/* Where its settings are: node, group, kind, defaults; NULL where there is none. */
	const struct bh_yaml_node *levels[4];
	const char *kind;
	int is_bridge;	     /* becomes a segment */
	struct bh_text ends; /* of the segment */
	unsigned int end_count;
};

/* A sentence, and the nodes that it is about. */
struct bh_clab_note {
	char *sentence;
	unsigned int line, column;
	struct bh_text nodes;
	unsigned int node_count;
};

struct bh_clab {
	const char *filename;
	struct bh_clab_options options;
	const struct bh_yaml_node *topology;
	struct bh_clab_node *nodes;
	size_t node_count;
	struct bh_clab_note *notes;
	size_t note_count;
	struct bh_text yaml;
	struct bh_text links;
	struct bh_error *error; /* the first fault */
};

/* --- clab_notes.c --- */

/* One note for each sentence and place; node: whom it is about, NULL: nobody. */
void bh_clab_note(struct bh_clab *clab, const struct bh_yaml_node *place,
		  const struct bh_clab_node *node, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Tells of them all and frees them. */
void bh_clab_notes_tell(struct bh_clab *clab);

/* --- clab.c --- */

/* The value of a scalar, or NULL. */
const char *bh_clab_text(const struct bh_yaml_node *node);
/* The most specific of a node's values for a key; NULL: it has none. */
const struct bh_yaml_node *bh_clab_setting(const struct bh_clab_node *node, const char *key);
struct bh_clab_node *bh_clab_find(struct bh_clab *clab, const char *name);

/* --- clab_node.c --- */

/* Adds the node with all that it has to the text. */
void bh_clab_add_node(struct bh_clab *clab, const struct bh_clab_node *node);

/* --- clab_link.c --- */

struct bh_error *bh_clab_read_links(struct bh_clab *clab);

#endif
