/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds programs on the host as a node will see them: see program_check.h. */
#include "simulator/program_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/posix.h"
#include "simulator/name_table.h"

#define PATH_MAX_BYTES 4096u
#define LINKS_MAX      40 /* MAXSYMLINKS of include/linux/namei.h, Linux 6.1 */

/* Follows symbolic links, also those of folders on the way. 1 if path is a file with an execute
 * bit. path has PATH_MAX_BYTES and is used up. */
static int is_program(struct bh_inputs *inputs, char *path)
{
	char next[PATH_MAX_BYTES];
	size_t length = 1;

	for (int links = 0; links <= LINKS_MAX;) {
		length += strspn(path + length, "/");
		/* path[0..length) is the part that is looked at, up to a slash or the end. */
		length += strcspn(path + length, "/");
		char kept = path[length];

		path[length] = '\0';
		const struct bh_input *input = bh_inputs_lookup(inputs, path);

		if (!input || input->kind == BH_INPUT_ABSENT)
			return 0;
		if (input->kind == BH_INPUT_SYMLINK) {
			if (bh_inputs_read(inputs, input) != 0)
				return 0;
			int is_absolute = input->text_size > 0 && input->text[0] == '/';
			int parent = is_absolute ? 0 : (int)(strrchr(path, '/') - path + 1);
			int size = snprintf(next, sizeof(next), "%.*s%.*s%s%s", parent, path,
					    (int)input->text_size, input->text, kept ? "/" : "",
					    kept ? path + length + 1 : "");

			if (size < 0 || (size_t)size >= sizeof(next))
				return 0;
			memcpy(path, next, (size_t)size + 1);
			length = 1;
			links++;
			continue;
		}
		path[length] = kept;
		if (!kept)
			return input->kind == BH_INPUT_FILE && (input->mode & 0111);
		length++;
	}
	return 0;
}

static int is_in_path(struct bh_inputs *inputs, const char *search, const char *name)
{
	char path[PATH_MAX_BYTES];

	while (*search) {
		int length = (int)strcspn(search, ":");
		int size = snprintf(path, sizeof(path), "%.*s/%s", length, search, name);

		if (length > 0 && search[0] == '/' && size > 0 && (size_t)size < sizeof(path) &&
		    is_program(inputs, path))
			return 1;
		search += length;
		search += *search == ':';
	}
	return 0;
}

/* NULL: the process has the default one. */
static const char *own_search_path(const struct bh_process *process)
{
	for (size_t i = 0; process->environment && process->environment[i]; i++)
		if (strncmp(process->environment[i], "PATH=", 5) == 0)
			return process->environment[i] + 5;
	return NULL;
}

/* The folders that a node's own programs don't write to, as a rule. */
static int is_system_path(const char *path)
{
	static const char *const folders[] = {"/bin/", "/sbin/", "/usr/", "/lib"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (strncmp(path, folders[i], strlen(folders[i])) == 0)
			return 1;
	return 0;
}

static int is_found(struct bh_inputs *inputs, const struct bh_process *process)
{
	char path[PATH_MAX_BYTES];
	const char *name = process->argv[0], *search = own_search_path(process);

	if (bh_posix_own_folder(name))
		return 0;
	if (!strchr(name, '/'))
		return is_in_path(inputs, search ? search : BH_PROGRAM_PATH, name);
	if (strlen(name) >= sizeof(path))
		return 0;
	strcpy(path, name);
	return is_program(inputs, path);
}

static struct bh_error *missing(const struct bh_scenario *scenario,
				const struct bh_scenario_node *node,
				const struct bh_process *process)
{
	const char *name = process->argv[0], *own = bh_posix_own_folder(name);

	if (own)
		return bh_error_new(BH_ERR_INPUT,
				    "%s:%u: node \"%s\": \"%.200s\" can't be seen there, because "
				    "every node has a %s of its own; put the program elsewhere",
				    scenario->filename ? scenario->filename : "scenario",
				    process->line, node->name, name, own);
	return bh_error_new(BH_ERR_INPUT,
			    "%s:%u: node \"%s\": %s\"%.200s\"%s; install it or correct "
			    "the name",
			    scenario->filename ? scenario->filename : "scenario", process->line,
			    node->name, strchr(name, '/') ? "" : "no program ", name,
			    strchr(name, '/') ? " is no program on this machine" : " in PATH");
}

struct bh_error *bh_programs_check(const struct bh_scenario *scenario, struct bh_inputs *inputs)
{
	struct bh_name_table found = {0};
	struct bh_error *error = NULL;

	for (size_t i = 0; i < scenario->node_count; i++) {
		const struct bh_scenario_node *node = &scenario->nodes[i];

		for (size_t j = 0; !error && j < node->process_count; j++) {
			const struct bh_process *process = &node->processes[j];
			const char *name = process->argv[0];
			int is_own_path = own_search_path(process) != NULL;

			/* A program that ran before on the node may have put this one there. */
			if (j > 0 && strchr(name, '/') && !is_system_path(name))
				continue;
			if (!is_own_path && bh_name_table_find(&found, name) != BH_NAME_ABSENT)
				continue;
			if (!is_found(inputs, process))
				error = missing(scenario, node, process);
			else if (!is_own_path && bh_name_table_add(&found, name, 1) < 0)
				error = bh_error_new(BH_ERR_NOMEM, "out of memory");
		}
	}
	bh_name_table_destroy(&found);
	return error;
}
