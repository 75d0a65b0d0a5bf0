/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scenario from YAML: the document, its general part and the links; nodes and programs are in
 * scenario_node_yaml.c. Called through bh_scenario_parse_yaml() by cli/ and replayer/.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "simulator/scenario_reader.h"
#include "simulator/units.h"

#define COUNT_OF(array)	     (sizeof(array) / sizeof((array)[0]))
#define DEVICES_PER_NODE_MAX 64u /* BH_MAX_DEVICES of the kernel's seam */
#define QUEUE_FRAMES_DEFAULT 1000u
#define QUEUE_FRAMES_MAX     1000000u
#define MTU_DEFAULT	     1500u

/* --- helpers of both halves --- */

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory while reading the scenario");
}

struct bh_error *bh_scenario_error(const struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *node, const char *format, ...)
{
	char sentence[512];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	return bh_yaml_error(reader->filename, node->line, node->column, "%s", sentence);
}

struct bh_error *bh_scenario_error_at(const struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *node, struct bh_error *error)
{
	if (!error || error->code == BH_ERR_NOMEM)
		return error;
	struct bh_error *placed = bh_scenario_error(reader, node, "%s", error->message);

	bh_error_free(error);
	return placed;
}

static const char *kind_name(const struct bh_yaml_node *node)
{
	if (node->kind == BH_YAML_SCALAR)
		return node->is_null ? "nothing" : "a single value";
	return node->kind == BH_YAML_SEQUENCE ? "a list" : "a mapping";
}

struct bh_error *bh_scenario_expect_scalar(const struct bh_scenario_reader *reader,
					   const struct bh_yaml_node *node, const char *what)
{
	if (node->kind == BH_YAML_SCALAR && !node->is_null)
		return NULL;
	return bh_scenario_error(reader, node, "%s wants a single value, not %s", what,
				 kind_name(node));
}

struct bh_error *bh_scenario_expect_sequence(const struct bh_scenario_reader *reader,
					     const struct bh_yaml_node *node, const char *what)
{
	if (node->kind == BH_YAML_SEQUENCE)
		return NULL;
	return bh_scenario_error(reader, node, "%s wants a list, not %s", what, kind_name(node));
}

const struct bh_yaml_node *bh_scenario_find_key(const struct bh_yaml_node *node, const char *key)
{
	for (size_t i = 0; node->kind == BH_YAML_MAPPING && i < node->child_count; i += 2)
		if (strcmp(node->children[i]->text, key) == 0)
			return node->children[i + 1];
	return NULL;
}

static struct bh_error *unknown_key(const struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *key, const char *what,
				    const struct bh_scenario_field *fields, size_t field_count)
{
	const char *names[16];
	char known[256] = "";
	size_t length = 0;

	for (size_t i = 0; i < field_count && i < COUNT_OF(names); i++) {
		names[i] = fields[i].read ? fields[i].key : NULL;
		if (names[i])
			length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s",
						   length ? ", " : "", names[i]);
	}
	const char *nearest = bh_suggest(key->text, names, field_count);

	if (nearest)
		return bh_scenario_error(reader, key,
					 "unknown key \"%.40s\" in %s; did you mean \"%s\"?",
					 key->text, what, nearest);
	return bh_scenario_error(reader, key, "unknown key \"%.40s\" in %s; it knows: %s",
				 key->text, what, known);
}

struct bh_error *bh_scenario_read_mapping(struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *node, const char *what,
					  const struct bh_scenario_field *fields,
					  size_t field_count, void *target)
{
	if (node->kind != BH_YAML_MAPPING)
		return bh_scenario_error(reader, node, "%s wants a mapping, not %s", what,
					 kind_name(node));
	for (size_t i = 0; i < node->child_count; i += 2) {
		const struct bh_yaml_node *key = node->children[i];
		const struct bh_scenario_field *field = NULL;

		for (size_t j = 0; j < field_count; j++)
			if (strcmp(fields[j].key, key->text) == 0)
				field = &fields[j];
		if (!field)
			return unknown_key(reader, key, what, fields, field_count);
		if (!field->read)
			return bh_scenario_error(
				reader, key, "\"%s\" isn't supported yet; remove it", key->text);
		BH_TRY(field->read(reader, node->children[i + 1], target));
	}
	return NULL;
}

struct bh_error *bh_scenario_charge(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *node, size_t bytes)
{
	reader->copied_bytes += bytes;
	if (reader->copied_bytes <= BH_SCENARIO_BYTES_MAX)
		return NULL;
	return bh_scenario_error(
		reader, node, "the scenario is too large: over %u MiB with its aliases filled in",
		BH_SCENARIO_BYTES_MAX >> 20);
}

void *bh_scenario_grow(void **array, size_t *count, size_t size)
{
	/* The capacity is the next power of two, so it needs no field of its own. */
	if ((*count & (*count - 1)) == 0 || *count == 0) {
		void *larger = realloc(*array, (*count ? *count * 2 : 1) * size);

		if (!larger)
			return NULL;
		*array = larger;
	}
	void *element = (char *)*array + *count * size;

	memset(element, 0, size);
	++*count;
	return element;
}

struct bh_error *bh_scenario_read_text(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *node, const char *what,
				       char **text_ret)
{
	BH_TRY(bh_scenario_expect_scalar(reader, node, what));
	BH_TRY(bh_scenario_charge(reader, node, strlen(node->text) + sizeof(void *)));
	char *copy = strdup(node->text);

	if (!copy)
		return out_of_memory();
	free(*text_ret);
	*text_ret = copy;
	return NULL;
}

struct bh_error *bh_scenario_read_integer(const struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *node, const char *what,
					  uint64_t minimum, uint64_t maximum, uint64_t *value_ret)
{
	BH_TRY(bh_scenario_expect_scalar(reader, node, what));
	struct bh_error *error = bh_parse_integer(node->text, minimum, maximum, value_ret);

	if (!error)
		return NULL;
	struct bh_error *named = bh_scenario_error(reader, node, "%s: %s", what, error->message);

	bh_error_free(error);
	return named;
}

/* --- general --- */

static struct bh_error *read_seed(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	return bh_scenario_read_integer(reader, value, "seed", 0, UINT64_MAX,
					&reader->scenario->seed);
}

static struct bh_error *read_stop_time(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value, void *target)
{
	uint64_t *stop_ns = &reader->scenario->stop_ns;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "stop_time"));
	BH_TRY(bh_scenario_error_at(reader, value, bh_parse_duration(value->text, stop_ns)));
	if (*stop_ns == 0)
		return bh_scenario_error(
			reader, value,
			"a run that stops at 0 does nothing; give a later stop_time");
	return NULL;
}

static struct bh_error *read_general(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value)
{
	static const struct bh_scenario_field fields[] = {
		{"seed", read_seed},
		{"stop_time", read_stop_time},
	};

	return bh_scenario_read_mapping(reader, value, "general", fields, COUNT_OF(fields), NULL);
}

/* --- links --- */

static struct bh_error *unknown_node(const struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value, const char *name)
{
	const struct bh_scenario *scenario = reader->scenario;
	const char **names = calloc(scenario->node_count, sizeof(*names));
	struct bh_error *error;

	if (!names)
		return out_of_memory();
	for (size_t i = 0; i < scenario->node_count; i++)
		names[i] = scenario->nodes[i].name;
	const char *nearest = bh_suggest(name, names, scenario->node_count);

	error = bh_scenario_error(reader, value, "no node is named \"%.40s\"; did you mean \"%s\"?",
				  name, nearest ? nearest : names[0]);
	free(names);
	return error;
}

/* What dev_valid_name() of net/core/dev.c (Linux 6.1) accepts, and not a device that is there. */
static int is_device_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < 16 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strcmp(name, "lo") != 0 && strcspn(name, "/: \t\n\v\f\r") == length;
}

static struct bh_error *claim_endpoint(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value)
{
	size_t number = bh_name_table_find(&reader->endpoints, value->text);

	if (number != BH_NAME_ABSENT)
		return bh_scenario_error(reader, value,
					 "\"%.80s\" is already an end of the link on line %u",
					 value->text, reader->scenario->links[number].line);
	number = reader->scenario->link_count - 1;
	return bh_name_table_add(&reader->endpoints, value->text, number) < 0 ? out_of_memory()
									      : NULL;
}

static struct bh_error *read_endpoint(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value,
				      struct bh_scenario_link_end *end)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, "an endpoint"));
	const char *colon = strchr(value->text, ':');
	char name[64];

	if (!colon || colon == value->text || (size_t)(colon - value->text) >= sizeof(name))
		return bh_scenario_error(reader, value,
					 "\"%.80s\" is no endpoint; write node and device, such as "
					 "\"h1:eth0\"",
					 value->text);
	memcpy(name, value->text, (size_t)(colon - value->text));
	name[colon - value->text] = '\0';
	size_t node = bh_name_table_find(&reader->nodes, name);

	if (node == BH_NAME_ABSENT)
		return unknown_node(reader, value, name);
	if (!is_device_name(colon + 1))
		return bh_scenario_error(
			reader, value,
			"\"%.40s\" can't be the name of a device; write one such as "
			"\"eth0\"",
			colon + 1);
	end->node = (uint32_t)node;
	memcpy(end->device, colon + 1, strlen(colon + 1) + 1);
	return claim_endpoint(reader, value);
}

static struct bh_error *read_endpoints(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_link *link = target;

	BH_TRY(bh_scenario_expect_sequence(reader, value, "endpoints"));
	if (value->child_count != 2)
		return bh_scenario_error(reader, value, "a link has 2 endpoints, not %zu",
					 value->child_count);
	BH_TRY(read_endpoint(reader, value->children[0], &link->end[0]));
	return read_endpoint(reader, value->children[1], &link->end[1]);
}

static struct bh_error *read_delay(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_link *link = target;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "delay"));
	return bh_scenario_error_at(reader, value, bh_parse_duration(value->text, &link->delay_ns));
}

static struct bh_error *read_rate(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_link *link = target;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "rate"));
	BH_TRY(bh_scenario_error_at(reader, value, bh_parse_rate(value->text, &link->rate_bps)));
	if (link->rate_bps == 0)
		return bh_scenario_error(reader, value,
					 "a rate of 0 carries nothing; leave rate out for a link "
					 "that is infinitely fast");
	return NULL;
}

static struct bh_error *read_loss(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_link *link = target;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "loss"));
	return bh_scenario_error_at(reader, value,
				    bh_parse_percentage(value->text, &link->loss_ppb));
}

static struct bh_error *read_queue(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_link *link = target;

	return bh_scenario_read_integer(reader, value, "queue", 0, QUEUE_FRAMES_MAX,
					&link->queue_frames);
}

static struct bh_error *read_mtu(struct bh_scenario_reader *reader,
				 const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_link *link = target;
	uint64_t mtu;

	/* ETH_MIN_MTU, and ETH_MAX_MTU less the Ethernet header: the device's own limits. */
	BH_TRY(bh_scenario_read_integer(reader, value, "mtu", 68, 65521, &mtu));
	link->mtu = (uint32_t)mtu;
	return NULL;
}

static struct bh_error *read_links(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value)
{
	static const struct bh_scenario_field fields[] = {
		{"endpoints", read_endpoints},
		{"delay", read_delay},
		{"rate", read_rate},
		{"loss", read_loss},
		{"queue", read_queue},
		{"mtu", read_mtu},
		{"jitter", NULL},
	};
	struct bh_scenario *scenario = reader->scenario;

	BH_TRY(bh_scenario_expect_sequence(reader, value, "links"));
	if (value->child_count > BH_SCENARIO_LINKS_MAX)
		return bh_scenario_error(reader, value, "%zu links are too many; the most is %u",
					 value->child_count, BH_SCENARIO_LINKS_MAX);
	for (size_t i = 0; i < value->child_count; i++) {
		struct bh_scenario_link *link = bh_scenario_grow(
			(void **)&scenario->links, &scenario->link_count, sizeof(*link));

		if (!link)
			return out_of_memory();
		link->line = value->children[i]->line;
		link->mtu = MTU_DEFAULT;
		link->queue_frames = QUEUE_FRAMES_DEFAULT;
		BH_TRY(bh_scenario_read_mapping(reader, value->children[i], "a link", fields,
						COUNT_OF(fields), link));
		if (!link->end[0].device[0])
			return bh_scenario_error(reader, value->children[i],
						 "the link has no endpoints; write endpoints: "
						 "[\"h1:eth0\", \"h2:eth0\"]");
	}
	return NULL;
}

static struct bh_error *check_device_counts(const struct bh_scenario_reader *reader,
					    const struct bh_yaml_node *links)
{
	const struct bh_scenario *scenario = reader->scenario;
	unsigned int *counts = calloc(scenario->node_count + 1, sizeof(*counts));
	struct bh_error *error = NULL;

	if (!counts)
		return out_of_memory();
	for (size_t i = 0; !error && i < scenario->link_count * 2; i++) {
		uint32_t node = scenario->links[i / 2].end[i % 2].node;

		if (++counts[node] > DEVICES_PER_NODE_MAX)
			error = bh_scenario_error(reader, links->children[i / 2],
						  "node \"%s\" has more than %u devices",
						  scenario->nodes[node].name, DEVICES_PER_NODE_MAX);
	}
	free(counts);
	return error;
}

/* --- the document --- */

static struct bh_error *read_nothing(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value, void *target)
{
	return NULL;
}

/* Nodes come before links and defaults before nodes, wherever they stand in the document. */
static struct bh_error *read_topology(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value)
{
	static const struct bh_scenario_field fields[] = {
		{"defaults", read_nothing}, {"nodes", read_nothing}, {"links", read_nothing}};
	const struct bh_yaml_node *part;

	BH_TRY(bh_scenario_read_mapping(reader, value, "topology", fields, COUNT_OF(fields), NULL));
	part = bh_scenario_find_key(value, "defaults");
	if (part)
		BH_TRY(bh_scenario_read_defaults(reader, part));
	part = bh_scenario_find_key(value, "nodes");
	if (!part)
		return bh_scenario_error(reader, value,
					 "topology has no nodes; add nodes: {h1: {}}");
	BH_TRY(bh_scenario_read_nodes(reader, part));
	part = bh_scenario_find_key(value, "links");
	if (!part)
		return NULL;
	BH_TRY(read_links(reader, part));
	return check_device_counts(reader, part);
}

static struct bh_error *read_name(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	BH_TRY(bh_scenario_read_text(reader, value, "name", &reader->scenario->name));
	size_t length = strlen(value->text);

	if (length == 0 || length > 200)
		return bh_scenario_error(reader, value, "a name has 1 to 200 bytes, not %zu",
					 length);
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)value->text[i] < 0x20 || value->text[i] == 0x7f)
			return bh_scenario_error(reader, value,
						 "a name can't hold control characters");
	return NULL;
}

/* The general part first: programs are checked against stop_time. */
static struct bh_error *read_document(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *root)
{
	static const struct bh_scenario_field fields[] = {
		{"name", read_name}, {"general", read_nothing}, {"topology", read_nothing},
		{"events", NULL},    {"expect", NULL},
	};
	struct bh_scenario *scenario = reader->scenario;
	const struct bh_yaml_node *part;

	BH_TRY(bh_scenario_read_mapping(reader, root, "a scenario", fields, COUNT_OF(fields),
					NULL));
	part = bh_scenario_find_key(root, "general");
	if (part)
		BH_TRY(read_general(reader, part));
	part = bh_scenario_find_key(root, "topology");
	if (part)
		BH_TRY(read_topology(reader, part));
	if (scenario->node_count == 0)
		return bh_scenario_error(reader, root,
					 "the scenario has no topology; add topology: {nodes: {h1: "
					 "{}}}");
	if (scenario->stop_ns == 0)
		return bh_scenario_error(reader, root,
					 "the scenario doesn't say when it ends; add general: "
					 "{stop_time: 30s}");
	if (!scenario->name)
		scenario->name = strdup("scenario");
	scenario->filename = strdup(reader->filename);
	return scenario->name && scenario->filename ? NULL : out_of_memory();
}

struct bh_error *bh_scenario_parse_yaml(const char *text, size_t length, const char *filename,
					struct bh_scenario **scenario_ret)
{
	struct bh_scenario_reader reader = {.filename = filename};
	struct bh_yaml_tree tree = {0};

	BH_TRY(bh_yaml_tree_parse(text, length, filename, &tree));
	struct bh_error *error = NULL;

	reader.scenario = calloc(1, sizeof(*reader.scenario));
	if (reader.scenario) {
		reader.scenario->seed = 1;
		error = read_document(&reader, tree.root);
	} else {
		error = out_of_memory();
	}
	bh_name_table_destroy(&reader.nodes);
	bh_name_table_destroy(&reader.endpoints);
	bh_yaml_tree_destroy(&tree);
	if (error) {
		bh_scenario_destroy(reader.scenario);
		return error;
	}
	*scenario_ret = reader.scenario;
	return NULL;
}
