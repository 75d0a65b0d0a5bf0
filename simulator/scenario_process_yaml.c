/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What runs on the nodes of a scenario, from YAML: see scenario_reader.h. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "simulator/scenario_reader.h"
#include "simulator/shell_words.h"
#include "simulator/units.h"

#define COUNT_OF(array)	       (sizeof(array) / sizeof((array)[0]))
#define PROCESSES_PER_NODE_MAX 4096u
#define STDIN_BYTES_MAX	       (1u << 20)
#define CPU_COST_NS_MAX	       1000000000ull

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

/* --- the command --- */

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

static struct bh_error *read_command(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value, struct bh_process *process)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, "command"));
	BH_TRY(append_split(reader, value, &process->argv));
	if (!process->argv)
		return bh_scenario_error(reader, value, "the command is empty");
	return NULL;
}

static struct bh_error *read_shell(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, struct bh_process *process)
{
	size_t count = 0;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "shell"));
	BH_TRY(append_word(reader, value, &process->argv, &count, "/bin/sh"));
	BH_TRY(append_word(reader, value, &process->argv, &count, "-c"));
	return append_word(reader, value, &process->argv, &count, value->text);
}

/* A program is named in one of three ways, wherever the document has it. */
static struct bh_error *read_program(struct bh_scenario_reader *reader,
				     const struct bh_yaml_node *value, struct bh_process *process)
{
	const struct bh_yaml_node *path = bh_scenario_find_key(value, "path");
	const struct bh_yaml_node *command = bh_scenario_find_key(value, "command");
	const struct bh_yaml_node *shell = bh_scenario_find_key(value, "shell");
	int ways = (path != NULL) + (command != NULL) + (shell != NULL);

	if (value->kind != BH_YAML_MAPPING)
		return NULL; /* whoever reads the mapping says so */
	if (ways == 0)
		return bh_scenario_error(reader, value,
					 "the process has no path; write path: PROGRAM, command: "
					 "\"PROGRAM ARGUMENTS\" or shell: \"LINE\"");
	if (ways > 1)
		return bh_scenario_error(reader, value,
					 "the process is named twice; give one of path, command "
					 "and shell");
	if (!path && bh_scenario_find_key(value, "args"))
		return bh_scenario_error(reader, bh_scenario_find_key(value, "args"),
					 "args belong to path; %s has its arguments in the line",
					 command ? "command" : "shell");
	if (command)
		return read_command(reader, command, process);
	return shell ? read_shell(reader, shell, process) : read_path(reader, path, process);
}

/* --- start, input and stop --- */

static struct bh_error *read_stdin(struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value, void *target)
{
	struct bh_process *process = target;

	BH_TRY(bh_scenario_read_text(reader, value, "stdin", &process->stdin_text));
	if (strlen(process->stdin_text) > STDIN_BYTES_MAX)
		return bh_scenario_error(reader, value, "stdin has more than %u bytes",
					 STDIN_BYTES_MAX);
	return NULL;
}

static struct bh_error *read_id(struct bh_scenario_reader *reader, const struct bh_yaml_node *value,
				const char *what, unsigned int *id_ret)
{
	uint64_t id;

	BH_TRY(bh_scenario_read_integer(reader, value, what, 0, UINT32_MAX - 1, &id));
	*id_ret = (unsigned int)id;
	return NULL;
}

static struct bh_error *read_uid(struct bh_scenario_reader *reader,
				 const struct bh_yaml_node *value, void *target)
{
	return read_id(reader, value, "uid", &((struct bh_process *)target)->uid);
}

static struct bh_error *read_gid(struct bh_scenario_reader *reader,
				 const struct bh_yaml_node *value, void *target)
{
	return read_id(reader, value, "gid", &((struct bh_process *)target)->gid);
}

/* "TERM", "SIGTERM" or "15". */
static struct bh_error *read_signal(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *value, const char *what,
				    int *signal_ret)
{
	const char *names[64], *name, *nearest;
	size_t count = 0;
	uint64_t number;

	BH_TRY(bh_scenario_expect_scalar(reader, value, what));
	if (value->text[0] && strspn(value->text, WORDS_DIGITS) == strlen(value->text)) {
		BH_TRY(bh_scenario_read_integer(reader, value, what, 1, 64, &number));
		*signal_ret = (int)number;
		return NULL;
	}
	name = strncmp(value->text, "SIG", 3) == 0 ? value->text + 3 : value->text;
	for (int signal = 1; signal < 32; signal++) {
		names[count++] = sigabbrev_np(signal);
		if (strcmp(name, names[count - 1]) == 0) {
			*signal_ret = signal;
			return NULL;
		}
	}
	nearest = bh_suggest(name, names, count);
	return bh_scenario_error(reader, value, "%s: there is no signal \"%.40s\"%s%s%s", what,
				 value->text, nearest ? "; did you mean \"" : "",
				 nearest ? nearest : "", nearest ? "\"?" : "");
}

static struct bh_error *read_stop_signal(struct bh_scenario_reader *reader,
					 const struct bh_yaml_node *value, void *target)
{
	return read_signal(reader, value, "stop_signal",
			   &((struct bh_process *)target)->stop_signal);
}

static struct bh_error *read_stop_time(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value, void *target)
{
	struct bh_process *process = target;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "stop_time"));
	return bh_scenario_error_at(reader, value,
				    bh_parse_duration(value->text, &process->stop_ns));
}

static struct bh_error *read_strace(struct bh_scenario_reader *reader,
				    const struct bh_yaml_node *value, void *target)
{
	struct bh_process *process = target;

	BH_TRY(bh_scenario_expect_scalar(reader, value, "strace"));
	process->is_traced = strcmp(value->text, "true") == 0;
	if (!process->is_traced && strcmp(value->text, "false") != 0)
		return bh_scenario_error(reader, value, "strace is true or false, not \"%.40s\"",
					 value->text);
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

/* --- environment --- */

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

/* --- the end --- */

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

static struct bh_error *read_expected_signal(struct bh_scenario_reader *reader,
					     const struct bh_yaml_node *value, void *target)
{
	return read_signal(reader, value, "signaled",
			   &((struct bh_process *)target)->expected_signal);
}

static struct bh_error *read_expected_final_state(struct bh_scenario_reader *reader,
						  const struct bh_yaml_node *value, void *target)
{
	static const struct bh_scenario_field fields[] = {
		{"exited", read_expected_exit},
		{"signaled", read_expected_signal},
	};
	struct bh_process *process = target;

	process->has_expected_running = 1;
	if (value->kind == BH_YAML_MAPPING)
		return bh_scenario_read_mapping(reader, value, "expected_final_state", fields,
						COUNT_OF(fields), process);
	BH_TRY(bh_scenario_expect_scalar(reader, value, "expected_final_state"));
	process->expected_running = strcmp(value->text, "running") == 0;
	if (!process->expected_running && strcmp(value->text, "exited") != 0)
		return bh_scenario_error(reader, value,
					 "unknown state \"%.40s\"; it is \"running\", \"exited\", "
					 "{exited: STATUS} or {signaled: SIGNAL}",
					 value->text);
	return NULL;
}

static struct bh_error *check_stop(const struct bh_scenario_reader *reader,
				   const struct bh_yaml_node *value,
				   const struct bh_process *process)
{
	const struct bh_yaml_node *time = bh_scenario_find_key(value, "stop_time");

	if (!time && bh_scenario_find_key(value, "stop_signal"))
		return bh_scenario_error(reader, bh_scenario_find_key(value, "stop_signal"),
					 "the program has no stop_time at which it would get the "
					 "signal");
	if (!time)
		return NULL;
	if (process->stop_ns <= process->start_ns)
		return bh_scenario_error(reader, time, "the program would stop before it starts");
	if (process->stop_ns >= reader->scenario->stop_ns && reader->scenario->stop_ns > 0)
		return bh_scenario_error(reader, time,
					 "the program would stop at or after the end of the run; "
					 "see general: stop_time");
	return NULL;
}

static struct bh_error *check_process(const struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value,
				      const struct bh_process *process)
{
	if ((process->has_expected_running && process->expected_running) +
		    process->has_expected_exit + (process->expected_signal != 0) >
	    1)
		return bh_scenario_error(reader, value,
					 "the program can't end in two ways; give one of "
					 "expected_exit and expected_final_state");
	if (process->start_ns >= reader->scenario->stop_ns && reader->scenario->stop_ns > 0)
		return bh_scenario_error(reader, value,
					 "the program would start at or after the end of the run; "
					 "see general: stop_time");
	return check_stop(reader, value, process);
}

struct bh_error *bh_scenario_read_process(struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *value,
					  struct bh_process *process)
{
	static const struct bh_scenario_field fields[] = {
		{"path", read_nothing},
		{"command", read_nothing},
		{"shell", read_nothing},
		{"args", read_args},
		{"start_time", read_start_time},
		{"stop_time", read_stop_time},
		{"stop_signal", read_stop_signal},
		{"stdin", read_stdin},
		{"environment", read_environment},
		{"uid", read_uid},
		{"gid", read_gid},
		{"strace", read_strace},
		{"expected_exit", read_expected_exit},
		{"expected_final_state", read_expected_final_state},
	};

	process->line = value->line;
	process->stop_signal = SIGTERM;
	BH_TRY(read_program(reader, value, process));
	BH_TRY(bh_scenario_read_mapping(reader, value, "a process", fields, COUNT_OF(fields),
					process));
	return check_process(reader, value, process);
}

/* --- the programs of a node --- */

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

struct bh_error *bh_scenario_read_processes(struct bh_scenario_reader *reader,
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

struct bh_error *bh_scenario_read_exec(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value,
				       struct bh_scenario_node *node)
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

/* --- the CPU --- */

static struct bh_error *read_cost(struct bh_scenario_reader *reader,
				  const struct bh_yaml_node *value, const char *what,
				  uint64_t minimum_ns, uint64_t *ns_ret)
{
	BH_TRY(bh_scenario_expect_scalar(reader, value, what));
	BH_TRY(bh_scenario_error_at(reader, value, bh_parse_duration(value->text, ns_ret)));
	if (*ns_ret >= minimum_ns && *ns_ret <= CPU_COST_NS_MAX)
		return NULL;
	return bh_scenario_error(reader, value, "%s is %uns to 1s, not \"%.40s\"", what,
				 (unsigned int)minimum_ns, value->text);
}

/* Without a cost a program that waits by asking would never see time pass. */
static struct bh_error *read_cpu_syscall(struct bh_scenario_reader *reader,
					 const struct bh_yaml_node *value, void *target)
{
	return read_cost(reader, value, "syscall", 1,
			 &((struct bh_scenario_cpu *)target)->syscall_ns);
}

static struct bh_error *read_cpu_kilobyte(struct bh_scenario_reader *reader,
					  const struct bh_yaml_node *value, void *target)
{
	return read_cost(reader, value, "kilobyte", 0,
			 &((struct bh_scenario_cpu *)target)->kilobyte_ns);
}

static struct bh_error *read_cpu_fork(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value, void *target)
{
	return read_cost(reader, value, "fork", 0, &((struct bh_scenario_cpu *)target)->fork_ns);
}

static struct bh_error *read_cpu_exec(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value, void *target)
{
	return read_cost(reader, value, "exec", 0, &((struct bh_scenario_cpu *)target)->exec_ns);
}

static struct bh_error *read_cpu_slice(struct bh_scenario_reader *reader,
				       const struct bh_yaml_node *value, void *target)
{
	return read_cost(reader, value, "slice", 0, &((struct bh_scenario_cpu *)target)->slice_ns);
}

void bh_scenario_cpu_default(struct bh_scenario_cpu *cpu_ret)
{
	*cpu_ret = (struct bh_scenario_cpu){.syscall_ns = 1000, .slice_ns = 64000};
}

struct bh_error *bh_scenario_read_cpu(struct bh_scenario_reader *reader,
				      const struct bh_yaml_node *value,
				      struct bh_scenario_cpu *cpu_ret)
{
	static const struct bh_scenario_field fields[] = {
		{"syscall", read_cpu_syscall}, {"kilobyte", read_cpu_kilobyte},
		{"fork", read_cpu_fork},       {"exec", read_cpu_exec},
		{"slice", read_cpu_slice},
	};

	bh_scenario_cpu_default(cpu_ret);
	cpu_ret->is_model = 1;
	return bh_scenario_read_mapping(reader, value, "cpu", fields, COUNT_OF(fields), cpu_ret);
}
