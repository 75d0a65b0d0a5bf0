/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a node will see of the host's files: see node_view.h. */
#include "simulator/node_view.h"

#include <stdio.h>
#include <string.h>

#include "posix/posix.h"

#define LINKS_MAX 40 /* MAXSYMLINKS of include/linux/namei.h, Linux 6.1 */

/* What path has behind folder, or NULL when it doesn't lie there. */
static const char *rest_in(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(path, folder, length) == 0 && (!path[length] || path[length] == '/')
		       ? path + length
		       : NULL;
}

/* One path without following links; NULL: nothing there. */
static const struct bh_input *look(const struct bh_node_view *view, const char *path)
{
	const struct bh_scenario_bind *found = NULL;
	char host[BH_VIEW_PATH_MAX];
	const struct bh_input *input;

	for (size_t i = 0; view->node && i < view->node->bind_count; i++) {
		const struct bh_scenario_bind *bind = &view->node->binds[i];

		if (rest_in(path, bind->node_path) &&
		    (!found || strlen(found->node_path) < strlen(bind->node_path)))
			found = bind;
	}
	if (found) {
		struct bh_error *error = bh_node_view_bind(view, found, host);
		size_t length = strlen(host);

		bh_error_free(error);
		if (error || length + strlen(path) >= sizeof(host))
			return NULL;
		strcpy(host + length, rest_in(path, found->node_path));
		path = host;
	} else if (view->node && bh_posix_own_folder(path)) {
		return NULL;
	}
	input = bh_inputs_lookup(view->inputs, path);
	return input->kind == BH_INPUT_ABSENT ? NULL : input;
}

/* path[0..length) is a link: puts its target in its place. kept: what stood behind it, or NUL. */
static int follow(const struct bh_node_view *view, const struct bh_input *input, char *path,
		  size_t length, char kept)
{
	char next[BH_VIEW_PATH_MAX];
	int is_absolute, parent, size;

	if (bh_inputs_read(view->inputs, input) != 0)
		return 0;
	is_absolute = input->text_size > 0 && input->text[0] == '/';
	parent = is_absolute ? 0 : (int)(strrchr(path, '/') - path + 1);
	size = snprintf(next, sizeof(next), "%.*s%.*s%s%s", parent, path, (int)input->text_size,
			input->text, kept ? "/" : "", kept ? path + length + 1 : "");
	if (size < 0 || (size_t)size >= sizeof(next))
		return 0;
	memcpy(path, next, (size_t)size + 1);
	return 1;
}

const struct bh_input *bh_node_view_find(const struct bh_node_view *view, char *path)
{
	size_t length = 1;

	for (int links = 0; links <= LINKS_MAX;) {
		length += strspn(path + length, "/");
		/* path[0..length) is the part that is looked at, up to a slash or the end. */
		length += strcspn(path + length, "/");
		char kept = path[length];

		path[length] = '\0';
		const struct bh_input *input = look(view, path);

		/* A folder that begins empty may hold a bind. */
		if (!input && !(kept && view->node && bh_posix_own_folder(path)))
			return NULL;
		if (input && input->kind == BH_INPUT_SYMLINK) {
			if (!follow(view, input, path, length, kept))
				return NULL;
			length = 1;
			links++;
			continue;
		}
		path[length] = kept;
		if (!kept)
			return input;
		length++;
	}
	return NULL;
}

struct bh_error *bh_node_view_bind(const struct bh_node_view *view,
				   const struct bh_scenario_bind *bind, char *path_ret)
{
	const struct bh_node_view host = {.inputs = view->inputs, .scenario = view->scenario};
	const char *file = view->scenario->filename ? view->scenario->filename : "scenario";
	const char *folder = "";
	int size;

	if (bind->host_path[0] != '/') {
		folder = bh_inputs_folder(view->inputs);
		if (!folder)
			return bh_error_new(BH_ERR_INPUT,
					    "%s:%u: node \"%s\": \"%.200s\" is relative, but the "
					    "scenario lies in no folder; write an absolute path",
					    file, bind->line, view->node->name, bind->host_path);
	}
	size = snprintf(path_ret, BH_VIEW_PATH_MAX, "%s%s%s", folder, *folder ? "/" : "",
			bind->host_path);
	if (size > 0 && (size_t)size < BH_VIEW_PATH_MAX && bh_node_view_find(&host, path_ret))
		return NULL;
	return bh_error_new(BH_ERR_INPUT,
			    "%s:%u: node \"%s\": there is nothing at %s%s%.200s on this machine to "
			    "bind to %.200s; create it or correct the path",
			    file, bind->line, view->node->name, folder, *folder ? "/" : "",
			    bind->host_path, bind->node_path);
}
