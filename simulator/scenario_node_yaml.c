/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The nodes of a scenario and what runs on them, from YAML: see scenario_reader.h. */
#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "simulator/scenario_reader.h"
#include "simulator/shell_words.h"
#include "simulator/units.h"

#define COUNT_OF(array)	       (sizeof(array) / sizeof((array)[0]))
#define KERNEL_DEFAULT	       "6.1"
#define RAM_BYTES_MIN	       (16ull << 20)
#define RAM_BYTES_MAX	       (2ull << 30)
#define COMMAND_LINE_MAX       1024u
#define SYSCTL_BYTES_MAX       200u
#define PROCESSES_PER_NODE_MAX 4096u

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

/* --- processes --- */

static struct bh_error *append_word(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *value, char ***words, size_t *count,
				    const char *word)
{
	BH_TRY(bh_scenario_charge(reader, value, strlen(word) + 2 * sizeof(void *)));
	return bh_words_append(words, count, word, strlen(word)) < 0 ? out_of_memory() : NULL;
}

static size_t words_count(char *const *words)
{
	size_t count = 0;

	while (words && words[count])
		count++;
	return count;
}

static struct bh_error *append_split(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value, char ***words)
{
	char **parts = NULL;
	size_t part_count, count = words_count(*words);

	BH_TRY(bh_scenario_error_at(reader, value,
				    bh_shell_split(value->text, &parts, &part_count)));
	struct bh_error *error = NULL;

	for (size_t i = 0; !error && i < part_count; i++)
		error = append_word(reader, value, words, &count, parts[i]);
	bh_words_free(parts);
	return error;
}

static struct bh_error *read_path(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	struct bh_process *process = target;
	size_t count = 0;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "path"));
	if (!*value->text)
		return bh_scenario_error(reader, value, "path is empty; name a program");
	if (strchr(value->text, '/') && value->text[0] != '/')
		return bh_scenario_error(reader, value,
					 "\"%.80s\" is relative; write an absolute path, or a name "
					 "that is found in PATH",
					 value->text);
	return append_word(reader, value, &process->argv, &count, value->text);
}

static struct bh_error *read_args(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, void *target)
{
	struct bh_process *process = target;

	if (value->kind == BH_YAML_SCALAR && !value->is_null)
		return append_split(reader, value, &process->argv);
	if (value->kind != BH_YAML_SEQUENCE)
		return bh_scenario_error(reader, value,
					 "args wants a line such as \"-c 3 10.0.0.1\" or a list");
	size_t count = words_count(process->argv);

	for (size_t i = 0; i < value->child_count; i++) {
		BH_TRY(bh_scenario_expect_scalar(reader, value->children[i], "an argument"));
		BH_TRY(append_word(reader, value->children[i], &process->argv, &count,
				   value->children[i]->text));
	}
	return NULL;
}

static struct bh_error *read_start_time(struct bh_scenario_reader *reader,
					const struct bh_yaml_node *value, void *target)
{
	struct bh_process *process = target;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "start_time"));
	return bh_scenario_error_at(reader, value,
				    bh_parse_duration(value->text, &process->start_ns));
}

static struct bh_error *append_variable(struct bh_scenario_reader *reader,
					const struct bh_yaml_node *value,
					struct bh_process *process, const char *name,
					const char *text)
{
	size_t length = strspn(name, WORDS_LETTERS WORDS_DIGITS "_");
	size_t count = words_count(process->environment);
	char *variable = malloc(strlen(name) + strlen(text) + 2);
	struct bh_error *error;

	if (!variable)
		return out_of_memory();
	strcpy(variable, name);
	strcat(variable, "=");
	strcat(variable, text);
	if (length == 0 || name[length] || strchr(WORDS_DIGITS, name[0]))
		error = bh_scenario_error(reader, value,
					  "\"%.40s\" can't be the name of an environment variable",
					  name);
	else
		error = append_word(reader, value, &process->environment, &count, variable);
	free(variable);
	return error;
}

static struct bh_error *read_environment_item(struct bh_scenario_reader *reader,
					      const struct bh_yaml_node *value,
					      struct bh_process *process)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, "an environment variable"));
	const char *equals = strchr(value->text, '=');

	if (!equals)
		return bh_scenario_error(reader, value, "\"%.40s\" sets nothing; write NAME=value",
					 value->text);
	char *name = strndup(value->text, (size_t)(equals - value->text));

	if (!name)
		return out_of_memory();
	struct bh_error *error = append_variable(reader, value, process, name, equals + 1);

	free(name);
	return error;
}

static struct bh_error *read_environment(struct bh_scenario_reader *reader,
					 const struct bh_yaml_node *value, void *target)
{
	struct bh_process *process = target;

	if (value->kind == BH_YAML_SCALAR)
		return bh_scenario_error(reader, value,
					 "environment wants a mapping such as {LANG: C}, or a list "
					 "of NAME=value");
	for (size_t i = 0; value->kind == BH_YAML_SEQUENCE && i < value->child_count; i++)
		BH_TRY(read_environment_item(reader, value->children[i], process));
	for (size_t i = 0; value->kind == BH_YAML_MAPPING && i < value->child_count; i += 2) {
		const struct bh_yaml_node *name = value->children[i];
		const struct bh_yaml_node *text = value->children[i + 1];

		if (text->kind != BH_YAML_SCALAR)
			BH_TRY(bh_scenario_expect_scalar(reader, text, name->text));
		BH_TRY(append_variable(reader, name, process, name->text, text->text));
	}
	return NULL;
}

static struct bh_error *read_expected_exit(struct bh_scenario_reader *reader,
					   const struct bh_yaml_node *value, void *target)
{
	struct bh_process *process = target;
	uint64_t status;

	BH_TRY(bh_scenario_read_integer(reader, value, "expected_exit", 0, 255, &status));
	process->has_expected_exit = 1;
	process->expected_exit = (int)status;
	return NULL;
}

static struct bh_error *read_expected_final_state(struct bh_scenario_reader *reader,
						  const struct bh_yaml_node *value, void *target)
{
	static const struct bh_scenario_field fields[] = {{"exited", read_expected_exit}};
	struct bh_process *process = target;

	process->has_expected_running = 1;
	if (value->kind == BH_YAML_MAPPING)
		return bh_scenario_read_mapping(reader, value, "expected_final_state", fields,
						COUNT_OF(fields), process);
	BH_TRY(bh_scenario_expect_scalar(reader, value, "expected_final_state"));
	process->expected_running = strcmp(value->text, "running") == 0;
	if (!process->expected_running && strcmp(value->text, "exited") != 0)
		return bh_scenario_error(
			reader, value,
			"unknown state \"%.40s\"; it is \"running\", \"exited\" or "
			"{exited: STATUS}",
			value->text);
	return NULL;
}

static struct bh_error *check_process(const struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value,
				      const struct bh_process *process)
{
	if (process->has_expected_running && process->expected_running &&
	    process->has_expected_exit)
		return bh_scenario_error(reader, value,
					 "the program can't end with a status and be running; give "
					 "expected_exit or expected_final_state: running");
	if (process->start_ns >= reader->scenario->stop_ns && reader->scenario->stop_ns > 0)
		return bh_scenario_error(reader, value,
					 "the program would start at or after the end of the run; "
					 "see general: stop_time");
	return NULL;
}

/* The program's name comes first in argv, wherever the document has it. */
struct bh_error *bh_scenario_read_process(struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *value,
					  struct bh_process *process)
{
	static const struct bh_scenario_field fields[] = {
		{"path", read_nothing},
		{"args", read_args},
		{"start_time", read_start_time},
		{"environment", read_environment},
		{"expected_exit", read_expected_exit},
		{"expected_final_state", read_expected_final_state},
	};
	const struct bh_yaml_node *path = bh_scenario_find_key(value, "path");

	process->line = value->line;
	if (value->kind == BH_YAML_MAPPING && !path)
		return bh_scenario_error(reader, value,
					 "the process has no path; write path: PROGRAM");
	if (path)
		BH_TRY(read_path(reader, path, process));
	BH_TRY(bh_scenario_read_mapping(reader, value, "a process", fields, COUNT_OF(fields),
					process));
	return check_process(reader, value, process);
}

static struct bh_process *add_process(struct bh_scenario_node *node)
{
	return bh_scenario_grow((void **)&node->processes, &node->process_count,
				sizeof(*node->processes));
}

static struct bh_error *check_process_count(const struct bh_scenario_reader *reader,
					    const struct bh_yaml_node *value)
{
	if (value->child_count <= PROCESSES_PER_NODE_MAX)
		return NULL;
	return bh_scenario_error(reader, value,
				 "%zu programs on a node are too many; the most is %u",
				 value->child_count, PROCESSES_PER_NODE_MAX);
}

static struct bh_error *read_processes(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value,
				       struct bh_scenario_node *node)
{
	BH_TRY(bh_scenario_expect_sequence(reader, value, "processes"));
	BH_TRY(check_process_count(reader, value));
	for (size_t i = 0; i < value->child_count; i++) {
		BH_TRY(bh_scenario_charge(reader, value, sizeof(struct bh_process)));
		struct bh_process *process = add_process(node);

		if (!process)
			return out_of_memory();
		BH_TRY(bh_scenario_read_process(reader, value->children[i], process));
	}
	return NULL;
}

static struct bh_error *read_exec(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, struct bh_scenario_node *node)
{
	BH_TRY(bh_scenario_expect_sequence(reader, value, "exec"));
	BH_TRY(check_process_count(reader, value));
	for (size_t i = 0; i < value->child_count; i++) {
		const struct bh_yaml_node *line = value->children[i];

		BH_TRY(bh_scenario_expect_scalar(reader, line, "an exec line"));
		BH_TRY(bh_scenario_charge(reader, value, sizeof(struct bh_process)));
		struct bh_process *process = add_process(node);

		if (!process)
			return out_of_memory();
		process->line = line->line;
		process->is_setup = 1;
		process->has_expected_exit = 1;
		BH_TRY(append_split(reader, line, &process->argv));
		if (!process->argv)
			return bh_scenario_error(reader, line, "the exec line is empty");
	}
	return NULL;
}

/* --- nodes --- */

static struct bh_error *check_kernel(const struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value)
{
	const char *text = value->text;
	size_t length = strlen(text);

	/* It becomes a part of a path. */
	if (length > 0 && length < 32 && text[0] != '.' &&
	    strspn(text, WORDS_LETTERS WORDS_DIGITS "._-") == length)
		return NULL;
	return bh_scenario_error(reader, value,
				 "\"%.40s\" is no kernel version; write one such as \"6.1\"", text);
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

struct bh_error *bh_scenario_read_defaults(struct bh_scenario_reader *reader,
					   const struct bh_yaml_node *node)
{
	static const struct bh_scenario_field fields[] = {
		{"kernel", read_default_kernel},
		{"ram", read_default_ram},
		{"cmdline", read_default_command_line},
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
		{"kernel", read_kernel},   {"ram", read_ram},	   {"cmdline", read_command_line},
		{"sysctls", read_sysctls}, {"exec", read_nothing}, {"processes", read_nothing},
	};
	const struct bh_yaml_node *programs;

	/* "h1:" and nothing behind it is a node with nothing special. */
	if (value->kind == BH_YAML_SCALAR && value->is_null)
		return fill_defaults(reader, node);
	BH_TRY(bh_scenario_read_mapping(reader, value, "a node", fields, COUNT_OF(fields), node));
	programs = bh_scenario_find_key(value, "exec");
	if (programs)
		BH_TRY(read_exec(reader, programs, node));
	programs = bh_scenario_find_key(value, "processes");
	if (programs)
		BH_TRY(read_processes(reader, programs, node));
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
