/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links and segments of a scenario, and their properties, from YAML: see scenario_reader.h. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "simulator/scenario_reader.h"
#include "simulator/units.h"

#define COUNT_OF(array)	     (sizeof(array) / sizeof((array)[0]))
#define DEVICES_PER_NODE_MAX 64u /* BH_MAX_DEVICES of the kernel's seam */
#define QUEUE_FRAMES_MAX     1000000u
#define MTU_DEFAULT	     1500u
#define AGEING_NS_DEFAULT    300000000000u /* IEEE 802.1Q, table 8-6 */

static struct bh_error *out_of_memory(void)
{
	return bh_error_new(BH_ERR_NOMEM, "out of memory while reading the scenario");
}

/* For keys that are read in an order of their own. */
static struct bh_error *read_nothing(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value, void *target)
{
	return NULL;
}

static const struct bh_scenario_link_target *target_of(void *target)
{
	return target;
}

static struct bh_link_properties *properties_of(void *target)
{
	return target_of(target)->properties;
}

/* --- properties --- */

static struct bh_error *read_duration(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value, const char *what,
				      uint64_t *ns_ret)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, what));
	return bh_scenario_error_at(reader, value, bh_parse_duration(value->text, ns_ret));
}

static struct bh_error *read_share(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, const char *what,
				   uint64_t *ppb_ret)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, what));
	return bh_scenario_error_at(reader, value, bh_parse_percentage(value->text, ppb_ret));
}

static struct bh_error *read_boolean(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value, const char *what,
				     uint8_t *is_true_ret)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, what));
	int is_true = strcmp(value->text, "true") == 0;

	if (!is_true && strcmp(value->text, "false") != 0)
		return bh_scenario_error(reader, value, "%s is true or false, not \"%.40s\"", what,
					 value->text);
	*is_true_ret = (uint8_t)is_true;
	return NULL;
}

/* One of a few words: its index. */
static struct bh_error *read_word(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, const char *what,
				  const char *const *words, size_t count, size_t *index_ret)
{
	char known[128] = "";

	BH_TRY(bh_scenario_expect_scalar(reader, value, what));
	for (size_t i = 0; i < count; i++) {
		if (strcmp(value->text, words[i]) == 0) {
			*index_ret = i;
			return NULL;
		}
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s\"%s\"",
			 i == 0		  ? ""
			 : i == count - 1 ? " or "
					  : ", ",
			 words[i]);
	}
	return bh_scenario_error(reader, value, "%s is %s, not \"%.40s\"", what, known,
				 value->text);
}

static struct bh_error *read_delay(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, void *target)
{
	return read_duration(reader, value, "delay", &properties_of(target)->delay_ns);
}

static struct bh_error *read_jitter(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *value, void *target)
{
	return read_duration(reader, value, "jitter", &properties_of(target)->jitter_ns);
}

static struct bh_error *read_jitter_reorders(struct bh_scenario_reader *reader,
					     const struct bh_yaml_node *value, void *target)
{
	uint8_t reorders = 0;

	BH_TRY(read_boolean(reader, value, "jitter_reorders", &reorders));
	properties_of(target)->is_jitter_ordered = !reorders;
	return NULL;
}

static struct bh_error *read_rate(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	struct bh_link_properties *properties = properties_of(target);

	BH_TRY(bh_scenario_expect_scalar(reader, value, "rate"));
	if (strcmp(value->text, "unlimited") == 0) {
		properties->rate_bps = 0;
		return NULL;
	}
	BH_TRY(bh_scenario_error_at(reader, value,
				    bh_parse_rate(value->text, &properties->rate_bps)));
	if (properties->rate_bps == 0)
		return bh_scenario_error(reader, value,
					 "a rate of 0 carries nothing; leave rate out for a link "
					 "that is infinitely fast");
	return NULL;
}

static struct bh_error *read_loss(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	return read_share(reader, value, "loss", &properties_of(target)->loss_ppb);
}

static struct bh_error *read_duplicate(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value, void *target)
{
	return read_share(reader, value, "duplicate", &properties_of(target)->duplicate_ppb);
}

static struct bh_error *read_reorder(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value, void *target)
{
	return read_share(reader, value, "reorder", &properties_of(target)->reorder_ppb);
}

static struct bh_error *read_corrupt(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value, void *target)
{
	return read_share(reader, value, "corrupt", &properties_of(target)->corrupt_ppb);
}

/* --- the queue --- */

static struct bh_error *read_queue_frames(struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *value, void *target)
{
	return bh_scenario_read_integer(reader, value, "queue", 0, QUEUE_FRAMES_MAX,
					&properties_of(target)->queue_frames);
}

static struct bh_error *read_queue_bytes(struct bh_scenario_reader *reader,
					 const struct bh_yaml_node *value, void *target)
{
	struct bh_link_properties *properties = properties_of(target);

	BH_TRY(bh_scenario_expect_scalar(reader, value, "bytes"));
	return bh_scenario_error_at(reader, value,
				    bh_parse_size(value->text, &properties->queue_bytes));
}

static struct bh_error *read_discipline(struct bh_scenario_reader *reader,
					const struct bh_yaml_node *value, void *target)
{
	/* In the order of enum bh_queue_discipline. */
	static const char *const words[] = {"drop-tail", "drop-head", "codel"};
	size_t index = 0;

	BH_TRY(read_word(reader, value, "discipline", words, COUNT_OF(words), &index));
	properties_of(target)->discipline = (uint8_t)index;
	return NULL;
}

static struct bh_error *read_full(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	static const char *const words[] = {"drop", "hold"};
	size_t index = 0;

	BH_TRY(read_word(reader, value, "full", words, COUNT_OF(words), &index));
	properties_of(target)->is_queue_held = (uint8_t)index;
	return NULL;
}

static struct bh_error *read_target(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *value, void *target)
{
	return read_duration(reader, value, "target", &properties_of(target)->codel_target_ns);
}

static struct bh_error *read_interval(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value, void *target)
{
	return read_duration(reader, value, "interval", &properties_of(target)->codel_interval_ns);
}

static struct bh_error *read_queue(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, void *target)
{
	static const struct bh_scenario_field fields[] = {
		{"frames", read_queue_frames},	 {"bytes", read_queue_bytes},
		{"discipline", read_discipline}, {"full", read_full},
		{"target", read_target},	 {"interval", read_interval},
	};

	if (value->kind != BH_YAML_MAPPING)
		return read_queue_frames(reader, value, target);
	return bh_scenario_read_mapping(reader, value, "a queue", fields, COUNT_OF(fields), target);
}

const struct bh_scenario_field bh_scenario_property_fields[BH_SCENARIO_PROPERTY_COUNT] = {
	{"delay", read_delay},
	{"jitter", read_jitter},
	{"jitter_reorders", read_jitter_reorders},
	{"rate", read_rate},
	{"loss", read_loss},
	{"duplicate", read_duplicate},
	{"reorder", read_reorder},
	{"corrupt", read_corrupt},
	{"queue", read_queue},
};

struct bh_error *bh_scenario_read_properties(struct bh_scenario_reader *reader,
					     const struct bh_yaml_node *node, const char *what,
					     const struct bh_scenario_field *others,
					     size_t other_count, struct bh_scenario_link_target *to)
{
	struct bh_scenario_field fields[BH_SCENARIO_PROPERTY_COUNT + BH_SCENARIO_OTHERS_MAX];

	if (other_count > 0)
		memcpy(fields, others, other_count * sizeof(*fields));
	memcpy(fields + other_count, bh_scenario_property_fields,
	       sizeof(bh_scenario_property_fields));
	return bh_scenario_read_mapping(reader, node, what, fields,
					other_count + BH_SCENARIO_PROPERTY_COUNT, to);
}

struct bh_error *bh_scenario_check_properties(const struct bh_scenario_reader *reader,
					      const struct bh_yaml_node *node,
					      const struct bh_link_properties *properties)
{
	if (properties->jitter_ns > properties->delay_ns)
		return bh_scenario_error(reader, node,
					 "jitter is more than the delay, and no frame arrives "
					 "before it is sent; give a larger delay");
	if (properties->reorder_ppb > 0 && properties->delay_ns == 0)
		return bh_scenario_error(reader, node,
					 "without a delay no frame can be overtaken; give a delay "
					 "along with reorder");
	if (properties->is_queue_held && properties->discipline == BH_QUEUE_DROP_HEAD)
		return bh_scenario_error(
			reader, node,
			"a queue that holds its device loses nothing, so drop-head "
			"has no meaning with full: hold");
	if (properties->codel_interval_ns == 0)
		return bh_scenario_error(reader, node,
					 "an interval of 0 isn't CoDel; the usual "
					 "one is 100ms");
	return NULL;
}

/* --- endpoints --- */

struct bh_error *bh_scenario_unknown_node(const struct bh_scenario_reader *reader,
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

/* "node:device" belongs to the end that was read last. The table keeps the name by reference. */
static struct bh_error *claim_endpoint(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value, const char *name)
{
	size_t number = bh_name_table_find(&reader->endpoints, name);

	if (number != BH_NAME_ABSENT)
		return bh_scenario_error(
			reader, value, "\"%.80s\" is already an end of the %s on line %u", name,
			number < reader->scenario->link_count * 2 ? "link" : "segment",
			reader->end_lines[number]);
	if (bh_name_table_add(&reader->endpoints, name, reader->end_count) < 0)
		return out_of_memory();
	unsigned int *line =
		bh_scenario_grow((void **)&reader->end_lines, &reader->end_count, sizeof(*line));

	if (!line)
		return out_of_memory();
	*line = reader->owner_line;
	return NULL;
}

static struct bh_error *set_device(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, const char *device,
				   struct bh_scenario_link_end *end)
{
	if (!is_device_name(device))
		return bh_scenario_error(
			reader, value,
			"\"%.40s\" can't be the name of a device; write one such as \"eth0\"",
			device);
	memcpy(end->device, device, strlen(device) + 1);
	return NULL;
}

static struct bh_error *set_node(struct bh_scenario_reader *reader,
				 const struct bh_yaml_node *value, const char *name,
				 struct bh_scenario_link_end *end)
{
	size_t node = bh_name_table_find(&reader->nodes, name);

	if (node == BH_NAME_ABSENT)
		return bh_scenario_unknown_node(reader, value, name);
	end->node = (uint32_t)node;
	return NULL;
}

/* "h1:eth0" */
static struct bh_error *read_endpoint_word(struct bh_scenario_reader *reader,
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
	BH_TRY(set_node(reader, value, name, end));
	BH_TRY(set_device(reader, value, colon + 1, end));
	return claim_endpoint(reader, value, value->text);
}

static struct bh_error *read_end_node(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value, void *target)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, "node"));
	return set_node(reader, value, value->text, target_of(target)->end);
}

static struct bh_error *read_end_interface(struct bh_scenario_reader *reader,
					   const struct bh_yaml_node *value, void *target)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, "interface"));
	return set_device(reader, value, value->text, target_of(target)->end);
}

static struct bh_error *read_end_mac(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_link_end *end = target_of(target)->end;
	static const unsigned char none[6];
	int length = -1;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "mac"));
	int count = sscanf(value->text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &end->mac[0],
			   &end->mac[1], &end->mac[2], &end->mac[3], &end->mac[4], &end->mac[5],
			   &length);

	if (count != 6 || length != 17 || value->text[17])
		return bh_scenario_error(reader, value,
					 "\"%.40s\" is no MAC address; write one such as "
					 "\"02:00:00:00:00:01\", in quotes",
					 value->text);
	if (end->mac[0] & 1 || memcmp(end->mac, none, sizeof(none)) == 0)
		return bh_scenario_error(
			reader, value, "\"%.40s\" can't be the address of one device: it %s",
			value->text, end->mac[0] & 1 ? "is that of a group" : "is all zeros");
	end->has_mac = 1;
	return NULL;
}

/* What a device of a segment is sent may differ from what it sends. */
static struct bh_error *read_receives(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_link_end *end = target_of(target)->end;
	struct bh_scenario_link_target to = {.properties = &end->receives, .end = end};

	BH_TRY(bh_scenario_read_properties(reader, value, "receives", NULL, 0, &to));
	return bh_scenario_check_properties(reader, value, &end->receives);
}

/* {node: h1, interface: eth0, mac: …, delay: …} */
static struct bh_error *read_endpoint_mapping(struct bh_scenario_reader *reader,
					      const struct bh_yaml_node *value, int is_on_segment,
					      struct bh_scenario_link_end *end)
{
	static const struct bh_scenario_field fields[] = {{"node", read_end_node},
							  {"interface", read_end_interface},
							  {"mac", read_end_mac},
							  {"receives", read_nothing}};
	struct bh_scenario_link_target to = {.properties = &end->sends, .end = end};
	const struct bh_yaml_node *receives = bh_scenario_find_key(value, "receives");
	char *name = NULL;

	BH_TRY(bh_scenario_read_properties(reader, value, "an endpoint", fields,
					   COUNT_OF(fields) - !is_on_segment, &to));
	if (!bh_scenario_find_key(value, "node") || !end->device[0])
		return bh_scenario_error(reader, value,
					 "the endpoint names no node and interface; write {node: "
					 "h1, interface: eth0}");
	BH_TRY(bh_scenario_check_properties(reader, value, &end->sends));
	end->receives = end->sends;
	if (receives)
		BH_TRY(read_receives(reader, receives, &to));
	BH_TRY(bh_scenario_charge(reader, value, 96));
	if (asprintf(&name, "%s:%s", reader->scenario->nodes[end->node].name, end->device) < 0)
		return out_of_memory();
	char **kept = bh_scenario_grow((void **)&reader->end_names, &reader->end_name_count,
				       sizeof(*kept));

	if (!kept) {
		free(name);
		return out_of_memory();
	}
	*kept = name;
	return claim_endpoint(reader, value, name);
}

static struct bh_error *read_endpoint(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value, int is_on_segment,
				      const struct bh_link_properties *properties,
				      struct bh_scenario_link_end *end)
{
	end->line = value->line;
	end->column = value->column;
	end->sends = end->receives = *properties;
	if (value->kind == BH_YAML_MAPPING)
		return read_endpoint_mapping(reader, value, is_on_segment, end);
	return read_endpoint_word(reader, value, end);
}

/* --- links --- */

static struct bh_error *read_mtu(struct bh_scenario_reader *reader,
				 const struct bh_yaml_node *value, void *target)
{
	uint64_t mtu;

	/* ETH_MIN_MTU, and ETH_MAX_MTU less the Ethernet header: the device's own limits. */
	BH_TRY(bh_scenario_read_integer(reader, value, "mtu", 68, 65521, &mtu));
	*target_of(target)->mtu = (uint32_t)mtu;
	return NULL;
}

static struct bh_error *read_link(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, struct bh_scenario_link *link)
{
	static const struct bh_scenario_field fields[] = {{"endpoints", read_nothing},
							  {"mtu", read_mtu}};
	struct bh_link_properties properties = bh_link_properties_default();
	struct bh_scenario_link_target to = {.properties = &properties, .mtu = &link->mtu};
	const struct bh_yaml_node *endpoints = bh_scenario_find_key(value, "endpoints");

	reader->owner_line = link->line = value->line;
	link->mtu = MTU_DEFAULT;
	BH_TRY(bh_scenario_read_properties(reader, value, "a link", fields, COUNT_OF(fields), &to));
	BH_TRY(bh_scenario_check_properties(reader, value, &properties));
	if (!endpoints)
		return bh_scenario_error(reader, value,
					 "the link has no endpoints; write endpoints: "
					 "[\"h1:eth0\", \"h2:eth0\"]");
	BH_TRY(bh_scenario_expect_sequence(reader, endpoints, "endpoints"));
	if (endpoints->child_count != 2)
		return bh_scenario_error(reader, endpoints, "a link has 2 endpoints, not %zu%s",
					 endpoints->child_count,
					 endpoints->child_count > 2
						 ? "; more than two devices share a segment"
						 : "");
	for (size_t side = 0; side < 2; side++)
		BH_TRY(read_endpoint(reader, endpoints->children[side], 0, &properties,
				     &link->end[side]));
	return NULL;
}

struct bh_error *bh_scenario_read_links(struct bh_scenario_reader *reader,
					const struct bh_yaml_node *value)
{
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
		BH_TRY(read_link(reader, value->children[i], link));
	}
	return NULL;
}

/* --- segments --- */

static struct bh_error *read_kind(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	/* In the order of enum bh_segment_kind. */
	static const char *const words[] = {"switch", "hub"};
	size_t index = 0;

	BH_TRY(read_word(reader, value, "kind", words, COUNT_OF(words), &index));
	target_of(target)->segment->kind = (enum bh_segment_kind)index;
	return NULL;
}

static struct bh_error *read_ageing(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_segment *segment = target_of(target)->segment;

	return read_duration(reader, value, "ageing", &segment->ageing_ns);
}

static struct bh_error *read_segment(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value,
				     struct bh_scenario_segment *segment)
{
	static const struct bh_scenario_field fields[] = {{"endpoints", read_nothing},
							  {"mtu", read_mtu},
							  {"kind", read_kind},
							  {"ageing", read_ageing}};
	struct bh_link_properties properties = bh_link_properties_default();
	struct bh_scenario_link_target to = {
		.properties = &properties, .mtu = &segment->mtu, .segment = segment};
	const struct bh_yaml_node *endpoints = bh_scenario_find_key(value, "endpoints");

	reader->owner_line = segment->line = value->line;
	segment->mtu = MTU_DEFAULT;
	segment->ageing_ns = AGEING_NS_DEFAULT;
	BH_TRY(bh_scenario_read_properties(reader, value, "a segment", fields, COUNT_OF(fields),
					   &to));
	BH_TRY(bh_scenario_check_properties(reader, value, &properties));
	if (!endpoints)
		return bh_scenario_error(reader, value,
					 "the segment has no endpoints; write endpoints: "
					 "[\"h1:eth0\", \"h2:eth0\", \"h3:eth0\"]");
	BH_TRY(bh_scenario_expect_sequence(reader, endpoints, "endpoints"));
	if (endpoints->child_count == 0)
		return bh_scenario_error(reader, endpoints, "a segment has at least 1 endpoint");
	for (size_t i = 0; i < endpoints->child_count; i++) {
		BH_TRY(bh_scenario_charge(reader, endpoints, sizeof(*segment->ends)));
		struct bh_scenario_link_end *end = bh_scenario_grow(
			(void **)&segment->ends, &segment->end_count, sizeof(*end));

		if (!end)
			return out_of_memory();
		BH_TRY(read_endpoint(reader, endpoints->children[i], 1, &properties, end));
	}
	return NULL;
}

struct bh_error *bh_scenario_read_segments(struct bh_scenario_reader *reader,
					   const struct bh_yaml_node *value)
{
	struct bh_scenario *scenario = reader->scenario;

	if (value->kind != BH_YAML_MAPPING)
		return bh_scenario_error(reader, value,
					 "segments wants a mapping of names, such as {lan: "
					 "{endpoints: [\"h1:eth0\", \"h2:eth0\"]}}");
	if (value->child_count / 2 > BH_SCENARIO_LINKS_MAX)
		return bh_scenario_error(reader, value, "%zu segments are too many; the most is %u",
					 value->child_count / 2, BH_SCENARIO_LINKS_MAX);
	for (size_t i = 0; i < value->child_count; i += 2) {
		const struct bh_yaml_node *name = value->children[i];

		if (!*name->text || strlen(name->text) > 63 || strpbrk(name->text, ": \t\n"))
			return bh_scenario_error(reader, name,
						 "\"%.80s\" can't be the name of a segment: 1 to "
						 "63 bytes without blanks and colons",
						 name->text);
		struct bh_scenario_segment *segment = bh_scenario_grow(
			(void **)&scenario->segments, &scenario->segment_count, sizeof(*segment));

		if (!segment)
			return out_of_memory();
		BH_TRY(bh_scenario_read_text(reader, name, "the name", &segment->name));
		BH_TRY(read_segment(reader, value->children[i + 1], segment));
	}
	return NULL;
}

/* All ends by their number. */
static struct bh_error *collect_ends(struct bh_scenario_reader *reader)
{
	const struct bh_scenario *scenario = reader->scenario;
	size_t count = 0;

	reader->ends = calloc(reader->end_count + 1, sizeof(*reader->ends));
	if (!reader->ends)
		return out_of_memory();
	for (size_t i = 0; i < scenario->link_count * 2; i++)
		reader->ends[count++] = &scenario->links[i / 2].end[i % 2];
	for (size_t i = 0; i < scenario->segment_count; i++)
		for (size_t port = 0; port < scenario->segments[i].end_count; port++)
			reader->ends[count++] = &scenario->segments[i].ends[port];
	assert(count == reader->end_count);
	return NULL;
}

struct bh_error *bh_scenario_check_devices(struct bh_scenario_reader *reader)
{
	const struct bh_scenario *scenario = reader->scenario;
	unsigned int *counts = calloc(scenario->node_count + 1, sizeof(*counts));
	struct bh_error *error = counts ? collect_ends(reader) : out_of_memory();

	for (size_t i = 0; !error && i < reader->end_count; i++) {
		const struct bh_scenario_link_end *end = reader->ends[i];

		if (++counts[end->node] > DEVICES_PER_NODE_MAX)
			error = bh_yaml_error(reader->filename, end->line, end->column,
					      "node \"%s\" has more than %u devices",
					      scenario->nodes[end->node].name,
					      DEVICES_PER_NODE_MAX);
	}
	free(counts);
	return error;
}
