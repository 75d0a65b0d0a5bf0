/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds programs on the host as a node will see them: see program_check.h. */
#include "simulator/program_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/posix.h"
#include "simulator/name_table.h"
#include "simulator/node_view.h"

/* path has BH_VIEW_PATH_MAX bytes and becomes the one without links. NULL: no program. */
static const struct bh_input *find_program(const struct bh_node_view *view, char *path)
{
	const struct bh_input *input = bh_node_view_find(view, path);

	return input && input->kind == BH_INPUT_FILE && (input->mode & 0111) ? input : NULL;
}

static const struct bh_input *find_in_path(const struct bh_node_view *view, const char *search,
					   const char *name, char *path)
{
	while (*search) {
		int length = (int)strcspn(search, ":");
		int size = snprintf(path, BH_VIEW_PATH_MAX, "%.*s/%s", length, search, name);
		const struct bh_input *input = NULL;

		if (length > 0 && search[0] == '/' && size > 0 && (size_t)size < BH_VIEW_PATH_MAX)
			input = find_program(view, path);
		if (input)
			return input;
		search += length;
		search += *search == ':';
	}
	return NULL;
}

/* NULL: the process has the default one. */
static const char *own_variable(const struct bh_process *process, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; process->environment && process->environment[i]; i++)
		if (strncmp(process->environment[i], name, length) == 0 &&
		    process->environment[i][length] == '=')
			return process->environment[i] + length + 1;
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

/* path: becomes where it is. */
static const struct bh_input *find(const struct bh_node_view *view,
				   const struct bh_process *process, char *path)
{
	const char *name = process->argv[0], *search = own_variable(process, "PATH");

	if (!strchr(name, '/'))
		return find_in_path(view, search ? search : BH_PROGRAM_PATH, name, path);
	if (strlen(name) >= BH_VIEW_PATH_MAX)
		return NULL;
	strcpy(path, name);
	return find_program(view, path);
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

/* --- what the program needs --- */

static struct bh_error *refuse(const struct bh_node_view *view, const struct bh_process *process,
			       const char *path, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static struct bh_error *refuse(const struct bh_node_view *view, const struct bh_process *process,
			       const char *path, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return bh_error_new(BH_ERR_INPUT, "%s:%u: node \"%s\": %.200s can't run there: %s",
			    view->scenario->filename ? view->scenario->filename : "scenario",
			    process->line, view->node->name, path, text);
}

static int is_there(const struct bh_node_view *view, const char *format, const char *name)
{
	char path[BH_VIEW_PATH_MAX];
	int size = snprintf(path, sizeof(path), format, name);

	return size > 0 && (size_t)size < sizeof(path) && bh_node_view_find(view, path);
}

/* As ld.so looks for it: in its cache, else in the folders that it knows by itself. */
static int has_library(const struct bh_node_view *view, const char *name)
{
	static const char *const places[] = {"/lib/x86_64-linux-gnu/%s",
					     "/usr/lib/x86_64-linux-gnu/%s",
					     "/lib/%s",
					     "/usr/lib/%s",
					     "/lib64/%s",
					     "/usr/lib64/%s"};
	char path[BH_VIEW_PATH_MAX] = "/etc/ld.so.cache";
	const struct bh_input *cache;

	if (strchr(name, '/'))
		return is_there(view, "%s", name);
	cache = bh_node_view_find(view, path);
	if (cache && cache->kind == BH_INPUT_FILE && bh_inputs_read(view->inputs, cache) == 0 &&
	    memmem(cache->data, cache->size, name, strlen(name) + 1))
		return 1;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (is_there(view, places[i], name))
			return 1;
	return 0;
}

static struct bh_error *check_needs(const struct bh_node_view *view,
				    const struct bh_process *process,
				    const struct bh_input *program, const char *path)
{
	struct bh_program_needs needs;
	const char *why;
	int status = bh_inputs_read(view->inputs, program);

	if (status)
		return refuse(view, process, path, "it can't be read (%s); allow it to be read",
			      strerrordesc_np(-status));
	if (bh_posix_program_needs(program->data, program->size, &needs, &why))
		return refuse(view, process, path, "%s", why);
	if (needs.interpreter[0] == '/' && !is_there(view, "%s", needs.interpreter))
		return refuse(view, process, path,
			      "its interpreter %s isn't there; install it or %s", needs.interpreter,
			      needs.is_script ? "correct the first line" : "build it anew");
	/* Who says where libraries are knows more than we do. */
	if (needs.has_search_path || own_variable(process, "LD_LIBRARY_PATH") ||
	    own_variable(process, "LD_PRELOAD"))
		return NULL;
	for (size_t i = 0; i < needs.library_count; i++)
		if (!has_library(view, needs.libraries[i]))
			return refuse(view, process, path,
				      "it needs the library %.200s, which isn't there; install it",
				      needs.libraries[i]);
	return NULL;
}

static struct bh_error *check_program(const struct bh_node_view *view,
				      const struct bh_process *process)
{
	char path[BH_VIEW_PATH_MAX];
	const struct bh_input *program = find(view, process, path);

	if (!program)
		return missing(view->scenario, view->node, process);
	return check_needs(view, process, program, path);
}

/* Binds make a node's view its own, and so does a search path of a program's own. */
static int is_usual(const struct bh_scenario_node *node, const struct bh_process *process)
{
	return node->bind_count == 0 && !own_variable(process, "PATH");
}

struct bh_error *bh_programs_check(const struct bh_scenario *scenario, struct bh_inputs *inputs)
{
	struct bh_name_table found = {0};
	struct bh_error *error = NULL;

	for (size_t i = 0; !error && i < scenario->node_count; i++) {
		const struct bh_scenario_node *node = &scenario->nodes[i];
		const struct bh_node_view view = {inputs, scenario, node};
		char bound[BH_VIEW_PATH_MAX];

		for (size_t j = 0; !error && j < node->bind_count; j++)
			error = bh_node_view_bind(&view, &node->binds[j], bound);
		for (size_t j = 0; !error && j < node->process_count; j++) {
			const struct bh_process *process = &node->processes[j];
			const char *name = process->argv[0];

			/* A program that ran before on the node may have put this one there. */
			if (j > 0 && strchr(name, '/') && !is_system_path(name))
				continue;
			if (is_usual(node, process) &&
			    bh_name_table_find(&found, name) != BH_NAME_ABSENT)
				continue;
			error = check_program(&view, process);
			if (!error && is_usual(node, process) &&
			    bh_name_table_add(&found, name, 1) < 0)
				error = bh_error_new(BH_ERR_NOMEM, "out of memory");
		}
	}
	bh_name_table_destroy(&found);
	return error;
}
