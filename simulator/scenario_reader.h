/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the scenario parser share: scenario_yaml.c reads the document and its general
 * part, scenario_node_yaml.c the nodes and their programs, scenario_link_yaml.c links and segments,
 * scenario_event_yaml.c the timeline. Private to them.
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
	struct bh_name_table endpoints; /* "node:device" -> end, as bh_scenario_end() counts */
	size_t end_count;		/* read so far */
	const struct bh_scenario_link_end **ends; /* by end, once all are read */
	unsigned int *end_lines;		  /* by end: of the link or segment */
	char **end_names; /* those that `endpoints` doesn't have from the document */
	size_t end_name_count;
	unsigned int owner_line; /* of the link or segment that is being read */
	size_t copied_bytes;	 /* bounds what aliases can multiply */
	/* topology.defaults */
	const char *default_kernel, *default_command_line;
	uint64_t default_ram_bytes;
	struct bh_scenario_cpu default_cpu;
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

/* What a mapping with properties of a link describes; what isn't used is NULL. */
struct bh_scenario_link_target {
	struct bh_link_properties *properties;
	uint32_t *mtu;
	struct bh_scenario_segment *segment;
	struct bh_scenario_link_end *end;
};

/* The keys of a link's properties: delay, rate, … */
#define BH_SCENARIO_PROPERTY_COUNT 9
#define BH_SCENARIO_OTHERS_MAX	   8
extern const struct bh_scenario_field bh_scenario_property_fields[BH_SCENARIO_PROPERTY_COUNT];
/* Reads a mapping that has these and (at most BH_SCENARIO_OTHERS_MAX) other keys. */
struct bh_error *bh_scenario_read_properties(struct bh_scenario_reader *reader,
					     const struct bh_yaml_node *node, const char *what,
					     const struct bh_scenario_field *others,
					     size_t other_count,
					     struct bh_scenario_link_target *to);
/* Refuses what can't be together. */
struct bh_error *bh_scenario_check_properties(const struct bh_scenario_reader *reader,
					      const struct bh_yaml_node *node,
					      const struct bh_link_properties *properties);
/* topology.links, then topology.segments, then whether a node has too many devices. */
struct bh_error *bh_scenario_read_links(struct bh_scenario_reader *reader,
					const struct bh_yaml_node *node);
struct bh_error *bh_scenario_read_segments(struct bh_scenario_reader *reader,
					   const struct bh_yaml_node *node);
struct bh_error *bh_scenario_check_devices(struct bh_scenario_reader *reader);

/* events */
struct bh_error *bh_scenario_read_events(struct bh_scenario_reader *reader,
					 const struct bh_yaml_node *node);

/* The error for a name that is no node's. */
struct bh_error *bh_scenario_unknown_node(const struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *value, const char *name);
/* And for one that is no end of a link. */
struct bh_error *bh_scenario_unknown_endpoint(const struct bh_scenario_reader *reader,
					      const struct bh_yaml_node *value);

/* expect */
struct bh_error *bh_scenario_read_expectations(struct bh_scenario_reader *reader,
					       const struct bh_yaml_node *value);

/* One entry of `processes:`. */
struct bh_error *bh_scenario_read_process(struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *value,
					  struct bh_process *process);

/* What a node has: processes, exec and cpu. */
struct bh_error *bh_scenario_read_processes(struct bh_scenario_reader *reader,
					    const struct bh_yaml_node *value,
					    struct bh_scenario_node *node);
struct bh_error *bh_scenario_read_exec(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value,
				       struct bh_scenario_node *node);
struct bh_error *bh_scenario_read_cpu(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value,
				      struct bh_scenario_cpu *cpu_ret);
void bh_scenario_cpu_default(struct bh_scenario_cpu *cpu_ret);

/* topology.defaults and topology.nodes. */
struct bh_error *bh_scenario_read_defaults(struct bh_scenario_reader *reader,
					   const struct bh_yaml_node *node);
struct bh_error *bh_scenario_read_nodes(struct bh_scenario_reader *reader,
					const struct bh_yaml_node *node);

#endif
