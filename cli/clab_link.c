/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links of containerlab: see clab_internal.h. A bridge becomes a segment, with the ends that its
 * links have at nodes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/clab_internal.h"

#define DEVICE_LENGTH 15u

struct end {
	const struct bh_yaml_node *place;
	char node[80], device[80];
	const char *mac; /* or NULL */
};

/* --- ends --- */

/* "ethernet-1/1" is no name for a Linux device; containerlab itself calls that one e1-1. */
static void fit_device(struct bh_clab *clab, struct end *end)
{
	char fitted[80];
	size_t length = 0;
	const char *from = end->device;

	if (strncmp(from, "ethernet-", 9) == 0) {
		fitted[length++] = 'e';
		from += 9;
	}
	for (; *from && length < DEVICE_LENGTH; from++)
		fitted[length++] = strchr("/: \t", *from) ? '-' : *from;
	fitted[length] = '\0';
	if (strcmp(fitted, end->device) == 0)
		return;
	bh_clab_note(clab, end->place, NULL,
		     "\"%.40s\" can't be the name of a device, so it becomes \"%s\"", end->device,
		     fitted);
	strcpy(end->device, fitted);
}

/* "node:device" or {node: , interface: , mac: }. Returns 0 after a note. */
static int read_end(struct bh_clab *clab, const struct bh_yaml_node *value, struct end *end_ret)
{
	const char *text = bh_clab_text(value), *colon = text ? strchr(text, ':') : NULL;
	const char *node = NULL, *device = NULL;
	size_t node_length;

	memset(end_ret, 0, sizeof(*end_ret));
	end_ret->place = value;
	if (colon) {
		node = text;
		node_length = (size_t)(colon - text);
		device = colon + 1;
	} else if (value->kind == BH_YAML_MAPPING) {
		const struct bh_yaml_node *mac = bh_yaml_find(value, "mac");

		node = bh_clab_text(bh_yaml_find(value, "node"));
		device = bh_clab_text(bh_yaml_find(value, "interface"));
		node_length = node ? strlen(node) : 0;
		end_ret->mac = mac ? bh_clab_text(mac) : NULL;
	}
	if (!node || !device || !*device || node_length >= sizeof(end_ret->node) ||
	    strlen(device) >= sizeof(end_ret->device)) {
		bh_clab_note(clab, value, NULL,
			     "this is no endpoint such as \"node:eth1\"; its link is left out");
		return 0;
	}
	memcpy(end_ret->node, node, node_length);
	strcpy(end_ret->device, device);
	fit_device(clab, end_ret);
	return 1;
}

static void add_end(struct bh_text *text, const struct bh_clab_node *node, const struct end *end)
{
	char name[160];

	if (end->mac) {
		bh_text_add(text, "{node: ");
		bh_text_add_quoted(text, node->name);
		bh_text_add(text, ", interface: ");
		bh_text_add_quoted(text, end->device);
		bh_text_add(text, ", mac: ");
		bh_text_add_quoted(text, end->mac);
		bh_text_add(text, "}");
		return;
	}
	snprintf(name, sizeof(name), "%s:%s", node->name, end->device);
	bh_text_add_quoted(text, name);
}

/* --- links --- */

static void note_keys(struct bh_clab *clab, const struct bh_yaml_node *link)
{
	for (size_t i = 0; i < link->child_count; i += 2) {
		const struct bh_yaml_node *key = link->children[i];

		if (strcmp(key->text, "endpoints") != 0 && strcmp(key->text, "mtu") != 0 &&
		    strcmp(key->text, "type") != 0)
			bh_clab_note(clab, key, NULL, "\"%.40s\" of a link has no counterpart",
				     key->text);
	}
}

static void connect_nodes(struct bh_clab *clab, const struct bh_yaml_node *link,
			  const struct end ends[2], struct bh_clab_node *const nodes[2])
{
	const struct bh_yaml_node *mtu = bh_yaml_find(link, "mtu");
	struct bh_text *text = &clab->links;

	if (nodes[0]->is_bridge && nodes[1]->is_bridge) {
		bh_clab_note(clab, link, NULL,
			     "a link between two bridges has no counterpart: make them one, or put "
			     "a node with a bridge device between them");
		return;
	}
	for (int i = 0; i < 2; i++) {
		if (!nodes[i]->is_bridge)
			continue;
		struct bh_clab_node *bridge = nodes[i];

		bh_text_add(&bridge->ends, bridge->ends.length ? ", " : "");
		add_end(&bridge->ends, nodes[1 - i], &ends[1 - i]);
		bridge->end_count++;
		return;
	}
	bh_text_add(text, "    - {endpoints: [");
	add_end(text, nodes[0], &ends[0]);
	bh_text_add(text, ", ");
	add_end(text, nodes[1], &ends[1]);
	bh_text_add(text, "]");
	if (mtu && bh_clab_text(mtu))
		bh_text_add(text, ", mtu: %s", bh_clab_text(mtu));
	bh_text_add(text, "}\n");
}

static void read_link(struct bh_clab *clab, const struct bh_yaml_node *link)
{
	const struct bh_yaml_node *type = bh_yaml_find(link, "type");
	const struct bh_yaml_node *endpoints = bh_yaml_find(link, "endpoints");
	struct bh_clab_node *nodes[2];
	struct end ends[2];

	if (type && bh_clab_text(type) && strcmp(bh_clab_text(type), "veth") != 0) {
		bh_clab_note(clab, type, NULL,
			     "a link of the type \"%.20s\" leads out of the topology and has no "
			     "counterpart; it is left out",
			     bh_clab_text(type));
		return;
	}
	if (!endpoints || endpoints->kind != BH_YAML_SEQUENCE || endpoints->child_count != 2) {
		bh_clab_note(clab, link, NULL, "a link has two endpoints; this one is left out");
		return;
	}
	note_keys(clab, link);
	for (int i = 0; i < 2; i++) {
		if (!read_end(clab, endpoints->children[i], &ends[i]))
			return;
		nodes[i] = bh_clab_find(clab, ends[i].node);
		if (!nodes[i]) {
			bh_clab_note(clab, endpoints->children[i], NULL,
				     "\"%.40s\" is no node of the topology: a link that leads out "
				     "of it is left out",
				     ends[i].node);
			return;
		}
	}
	connect_nodes(clab, link, ends, nodes);
}

struct bh_error *bh_clab_read_links(struct bh_clab *clab)
{
	const struct bh_yaml_node *links = bh_yaml_find(clab->topology, "links");

	if (!links || links->is_null)
		return NULL;
	if (links->kind != BH_YAML_SEQUENCE)
		return bh_yaml_error(clab->filename, links->line, links->column,
				     "links wants a list");
	for (size_t i = 0; i < links->child_count; i++) {
		if (links->children[i]->kind == BH_YAML_MAPPING)
			read_link(clab, links->children[i]);
		else
			bh_clab_note(clab, links->children[i], NULL,
				     "a link wants a mapping with endpoints; this one is left out");
	}
	return NULL;
}
