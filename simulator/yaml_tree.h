/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The door to libyaml: a YAML document as a tree whose nodes know their line and column. Hostile
 * input is bounded: bytes, nodes, depth; aliases share the node that they name, and can't name one
 * that contains them. Used by simulator/scenario_yaml.c.
 */
#ifndef BH_SIMULATOR_YAML_TREE_H
#define BH_SIMULATOR_YAML_TREE_H

#include <stddef.h>

#include "common/error.h"

#define BH_YAML_LENGTH_MAX (16u << 20)
#define BH_YAML_NODES_MAX  1000000u
#define BH_YAML_DEPTH_MAX  12u

enum bh_yaml_kind {
	BH_YAML_SCALAR,
	BH_YAML_SEQUENCE,
	BH_YAML_MAPPING,
};

struct bh_yaml_node {
	enum bh_yaml_kind kind;
	unsigned int line, column; /* from 1 */
	char *text;		   /* scalar: its value, without NUL inside */
	int is_null;		   /* scalar: nothing, ~ or null without quotes */
	/* Sequence: the items. Mapping: key, value, key, value …; keys are scalars, none twice. */
	struct bh_yaml_node **children;
	size_t child_count, child_capacity;
	struct bh_yaml_node *allocated; /* list of all nodes of the tree */
};

struct bh_yaml_tree {
	struct bh_yaml_node *root;
	struct bh_yaml_node *allocated;
};

/* Exactly one document with something in it. Messages begin with "filename:line:column: ". */
struct bh_error *bh_yaml_tree_parse(const char *text, size_t length, const char *filename,
				    struct bh_yaml_tree *tree_ret);
/* The value of a key in a mapping, NULL if it isn't there (or node is no mapping). */
const struct bh_yaml_node *bh_yaml_find(const struct bh_yaml_node *node, const char *key);
void bh_yaml_tree_destroy(struct bh_yaml_tree *tree);

/* "filename:line:column: sentence" as an error; what the sentence quotes from the document can't
 * put control characters on a terminal. */
struct bh_error *bh_yaml_error(const char *filename, size_t line, size_t column, const char *format,
			       ...) __attribute__((format(printf, 4, 5)));

#endif
