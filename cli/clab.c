/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of a containerlab topology as a whole: see clab.h and clab_internal.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/clab_internal.h"
#include "simulator/scenario.h"

#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

const char *bh_clab_text(const struct bh_yaml_node *node)
{
	return node && node->kind == BH_YAML_SCALAR && !node->is_null ? node->text : NULL;
}

const struct bh_yaml_node *bh_clab_setting(const struct bh_clab_node *node, const char *key)
{
	for (int i = 0; i < 4; i++) {
		const struct bh_yaml_node *found =
			node->levels[i] ? bh_yaml_find(node->levels[i], key) : NULL;

		if (found && !found->is_null)
			return found;
	}
	return NULL;
}

struct bh_clab_node *bh_clab_find(struct bh_clab *clab, const char *name)
{
	for (size_t i = 0; i < clab->node_count; i++)
		if (strcmp(clab->nodes[i].key->text, name) == 0)
			return &clab->nodes[i];
	return NULL;
}

/* --- nodes --- */

/* What a scenario's node can't have in its name becomes a hyphen. */
static void fit_name(const char *name, char fitted_ret[64])
{
	size_t length = 0;

	for (; *name && length < 63; name++) {
		char c = strchr(NAME_LETTERS "._-", *name) ? *name : '-';

		if (length > 0 || strchr(NAME_LETTERS, c))
			fitted_ret[length++] = c;
	}
	while (length > 0 && !strchr(NAME_LETTERS, fitted_ret[length - 1]))
		length--;
	fitted_ret[length] = '\0';
	if (length == 0)
		strcpy(fitted_ret, "node");
}

/* topology.kinds.NAME and the like; NULL if it isn't there. */
static const struct bh_yaml_node *find_level(const struct bh_clab *clab, const char *part,
					     const char *name)
{
	const struct bh_yaml_node *found = bh_yaml_find(clab->topology, part);

	if (found && name)
		found = bh_yaml_find(found, name);
	return found && found->kind == BH_YAML_MAPPING ? found : NULL;
}

static struct bh_error *read_node(struct bh_clab *clab, struct bh_clab_node *node,
				  const struct bh_yaml_node *key, const struct bh_yaml_node *value)
{
	node->key = key;
	fit_name(key->text, node->name);
	node->levels[0] = value->kind == BH_YAML_MAPPING ? value : NULL;
	node->levels[3] = find_level(clab, "defaults", NULL);

	const char *group = bh_clab_text(bh_clab_setting(node, "group"));

	node->levels[1] = group ? find_level(clab, "groups", group) : NULL;
	node->kind = bh_clab_text(bh_clab_setting(node, "kind"));
	if (!node->kind)
		return bh_yaml_error(clab->filename, key->line, key->column,
				     "node \"%.40s\" has no kind; write kind: linux", key->text);
	node->levels[2] = find_level(clab, "kinds", node->kind);
	node->is_bridge =
		strcmp(node->kind, "bridge") == 0 || strcmp(node->kind, "ovs-bridge") == 0;
	return NULL;
}

static struct bh_error *read_nodes(struct bh_clab *clab)
{
	const struct bh_yaml_node *nodes = bh_yaml_find(clab->topology, "nodes");

	if (!nodes || nodes->kind != BH_YAML_MAPPING || nodes->child_count == 0)
		return bh_yaml_error(clab->filename, clab->topology->line, clab->topology->column,
				     "the topology has no nodes");
	clab->nodes = calloc(nodes->child_count, sizeof(*clab->nodes));
	if (!clab->nodes)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < nodes->child_count; i += 2)
		BH_TRY(read_node(clab, &clab->nodes[clab->node_count++], nodes->children[i],
				 nodes->children[i + 1]));
	return NULL;
}

/* --- the document --- */

static void note_top_keys(struct bh_clab *clab, const struct bh_yaml_node *root)
{
	for (size_t i = 0; i < root->child_count; i += 2) {
		const struct bh_yaml_node *key = root->children[i];

		if (strcmp(key->text, "mgmt") == 0)
			bh_clab_note(clab, key, NULL,
				     "the management network has no counterpart: nodes have only "
				     "the devices of their links");
		else if (strcmp(key->text, "name") != 0 && strcmp(key->text, "topology") != 0 &&
			 strcmp(key->text, "prefix") != 0)
			bh_clab_note(clab, key, NULL, "\"%.40s\" has no counterpart", key->text);
	}
}

static void add_segments(struct bh_clab *clab)
{
	int is_begun = 0;

	for (size_t i = 0; i < clab->node_count; i++) {
		const struct bh_clab_node *node = &clab->nodes[i];

		if (!node->is_bridge)
			continue;
		if (node->end_count < 2) {
			bh_clab_note(clab, node->key, NULL,
				     "the bridge %s connects nothing, and is left out", node->name);
			continue;
		}
		bh_text_add(&clab->yaml, "%s    ", is_begun++ ? "" : "  segments:\n");
		bh_text_add_quoted(&clab->yaml, node->name);
		bh_text_add(&clab->yaml, ": {endpoints: [%s]}\n", node->ends.bytes);
	}
}

static struct bh_error *translate(struct bh_clab *clab, const struct bh_yaml_node *root)
{
	const char *name = bh_clab_text(bh_yaml_find(root, "name"));

	clab->topology = bh_yaml_find(root, "topology");
	if (!clab->topology || clab->topology->kind != BH_YAML_MAPPING)
		return bh_yaml_error(clab->filename, root->line, root->column,
				     "there is no topology: this is no file of containerlab");
	note_top_keys(clab, root);
	BH_TRY(read_nodes(clab));
	BH_TRY(bh_clab_read_links(clab));
	bh_text_add(&clab->yaml, "name: ");
	bh_text_add_quoted(&clab->yaml, name ? name : "lab");
	bh_text_add(&clab->yaml, "\ngeneral: {stop_time: %s}\ntopology:\n  nodes:\n",
		    clab->options.stop_time);
	for (size_t i = 0; i < clab->node_count; i++)
		if (!clab->nodes[i].is_bridge)
			bh_clab_add_node(clab, &clab->nodes[i]);
	if (clab->links.length)
		bh_text_add(&clab->yaml, "  links:\n%s", clab->links.bytes);
	add_segments(clab);
	if (clab->error)
		return clab->error;
	return clab->yaml.no_memory || clab->links.no_memory
		       ? bh_error_new(BH_ERR_NOMEM, "out of memory")
		       : NULL;
}

/* What came out must be a scenario; what the file has wrong shows here at the latest. */
static struct bh_error *check(const struct bh_clab *clab)
{
	struct bh_scenario *scenario;
	char name[512];

	snprintf(name, sizeof(name), "%s, as a scenario", clab->filename);
	BH_TRY(bh_scenario_parse_yaml(clab->yaml.bytes, clab->yaml.length, name, &scenario));
	bh_scenario_destroy(scenario);
	return NULL;
}

struct bh_error *bh_clab_import(const char *text, size_t length, const char *filename,
				const struct bh_clab_options *options, char **yaml_ret)
{
	struct bh_clab clab = {.filename = filename, .options = *options};
	struct bh_yaml_tree tree = {0};

	BH_TRY(bh_yaml_tree_parse(text, length, filename, &tree));
	struct bh_error *error = translate(&clab, tree.root);

	if (!error)
		error = check(&clab);
	bh_clab_notes_tell(&clab);
	for (size_t i = 0; i < clab.node_count; i++)
		bh_text_free(&clab.nodes[i].ends);
	free(clab.nodes);
	bh_text_free(&clab.links);
	bh_yaml_tree_destroy(&tree);
	if (error)
		bh_text_free(&clab.yaml);
	else
		*yaml_ret = clab.yaml.bytes;
	return error;
}
