/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the two halves of the scenario parser share: scenario_yaml.c reads the document, its general
 * part and the links, scenario_node_yaml.c the nodes and their programs. Private to them.
 */
#ifndef BH_SIMULATOR_SCENARIO_READER_H
#define BH_SIMULATOR_SCENARIO_READER_H

#include "simulator/name_table.h"
#include "simulator/scenario.h"
#include "simulator/yaml_tree.h"

#define BH_SCENARIO_NODES_MAX 4096u /* BH_NODE_MAX of kernel-lib/node.h */
#define BH_SCENARIO_LINKS_MAX 65536u
#define BH_SCENARIO_BYTES_MAX (64u << 20)

struct bh_scenario_reader {
	const char *filename;
	struct bh_scenario *scenario;
	struct bh_name_table nodes;	/* name -> id */
	struct bh_name_table endpoints; /* "node:device" -> number of the link */
	size_t copied_bytes;		/* bounds what aliases can multiply */
	/* topology.defaults */
	const char *default_kernel, *default_command_line;
	uint64_t default_ram_bytes;
};

/* One key of a mapping. target is what the mapping describes. read is NULL for a key that a later
 * version will know. */
struct bh_scenario_field {
	const char *key;
	struct bh_error *(*read)(struct bh_scenario_reader *reader,
				 const struct bh_yaml_node *value, void *target);
};

/* Reads a mapping key by key in the document's order; what: "a link", for messages. */
struct bh_error *bh_scenario_read_mapping(struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *node, const char *what,
					  const struct bh_scenario_field *fields,
					  size_t field_count, void *target);
/* The value of a key in a mapping, NULL if it isn't there (or node is no mapping). */
const struct bh_yaml_node *bh_scenario_find_key(const struct bh_yaml_node *node, const char *key);

struct bh_error *bh_scenario_error(const struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts the place in front of an error that has none; takes NULL. */
struct bh_error *bh_scenario_error_at(const struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *node, struct bh_error *error);

/* Each refuses a value of another type; what: "delay". */
struct bh_error *bh_scenario_expect_scalar(const struct bh_scenario_reader *reader,
					   const struct bh_yaml_node *node, const char *what);
struct bh_error *bh_scenario_expect_sequence(const struct bh_scenario_reader *reader,
					     const struct bh_yaml_node *node, const char *what);
struct bh_error *bh_scenario_read_integer(const struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *node, const char *what,
					  uint64_t minimum, uint64_t maximum, uint64_t *value_ret);
/* Frees what *text_ret held. */
struct bh_error *bh_scenario_read_text(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *node, const char *what,
				       char **text_ret);
/* Charges bytes against BH_SCENARIO_BYTES_MAX. */
struct bh_error *bh_scenario_charge(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *node, size_t bytes);
/* Makes room for one more element of size bytes, zero-filled; the array's capacity follows from its
 * count. NULL when out of memory. */
void *bh_scenario_grow(void **array, size_t *count, size_t size);

/* topology.defaults and topology.nodes. */
struct bh_error *bh_scenario_read_defaults(struct bh_scenario_reader *reader,
					   const struct bh_yaml_node *node);
struct bh_error *bh_scenario_read_nodes(struct bh_scenario_reader *reader,
					const struct bh_yaml_node *node);

#endif
