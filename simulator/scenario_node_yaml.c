/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The nodes of a scenario, from YAML: see scenario_reader.h; what runs on them is in
 * scenario_process_yaml.c. */
#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "simulator/scenario_reader.h"
#include "simulator/units.h"

#define COUNT_OF(array)	 (sizeof(array) / sizeof((array)[0]))
#define KERNEL_DEFAULT	 "6.1"
#define KERNEL_PATH_MAX	 1024
#define RAM_BYTES_MIN	 (16ull << 20)
#define RAM_BYTES_MAX	 (2ull << 30)
#define COMMAND_LINE_MAX 1024u
#define SYSCTL_BYTES_MAX 200u

#define WORDS_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define WORDS_DIGITS  "0123456789"

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

static int has_control_character(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return 1;
	return 0;
}

/* --- nodes --- */

static struct bh_error *check_kernel(const struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value)
{
	const char *text = value->text;
	size_t length = strlen(text);

	/* A name becomes a part of a path. */
	if (length > 0 && length < 32 && text[0] != '.' &&
	    strspn(text, WORDS_LETTERS WORDS_DIGITS "._+-") == length)
		return NULL;
	if (strchr(text, '/') && length < KERNEL_PATH_MAX && !has_control_character(text))
		return NULL;
	return bh_scenario_error(
		reader, value,
		"\"%.40s\" is no kernel version; write one such as \"6.1\", or the "
		"path of a kernel image",
		text);
}

static struct bh_error *read_ram_bytes(const struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value, uint64_t *ram_bytes_ret)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, "ram"));
	BH_TRY(bh_scenario_error_at(reader, value, bh_parse_size(value->text, ram_bytes_ret)));
	if (*ram_bytes_ret >= RAM_BYTES_MIN && *ram_bytes_ret <= RAM_BYTES_MAX)
		return NULL;
	return bh_scenario_error(reader, value, "a node has 16MiB to 2GiB of ram, not \"%.40s\"",
				 value->text);
}

static struct bh_error *check_command_line(const struct bh_scenario_reader *reader,
					   const struct bh_yaml_node *value)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, "cmdline"));
	if (strlen(value->text) > COMMAND_LINE_MAX)
		return bh_scenario_error(reader, value, "cmdline has more than %u bytes",
					 COMMAND_LINE_MAX);
	if (has_control_character(value->text))
		return bh_scenario_error(reader, value, "cmdline must be one line");
	return NULL;
}

static struct bh_error *read_default_kernel(struct bh_scenario_reader *reader,
					    const struct bh_yaml_node *value, void *target)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, "kernel"));
	reader->default_kernel = value->text;
	return check_kernel(reader, value);
}

static struct bh_error *read_default_ram(struct bh_scenario_reader *reader,
					 const struct bh_yaml_node *value, void *target)
{
	return read_ram_bytes(reader, value, &reader->default_ram_bytes);
}

static struct bh_error *read_default_command_line(struct bh_scenario_reader *reader,
						  const struct bh_yaml_node *value, void *target)
{
	reader->default_command_line = value->text;
	return check_command_line(reader, value);
}

static struct bh_error *read_default_cpu(struct bh_scenario_reader *reader,
					 const struct bh_yaml_node *value, void *target)
{
	return bh_scenario_read_cpu(reader, value, &reader->default_cpu);
}

struct bh_error *bh_scenario_read_defaults(struct bh_scenario_reader *reader,
					   const struct bh_yaml_node *node)
{
	static const struct bh_scenario_field fields[] = {
		{"kernel", read_default_kernel},
		{"ram", read_default_ram},
		{"cmdline", read_default_command_line},
		{"cpu", read_default_cpu},
	};

	return bh_scenario_read_mapping(reader, node, "defaults", fields, COUNT_OF(fields), NULL);
}

static struct bh_error *read_kernel(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_node *node = target;

	BH_TRY(bh_scenario_read_text(reader, value, "kernel", &node->kernel));
	return check_kernel(reader, value);
}

static struct bh_error *read_cpu(struct bh_scenario_reader *reader,
				 const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_node *node = target;

	return bh_scenario_read_cpu(reader, value, &node->cpu);
}

static struct bh_error *read_start(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_node *node = target;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "start_time"));
	BH_TRY(bh_scenario_error_at(reader, value,
				    bh_parse_duration(value->text, &node->start_ns)));
	if (node->start_ns >= reader->scenario->stop_ns && reader->scenario->stop_ns > 0)
		return bh_scenario_error(reader, value,
					 "the node would boot at or after the end of the run; see "
					 "general: stop_time");
	return NULL;
}

static struct bh_error *read_ram(struct bh_scenario_reader *reader,
				 const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_node *node = target;

	return read_ram_bytes(reader, value, &node->ram_bytes);
}

static struct bh_error *read_command_line(struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_node *node = target;

	BH_TRY(bh_scenario_read_text(reader, value, "cmdline", &node->command_line));
	return check_command_line(reader, value);
}

static struct bh_error *check_sysctl(const struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *key,
				     const struct bh_yaml_node *value)
{
	size_t length = strlen(key->text);

	if (length == 0 || length > SYSCTL_BYTES_MAX || strstr(key->text, "..") ||
	    strchr("./", key->text[0]) || strchr("./", key->text[length - 1]) ||
	    strspn(key->text, WORDS_LETTERS WORDS_DIGITS "._-/") != length)
		return bh_scenario_error(reader, key,
					 "\"%.40s\" can't be a sysctl; write one such as "
					 "net.ipv4.ip_forward",
					 key->text);
	BH_TRY(bh_scenario_expect_scalar(reader, value, key->text));
	if (strlen(value->text) > SYSCTL_BYTES_MAX || !*value->text ||
	    has_control_character(value->text) || strchr(value->text, '"'))
		return bh_scenario_error(
			reader, value,
			"the value of a sysctl is one line of 1 to %u bytes without "
			"quotes",
			SYSCTL_BYTES_MAX);
	return NULL;
}

static struct bh_error *read_sysctls(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_node *node = target;

	if (value->kind != BH_YAML_MAPPING)
		return bh_scenario_error(
			reader, value, "sysctls wants a mapping such as {net.ipv4.ip_forward: 1}");
	for (size_t i = 0; i < value->child_count; i += 2) {
		BH_TRY(check_sysctl(reader, value->children[i], value->children[i + 1]));
		struct bh_sysctl *sysctl = bh_scenario_grow((void **)&node->sysctls,
							    &node->sysctl_count, sizeof(*sysctl));

		if (!sysctl)
			return out_of_memory();
		BH_TRY(bh_scenario_read_text(reader, value->children[i], "a sysctl", &sysctl->key));
		BH_TRY(bh_scenario_read_text(reader, value->children[i + 1], "a sysctl",
					     &sysctl->value));
	}
	return NULL;
}

/* --- binds --- */

static struct bh_error *check_node_path(const struct bh_scenario_reader *reader,
					const struct bh_yaml_node *value, const char *path)
{
	static const char *const kernels[] = {"/proc", "/sys", "/dev"};
	size_t length = strlen(path);

	if (path[0] != '/' || length < 2 || path[length - 1] == '/' || strstr(path, "//") ||
	    strstr(path, "/./") || strstr(path, "/../") ||
	    (length > 1 && strcmp(path + length - 2, "/.") == 0) ||
	    (length > 2 && strcmp(path + length - 3, "/..") == 0))
		return bh_scenario_error(reader, value,
					 "\"%.80s\" is no place for a bind; write an absolute path "
					 "below /, without dots, double or final slashes",
					 path);
	for (size_t i = 0; i < COUNT_OF(kernels); i++)
		if (strncmp(path, kernels[i], strlen(kernels[i])) == 0 &&
		    (!path[strlen(kernels[i])] || path[strlen(kernels[i])] == '/'))
			return bh_scenario_error(
				reader, value,
				"nothing can be bound to \"%.80s\", because %s is the "
				"node's kernel's own",
				path, kernels[i]);
	return NULL;
}

/* HOST:NODE, HOST:NODE:ro or HOST:NODE:rw. HOST may have colons. */
static struct bh_error *split_bind(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, struct bh_scenario_bind *bind)
{
	char *separator = NULL;
	size_t length;

	BH_TRY(bh_scenario_read_text(reader, value, "a bind", &bind->host_path));
	length = strlen(bind->host_path);
	if (length > 3 && bind->host_path[length - 3] == ':' &&
	    (strcmp(bind->host_path + length - 2, "ro") == 0 ||
	     strcmp(bind->host_path + length - 2, "rw") == 0)) {
		bind->is_read_only = bind->host_path[length - 1] == 'o';
		bind->host_path[length - 3] = '\0';
	}
	separator = strrchr(bind->host_path, ':');
	if (!separator || separator == bind->host_path || has_control_character(bind->host_path))
		return bh_scenario_error(
			reader, value,
			"\"%.80s\" is no bind; write HOST-PATH:NODE-PATH, and :ro behind "
			"it if programs mustn't change it",
			value->text);
	*separator = '\0';
	bind->node_path = strdup(separator + 1);
	return bind->node_path ? check_node_path(reader, value, bind->node_path) : out_of_memory();
}

static struct bh_error *read_binds(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, void *target)
{
	struct bh_scenario_node *node = target;

	BH_TRY(bh_scenario_expect_sequence(reader, value, "binds"));
	for (size_t i = 0; i < value->child_count; i++) {
		struct bh_scenario_bind *bind = bh_scenario_grow(
			(void **)&node->binds, &node->bind_count, sizeof(*node->binds));

		if (!bind)
			return out_of_memory();
		bind->line = value->children[i]->line;
		BH_TRY(split_bind(reader, value->children[i], bind));
		for (size_t j = 0; j + 1 < node->bind_count; j++)
			if (strcmp(node->binds[j].node_path, bind->node_path) == 0)
				return bh_scenario_error(reader, value->children[i],
							 "\"%.80s\" is bound already in line %u",
							 bind->node_path, node->binds[j].line);
	}
	return NULL;
}

/* A host's name and a folder's: letters, digits and hyphens, dots and underscores inside. */
static struct bh_error *check_node_name(const struct bh_scenario_reader *reader,
					const struct bh_yaml_node *key)
{
	size_t length = strlen(key->text);

	if (length > 0 && length < 64 &&
	    strspn(key->text, WORDS_LETTERS WORDS_DIGITS "._-") == length &&
	    !strchr("._-", key->text[0]) && !strchr("._-", key->text[length - 1]))
		return NULL;
	return bh_scenario_error(reader, key,
				 "\"%.80s\" can't be the name of a node: 1 to 63 letters, digits, "
				 "hyphens, and a letter or digit at both ends",
				 key->text);
}

static struct bh_error *fill_defaults(const struct bh_scenario_reader *reader,
				      struct bh_scenario_node *node)
{
	if (!node->kernel)
		node->kernel =
			strdup(reader->default_kernel ? reader->default_kernel : KERNEL_DEFAULT);
	if (!node->cpu.syscall_ns)
		node->cpu = reader->default_cpu;
	if (!node->cpu.syscall_ns)
		bh_scenario_cpu_default(&node->cpu);
	if (!node->ram_bytes)
		node->ram_bytes = reader->default_ram_bytes;
	if (!node->command_line && reader->default_command_line) {
		node->command_line = strdup(reader->default_command_line);
		if (!node->command_line)
			return out_of_memory();
	}
	return node->kernel ? NULL : out_of_memory();
}

static struct bh_error *read_node(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, struct bh_scenario_node *node)
{
	static const struct bh_scenario_field fields[] = {
		{"kernel", read_kernel},	{"ram", read_ram},
		{"cmdline", read_command_line}, {"cpu", read_cpu},
		{"binds", read_binds},		{"sysctls", read_sysctls},
		{"exec", read_nothing},		{"processes", read_nothing},
		{"start_time", read_start},
	};
	const struct bh_yaml_node *programs;

	/* "h1:" and nothing behind it is a node with nothing special. */
	if (value->kind == BH_YAML_SCALAR && value->is_null)
		return fill_defaults(reader, node);
	BH_TRY(bh_scenario_read_mapping(reader, value, "a node", fields, COUNT_OF(fields), node));
	programs = bh_scenario_find_key(value, "exec");
	if (programs)
		BH_TRY(bh_scenario_read_exec(reader, programs, node));
	programs = bh_scenario_find_key(value, "processes");
	if (programs)
		BH_TRY(bh_scenario_read_processes(reader, programs, node));
	return fill_defaults(reader, node);
}

struct bh_error *bh_scenario_read_nodes(struct bh_scenario_reader *reader,
					const struct bh_yaml_node *value)
{
	struct bh_scenario *scenario = reader->scenario;

	if (value->kind != BH_YAML_MAPPING || value->child_count == 0)
		return bh_scenario_error(reader, value,
					 "nodes wants a mapping with at least one node, such as "
					 "{h1: {}}");
	if (value->child_count / 2 > BH_SCENARIO_NODES_MAX)
		return bh_scenario_error(reader, value, "%zu nodes are too many; the most is %u",
					 value->child_count / 2, BH_SCENARIO_NODES_MAX);
	for (size_t i = 0; i < value->child_count; i += 2) {
		const struct bh_yaml_node *key = value->children[i];

		BH_TRY(check_node_name(reader, key));
		struct bh_scenario_node *node = bh_scenario_grow(
			(void **)&scenario->nodes, &scenario->node_count, sizeof(*node));

		if (!node)
			return out_of_memory();
		node->line = key->line;
		BH_TRY(bh_scenario_read_text(reader, key, "the name of a node", &node->name));
		if (bh_name_table_add(&reader->nodes, node->name, i / 2) < 0)
			return out_of_memory();
		BH_TRY(read_node(reader, value->children[i + 1], node));
	}
	return NULL;
}
