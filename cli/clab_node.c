/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes of containerlab: see clab_internal.h. Settings come from the node, its group, its kind and
 * the defaults: mappings are merged (the more specific wins), exec lines are run from the least
 * specific on, of anything else the most specific counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/clab_internal.h"
#include "simulator/units.h"

#define LEVELS	      4
#define RAM_BYTES_MIN (16ull << 20)
#define RAM_BYTES_MAX (2ull << 30)
/* Letters of a line that need no quotes. */
#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+,:@%=-"

/* What a key has instead; NULL: it is translated, or only for looks. */
static const struct {
	const char *key, *sentence;
} without_counterpart[] = {
	{"kind", NULL},
	{"group", NULL},
	{"exec", NULL},
	{"env", NULL},
	{"sysctls", NULL},
	{"memory", NULL},
	{"cmd", NULL},
	{"entrypoint", NULL},
	{"startup-delay", NULL},
	{"user", NULL},
	{"image",
	 "an image has no counterpart: the node has this machine's files and programs, and "
	 "starts what cmd and exec say"},
	{"binds", NULL},
	{"env-files", "env-files aren't read: copy their lines into env"},
	{"ports", "published ports have no counterpart: nothing of this machine reaches a node"},
	{"publish", "published ports have no counterpart: nothing of this machine reaches a node"},
	{"mgmt-ipv4", "the management network has no counterpart: the node has no address there"},
	{"mgmt-ipv6", "the management network has no counterpart: the node has no address there"},
	{"startup-config", "a startup-config has no counterpart: write its commands as exec lines"},
	{"enforce-startup-config", "a startup-config has no counterpart"},
	{"suppress-startup-config", "a startup-config has no counterpart"},
	{"license", "a license has no counterpart, and isn't needed"},
	{"cpu", "cpu shares have no counterpart: computing takes no virtual time (see cpu in "
		"docs/scenario.md)"},
	{"cpu-set", "cpu-set has no counterpart: every node has one CPU of its own"},
	{"network-mode",
	 "network-mode has no counterpart: a node has only the devices of its links"},
	{"runtime", "runtime has no counterpart: every node is a kernel of its own"},
	{"stages", "stages have no counterpart: give processes a start_time"},
	{"wait-for", "wait-for has no counterpart: give processes a start_time"},
	{"healthcheck", "healthcheck has no counterpart: see expect in docs/scenario.md"},
	{"dns", "dns has no counterpart: the node has this machine's /etc/resolv.conf"},
	{"type", "type has no counterpart"},
	{"labels", "labels have no counterpart"},
};

static int is_key_known(const char *key, const char **sentence_ret)
{
	size_t count = sizeof(without_counterpart) / sizeof(without_counterpart[0]);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(without_counterpart[i].key, key) != 0)
			continue;
		*sentence_ret = without_counterpart[i].sentence;
		return 1;
	}
	return 0;
}

static void note_keys(struct bh_clab *clab, const struct bh_clab_node *node)
{
	for (int i = 0; i < LEVELS; i++) {
		const struct bh_yaml_node *level = node->levels[i];

		for (size_t j = 0; level && j < level->child_count; j += 2) {
			const struct bh_yaml_node *key = level->children[j];
			const char *sentence = NULL;

			if (!is_key_known(key->text, &sentence))
				bh_clab_note(clab, key, node, "\"%.40s\" has no counterpart",
					     key->text);
			else if (sentence)
				bh_clab_note(clab, key, node, "%s", sentence);
		}
	}
}

/* --- mappings --- */

/* Whether a more specific level has the key, too. */
static int is_overridden(const struct bh_clab_node *node, int level, const char *mapping,
			 const char *key)
{
	for (int i = 0; i < level; i++) {
		const struct bh_yaml_node *found =
			node->levels[i] ? bh_yaml_find(node->levels[i], mapping) : NULL;

		if (found && bh_yaml_find(found, key))
			return 1;
	}
	return 0;
}

/* Calls add for each entry of the merged mapping, the least specific level first. */
static void merge(struct bh_clab *clab, const struct bh_clab_node *node, const char *mapping,
		  void (*add)(struct bh_text *text, const char *key, const char *value),
		  struct bh_text *text)
{
	for (int i = LEVELS - 1; i >= 0; i--) {
		const struct bh_yaml_node *found =
			node->levels[i] ? bh_yaml_find(node->levels[i], mapping) : NULL;

		if (found && found->kind != BH_YAML_MAPPING && !found->is_null)
			bh_clab_note(clab, found, node, "%s wants a mapping, and is left out",
				     mapping);
		if (!found || found->kind != BH_YAML_MAPPING)
			continue;
		for (size_t j = 0; j < found->child_count; j += 2) {
			const char *key = found->children[j]->text;
			const char *value = bh_clab_text(found->children[j + 1]);

			if (!value)
				bh_clab_note(clab, found->children[j], node,
					     "%s: \"%.40s\" has no value, and is left out", mapping,
					     key);
			else if (!is_overridden(node, i, mapping, key))
				add(text, key, value);
		}
	}
}

static void add_sysctl(struct bh_text *text, const char *key, const char *value)
{
	bh_text_add(text, "        ");
	bh_text_add_quoted(text, key);
	bh_text_add(text, ": ");
	bh_text_add_quoted(text, value);
	bh_text_add(text, "\n");
}

static void add_sysctls(struct bh_clab *clab, const struct bh_clab_node *node)
{
	struct bh_text sysctls = {0};

	merge(clab, node, "sysctls", add_sysctl, &sysctls);
	bh_text_add(&clab->yaml, "      sysctls:\n");
	if (!sysctls.bytes || !strstr(sysctls.bytes, "\"net.ipv4.ip_forward\""))
		/* As the container engine sets it. */
		bh_text_add(&clab->yaml, "        net.ipv4.ip_forward: 1\n");
	if (sysctls.bytes)
		bh_text_add(&clab->yaml, "%s", sysctls.bytes);
	bh_text_free(&sysctls);
}

/* One word of a command line, quoted if it has to be. */
static void add_word(struct bh_text *to, const char *word)
{
	bh_text_add(to, to->length ? " " : "");
	if (*word && word[strspn(word, PLAIN)] == '\0') {
		bh_text_add(to, "%s", word);
		return;
	}
	bh_text_add(to, "'");
	for (; *word; word++)
		bh_text_add(to, *word == '\'' ? "'\\''" : "%c", *word);
	bh_text_add(to, "'");
}

/* "host:node", "host:node:ro,Z". Returns the part of the node in node_ret, or 0 after a note. */
static int read_bind(struct bh_clab *clab, const struct bh_clab_node *node,
		     const struct bh_yaml_node *item, char host_ret[512], char node_ret[512],
		     int *is_read_only_ret)
{
	const char *text = bh_clab_text(item), *colon = text ? strchr(text, ':') : NULL;
	size_t length = colon ? strcspn(colon + 1, ":") : 0;

	if (!colon || colon == text || colon - text >= 512 || length == 0 || length >= 512 ||
	    colon[1] != '/' || strchr("~$", text[0]) || strstr(text, "__clab")) {
		bh_clab_note(clab, item, node,
			     "a bind is a path of this machine, a colon and a path in the node, so "
			     "\"%.60s\" has no counterpart",
			     text ? text : "this one");
		return 0;
	}
	snprintf(host_ret, 512, "%.*s", (int)(colon - text), text);
	snprintf(node_ret, 512, "%.*s", (int)length, colon + 1);
	*is_read_only_ret = strstr(colon + 1 + length, "ro") != NULL;
	return 1;
}

/* Level by level, the most specific first; one place of the node is bound once. */
static void add_binds(struct bh_clab *clab, const struct bh_clab_node *node)
{
	char host[512], place[512], quoted[520];
	struct bh_text binds = {0}, places = {0};
	int is_read_only;

	for (int i = 0; i < LEVELS; i++) {
		const struct bh_yaml_node *list =
			node->levels[i] ? bh_yaml_find(node->levels[i], "binds") : NULL;

		for (size_t j = 0; list && list->kind == BH_YAML_SEQUENCE && j < list->child_count;
		     j++) {
			struct bh_text bind = {0};

			if (!read_bind(clab, node, list->children[j], host, place, &is_read_only))
				continue;
			snprintf(quoted, sizeof(quoted), "\n%s\n", place);
			if (places.bytes && strstr(places.bytes, quoted))
				continue;
			bh_text_add(&places, "%s", quoted);
			bh_text_add(&bind, "%s%s:%s%s",
				    host[0] == '/' ? "" : clab->options.path_prefix,
				    strncmp(host, "./", 2) ? host : host + 2, place,
				    is_read_only ? ":ro" : "");
			bh_text_add(&binds, "        - ");
			bh_text_add_quoted(&binds, bind.bytes ? bind.bytes : "");
			bh_text_add(&binds, "\n");
			bh_text_free(&bind);
		}
	}
	if (binds.bytes)
		bh_text_add(&clab->yaml, "      binds:\n%s", binds.bytes);
	bh_text_free(&binds);
	bh_text_free(&places);
}

static void add_variable_word(struct bh_text *text, const char *key, const char *value)
{
	struct bh_text assignment = {0};

	bh_text_add(&assignment, "%s=%s", key, value);
	if (assignment.bytes)
		add_word(text, assignment.bytes);
	bh_text_free(&assignment);
}

static void add_variable_item(struct bh_text *text, const char *key, const char *value)
{
	struct bh_text item = {0};

	bh_text_add(&item, "%s=%s", key, value);
	bh_text_add(text, text->length ? ", " : "");
	if (item.bytes)
		bh_text_add_quoted(text, item.bytes);
	bh_text_free(&item);
}

/* --- programs --- */

/*
 * A line split as containerlab does it, where quotes and backslashes mean what they mean to a shell
 * and nothing else has a meaning; and put together again so that a scenario understands the same.
 * Returns 0, or -1 for a quote that isn't closed.
 */
static int requote(struct bh_text *to, const char *line)
{
	struct bh_text word = {0};
	char quote = '\0';
	int is_word = 0;

	for (;; line++) {
		int is_blank = !quote && (!*line || strchr(" \t\n", *line));

		if (is_blank && is_word)
			add_word(to, word.bytes ? word.bytes : "");
		if (is_blank) {
			is_word = 0;
			bh_text_free(&word);
		}
		if (!*line)
			break;
		if (is_blank)
			continue;
		is_word = 1;
		if (quote ? *line == quote : *line == '\'' || *line == '"') {
			quote = quote ? '\0' : *line;
			continue;
		}
		if (*line == '\\' && line[1] && quote != '\'' &&
		    (!quote || line[1] == '"' || line[1] == '\\'))
			line++;
		bh_text_add(&word, "%c", *line);
	}
	bh_text_free(&word);
	return quote ? -1 : 0;
}

/* containerlab puts the node's name in place of this. */
static void add_with_name(struct bh_text *text, const struct bh_clab_node *node, const char *line)
{
	static const char variable[] = "__clabNodeName__";
	const char *at;

	for (; (at = strstr(line, variable)); line = at + strlen(variable))
		bh_text_add(text, "%.*s%s", (int)(at - line), line, node->name);
	bh_text_add(text, "%s", line);
}

/* The words of a line in the file. */
static void add_words(struct bh_clab *clab, const struct bh_clab_node *node,
		      const struct bh_yaml_node *item, struct bh_text *text)
{
	struct bh_text named = {0};

	add_with_name(&named, node, bh_clab_text(item));
	if (named.bytes && requote(text, named.bytes) < 0 && !clab->error)
		clab->error = bh_yaml_error(clab->filename, item->line, item->column,
					    "a quote of this line isn't closed");
	bh_text_free(&named);
}

/* A line as YAML has it, with the variables that it needs in front; lines have no shell. */
static void add_exec_line(struct bh_clab *clab, const struct bh_clab_node *node,
			  const struct bh_yaml_node *item)
{
	struct bh_text line = {0}, variables = {0};
	const char *text = bh_clab_text(item);

	if (!text) {
		bh_clab_note(clab, item, node,
			     "an exec line is one line of text; this one is left "
			     "out");
		return;
	}
	merge(clab, node, "env", add_variable_word, &variables);
	if (variables.bytes)
		bh_text_add(&line, "env %s", variables.bytes);
	add_words(clab, node, item, &line);
	bh_text_add(&clab->yaml, "        - ");
	bh_text_add_quoted(&clab->yaml, line.bytes ? line.bytes : "");
	bh_text_add(&clab->yaml, "\n");
	bh_text_free(&line);
	bh_text_free(&variables);
}

static void add_exec(struct bh_clab *clab, const struct bh_clab_node *node)
{
	int is_begun = 0;

	for (int i = LEVELS - 1; i >= 0; i--) {
		const struct bh_yaml_node *exec =
			node->levels[i] ? bh_yaml_find(node->levels[i], "exec") : NULL;

		if (!exec || exec->kind != BH_YAML_SEQUENCE)
			continue;
		for (size_t j = 0; j < exec->child_count; j++) {
			if (!is_begun)
				bh_text_add(&clab->yaml, "      exec:\n");
			is_begun = 1;
			add_exec_line(clab, node, exec->children[j]);
		}
	}
}

/* "root", "1000" or "1000:100". */
static void add_user(struct bh_clab *clab, const struct bh_clab_node *node)
{
	const struct bh_yaml_node *user = bh_clab_setting(node, "user");
	const char *text = user ? bh_clab_text(user) : NULL;
	unsigned int uid, gid = 0;
	int length = 0;

	if (!text || strcmp(text, "root") == 0)
		return;
	if ((sscanf(text, "%u%n", &uid, &length) != 1 || text[length]) &&
	    (sscanf(text, "%u:%u%n", &uid, &gid, &length) != 2 || text[length])) {
		bh_clab_note(clab, user, node,
			     "user \"%.40s\" is a name, which has no counterpart: write the number",
			     text);
		return;
	}
	if (uid || gid)
		bh_text_add(&clab->yaml, ", uid: %u, gid: %u", uid, gid);
}

static void add_start(struct bh_clab *clab, const struct bh_clab_node *node)
{
	const struct bh_yaml_node *delay = bh_clab_setting(node, "startup-delay");
	const char *text = delay ? bh_clab_text(delay) : NULL;
	uint64_t seconds;

	if (!text)
		return;
	struct bh_error *error = bh_parse_integer(text, 0, 86400, &seconds);

	if (error)
		bh_clab_note(clab, delay, node, "startup-delay: %s; it is left out",
			     error->message);
	else
		bh_text_add(&clab->yaml, ", start_time: %ss", text);
	bh_error_free(error);
}

static void add_processes(struct bh_clab *clab, const struct bh_clab_node *node)
{
	const struct bh_yaml_node *entry = bh_clab_setting(node, "entrypoint");
	const struct bh_yaml_node *command = bh_clab_setting(node, "cmd");
	const char *entry_text = entry ? bh_clab_text(entry) : NULL;
	const char *command_text = command ? bh_clab_text(command) : NULL;
	struct bh_text line = {0}, variables = {0};

	if (entry_text && *entry_text)
		add_words(clab, node, entry, &line);
	if (command_text && *command_text) {
		add_words(clab, node, command, &line);
	}
	if (line.length) {
		bh_text_add(&clab->yaml, "      processes:\n        - {command: ");
		bh_text_add_quoted(&clab->yaml, line.bytes);
		add_start(clab, node);
		add_user(clab, node);
		merge(clab, node, "env", add_variable_item, &variables);
		if (variables.length)
			bh_text_add(&clab->yaml, ", environment: [%s]", variables.bytes);
		bh_text_add(&clab->yaml, "}\n");
	}
	bh_text_free(&line);
	bh_text_free(&variables);
}

/* "512mb", "1 GB", "64Mib": as container engines read them, powers of 1024. */
static void add_memory(struct bh_clab *clab, const struct bh_clab_node *node)
{
	const struct bh_yaml_node *memory = bh_clab_setting(node, "memory");
	const char *text = memory ? bh_clab_text(memory) : NULL;
	static const char letters[] = "bkmg";
	char *end;

	if (!text)
		return;
	double value = strtod(text, &end);

	end += strspn(end, " ");
	const char *letter = *end ? strchr(letters, *end | 0x20) : NULL;
	double bytes = letter ? value * (double)(1ull << (10 * (letter - letters))) : 0;

	if (bytes < 1) {
		bh_clab_note(clab, memory, node, "memory \"%.40s\" isn't understood, and left out",
			     text);
		return;
	}
	if (bytes < (double)RAM_BYTES_MIN || bytes > (double)RAM_BYTES_MAX) {
		bh_clab_note(clab, memory, node,
			     "a node has 16MiB to 2GiB of memory, so \"%.40s\" becomes %s", text,
			     bytes < (double)RAM_BYTES_MIN ? "16MiB" : "2GiB");
		bytes = bytes < (double)RAM_BYTES_MIN ? (double)RAM_BYTES_MIN
						      : (double)RAM_BYTES_MAX;
	}
	bh_text_add(&clab->yaml, "      ram: %lluMiB\n",
		    ((unsigned long long)bytes + 1048575) / 1048576);
}

void bh_clab_add_node(struct bh_clab *clab, const struct bh_clab_node *node)
{
	if (strcmp(node->name, node->key->text) != 0)
		bh_clab_note(clab, node->key, NULL,
			     "\"%.60s\" can't be the name of a node, so it becomes \"%s\"",
			     node->key->text, node->name);
	if (strcmp(node->kind, "linux") != 0)
		bh_clab_note(clab, node->key, NULL,
			     "kind \"%.40s\" of %s has no counterpart: the node becomes a plain "
			     "Linux node, to be configured by exec lines",
			     node->kind, node->name);
	note_keys(clab, node);
	bh_text_add(&clab->yaml, "    ");
	bh_text_add_quoted(&clab->yaml, node->name);
	bh_text_add(&clab->yaml, ":\n");
	add_memory(clab, node);
	add_sysctls(clab, node);
	add_binds(clab, node);
	add_exec(clab, node);
	add_processes(clab, node);
}
