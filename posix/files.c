/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node's view of files: the host's, as the run's inputs say, with some in other places (binds),
 * some replaced (overrides) whose contents on the host would tell one machine from another, and
 * with directories that begin empty. Called by the image's file system (kernel/bhfs.c); a handle is
 * a struct bh_input.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "posix/internal.h"

/* What a directory seems to hold, in bytes. */
#define DIRECTORY_SIZE 4096
/* overlayfs wants the high bits of inode numbers to tell its layers apart (kernel/root.c). */
#define NUMBER_MASK ((1ull << 60) - 1)

static struct bh_override *find(const struct bh_posix_node *node, const char *path)
{
	struct bh_override *override = node->overrides;

	while (override && (override->is_bound || strcmp(override->input.path, path)))
		override = override->next;
	return override;
}

static int is_override(const struct bh_posix_node *node, const struct bh_input *input)
{
	const struct bh_override *override = node->overrides;

	while (override && &override->input != input)
		override = override->next;
	return override != NULL;
}

static uint64_t number_of(const char *path)
{
	uint64_t number = bh_hash64(path, strlen(path)) & NUMBER_MASK;

	return number ? number : 1;
}

/* What path has behind directory: "", or "/" and more; NULL when it doesn't lie there. */
static const char *rest_in(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return !strncmp(path, directory, length) && (!path[length] || path[length] == '/')
		       ? path + length
		       : NULL;
}

/* The innermost bind that path lies in, or NULL. */
static const struct bh_bind *find_bind(const struct bh_posix_node *node, const char *path)
{
	const struct bh_bind *found = NULL;

	for (const struct bh_bind *bind = node->binds; bind; bind = bind->next)
		if (rest_in(path, bind->node_path) &&
		    (!found || strlen(found->node_path) < strlen(bind->node_path)))
			found = bind;
	return found;
}

/* What the host has for path, overrides aside; NULL: nothing, because the node keeps the place for
 * itself. */
static const struct bh_input *host_input(const struct bh_posix_node *node, const char *path)
{
	const struct bh_bind *bind = find_bind(node, path);
	char host[4096];

	if (!bind)
		return bh_posix_own_folder(path) ? NULL
						 : bh_inputs_lookup(node->posix->inputs, path);
	snprintf(host, sizeof(host), "%s%s", bind->host_path, rest_in(path, bind->node_path));
	return bh_inputs_lookup(node->posix->inputs, host);
}

static struct bh_override *add(struct bh_posix_node *node, const char *path, uint8_t kind,
			       uint16_t mode)
{
	struct bh_override *override = calloc(1, sizeof(*override));

	if (!override)
		return NULL;
	override->input.path = strdup(path);
	if (!override->input.path) {
		free(override);
		return NULL;
	}
	override->input.kind = kind;
	override->input.mode = mode;
	override->input.number = number_of(path);
	override->next = node->overrides;
	node->overrides = override;
	return override;
}

/* The directory that holds path, and those above it, list what lies in them. */
static struct bh_override *add_parents(struct bh_posix_node *node, const char *path)
{
	char parent[4096];
	struct bh_override *override;
	char *slash;

	if (!strcmp(path, "/"))
		return NULL;
	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	slash[slash == parent] = '\0';
	override = find(node, parent);
	if (!override) {
		const struct bh_input *host = host_input(node, parent);

		override = add(node, parent, BH_INPUT_DIRECTORY,
			       host && host->kind == BH_INPUT_DIRECTORY ? host->mode : 0755);
	}
	if (override && !override->is_merged) {
		override->is_merged = 1;
		add_parents(node, parent);
	}
	return override;
}

static struct bh_error *add_entry(struct bh_posix_node *node, const char *path, uint8_t kind,
				  uint16_t mode, const void *data, size_t size)
{
	struct bh_override *override = find(node, path);

	if (!override)
		override = add(node, path, kind, mode);
	if (!override)
		return bh_error_new(BH_ERR_NOMEM, "no memory for a node's files");
	override->input.kind = kind;
	override->input.mode = mode;
	if (data) {
		char *copy = malloc(size + 1);

		if (!copy)
			return bh_error_new(BH_ERR_NOMEM, "no memory for a node's files");
		memcpy(copy, data, size);
		copy[size] = '\0';
		if (!override->is_borrowed)
			free((void *) override->input.data);
		override->is_borrowed = 0;
		free(override->input.text);
		override->input.data = NULL;
		override->input.text = NULL;
		if (kind == BH_INPUT_SYMLINK)
			override->input.text = copy;
		else
			override->input.data = (const uint8_t *)copy;
		override->input.text_size = kind == BH_INPUT_SYMLINK ? size : 0;
		override->input.size = size;
	}
	add_parents(node, path);
	return NULL;
}

struct bh_error *bh_posix_node_add_file(struct bh_posix_node *node, const char *path,
					unsigned int mode, const void *data, size_t size)
{
	if (path[0] != '/' || strlen(path) >= 4096)
		return bh_error_new(BH_ERR_INPUT,
				    "a node can't show a file at \"%.80s\": give an "
				    "absolute path",
				    path);
	return add_entry(node, path, data ? BH_INPUT_FILE : BH_INPUT_DIRECTORY, mode & 07777, data,
			 size);
}

struct bh_error *bh_posix_node_add_constant(struct bh_posix_node *node, const char *path,
					    const void *data, size_t size)
{
	BH_TRY(bh_posix_node_add_file(node, path, 0644, "", 0));
	struct bh_override *override = find(node, path);

	if (!override)
		return NULL;
	free((void *) override->input.data);
	override->input.data = data;
	override->input.size = size;
	override->is_borrowed = 1;
	return NULL;
}

static struct bh_error *add_text(struct bh_posix_node *node, const char *path, const char *text)
{
	return add_entry(node, path, BH_INPUT_FILE, 0644, text, strlen(text));
}

/* What the host has here is not shown: the node's kernel mounts on the first three (kernel/root.c),
 * the others begin with what set_defaults() and binds put there. */
static const struct {
	const char *path;
	uint16_t mode;
} own_folders[] = {
	{"/proc", 0555}, {"/sys", 0555},     {"/dev", 0755},	  {"/tmp", 01777},
	{"/run", 0755},	 {"/var/log", 0755}, {"/var/tmp", 01777},
};
#define OWN_FOLDERS (sizeof(own_folders) / sizeof(*own_folders))

const char *bh_posix_own_folder(const char *path)
{
	for (size_t i = 0; i < OWN_FOLDERS; i++)
		if (rest_in(path, own_folders[i].path))
			return own_folders[i].path;
	return NULL;
}

/* --- binds --- */

/* Every directory above the place must be one on the host, too, or nothing: a link there would be
 * replaced by a directory. */
static struct bh_error *check_place(const struct bh_posix_node *node, const char *path)
{
	char parent[4096];

	for (size_t length = 1; path[length]; length++) {
		if (path[length] != '/')
			continue;
		snprintf(parent, sizeof(parent), "%.*s", (int)length, path);
		if (find(node, parent))
			continue;
		const struct bh_input *host = host_input(node, parent);

		if (host && host->kind != BH_INPUT_DIRECTORY && host->kind != BH_INPUT_ABSENT)
			return bh_error_new(BH_ERR_INPUT,
					    "nothing can be bound to \"%.200s\", because "
					    "\"%.200s\" is %s on this machine; name the place "
					    "without it",
					    path, parent,
					    host->kind == BH_INPUT_SYMLINK ? "a symbolic link"
									   : "no directory");
	}
	return NULL;
}

struct bh_error *bh_posix_node_add_bind(struct bh_posix_node *node, const char *host_path,
					const char *node_path, int is_read_only)
{
	struct bh_bind *bind, **last = &node->binds;

	BH_TRY(check_place(node, node_path));
	bind = calloc(1, sizeof(*bind));
	if (!bind)
		return bh_error_new(BH_ERR_NOMEM, "no memory for a node's files");
	while (*last)
		last = &(*last)->next;
	*last = bind;
	bind->is_read_only = is_read_only;
	bind->host_path = strdup(host_path);
	bind->node_path = strdup(node_path);
	if (!bind->host_path || !bind->node_path)
		return bh_error_new(BH_ERR_NOMEM, "no memory for a node's files");
	/* An override in its place, or below, is replaced. */
	for (struct bh_override *other = node->overrides; other; other = other->next)
		if (rest_in(other->input.path, node_path))
			other->is_bound = 1;
	add_parents(node, node_path);
	return NULL;
}

const char *bh_files_op_read_only_path(void *user_host, unsigned int index)
{
	const struct bh_posix_node *node = user_host;

	for (const struct bh_bind *bind = node->binds; bind; bind = bind->next)
		if (bind->is_read_only && !index--)
			return bind->node_path;
	return NULL;
}

/* --- what every node has --- */

struct bh_error *bh_files_set_defaults(struct bh_posix_node *node)
{
	/* These would show the host's name, place, or tools; programs do well without them. */
	static const char *const hidden[] = {"/etc/ld.so.preload", "/etc/localtime", "/etc/adjtime",
					     "/.dockerenv"};
	char text[512];

	for (size_t i = 0; i < OWN_FOLDERS; i++)
		BH_TRY(add_entry(node, own_folders[i].path, BH_INPUT_DIRECTORY, own_folders[i].mode,
				 NULL, 0));
	BH_TRY(add_entry(node, "/run/lock", BH_INPUT_DIRECTORY, 01777, NULL, 0));
	BH_TRY(add_entry(node, "/run/netns", BH_INPUT_DIRECTORY, 0755, NULL, 0));
	for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++)
		BH_TRY(add_entry(node, hidden[i], BH_INPUT_ABSENT, 0, NULL, 0));
	BH_TRY(add_text(node, "/etc/resolv.conf", ""));
	BH_TRY(add_text(node, "/etc/timezone", "Etc/UTC\n"));
	BH_TRY(add_entry(node, "/etc/mtab", BH_INPUT_SYMLINK, 0777, "/proc/self/mounts", 17));
	snprintf(text, sizeof(text), "%s\n", node->hostname);
	BH_TRY(add_text(node, "/etc/hostname", text));
	snprintf(text, sizeof(text),
		 "127.0.0.1\tlocalhost\n127.0.1.1\t%s\n::1\tlocalhost ip6-localhost ip6-loopback\n"
		 "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
		 node->hostname);
	BH_TRY(add_text(node, "/etc/hosts", text));
	snprintf(text, sizeof(text), "%016llx%016llx\n",
		 (unsigned long long)bh_hash64(node->hostname, strlen(node->hostname)),
		 (unsigned long long)node->id + 1);
	return add_text(node, "/etc/machine-id", text);
}

void bh_files_destroy(struct bh_posix_node *node)
{
	while (node->overrides) {
		struct bh_override *override = node->overrides;

		node->overrides = override->next;
		if (!override->is_borrowed)
			free((void *) override->input.data);
		free(override->input.text);
		free(override->input.path);
		free(override);
	}
	while (node->binds) {
		struct bh_bind *bind = node->binds;

		node->binds = bind->next;
		free(bind->host_path);
		free(bind->node_path);
		free(bind);
	}
}

/* --- what the image asks --- */

/* The place in the node of what lies at path on the host. to has 4096 bytes. */
static void node_path(const struct bh_posix_node *node, const char *path, char *to)
{
	const struct bh_bind *found = NULL;

	for (const struct bh_bind *bind = node->binds; bind; bind = bind->next)
		if (rest_in(path, bind->host_path) &&
		    (!found || strlen(found->host_path) < strlen(bind->host_path)))
			found = bind;
	if (found)
		snprintf(to, 4096, "%s%s", found->node_path, rest_in(path, found->host_path));
	else
		snprintf(to, 4096, "%s", path);
}

static void describe(struct bh_posix_node *node, const char *path, const struct bh_input *input,
		     struct bh_user_stat *stat_ret)
{
	memset(stat_ret, 0, sizeof(*stat_ret));
	stat_ret->handle = input;
	stat_ret->kind = input->kind;
	stat_ret->mode = input->mode;
	stat_ret->number = number_of(path);
	stat_ret->size = input->kind == BH_INPUT_DIRECTORY ? DIRECTORY_SIZE : input->size;
	/* A link's size is its target's length, which only its contents tell. */
	if (input->kind == BH_INPUT_SYMLINK &&
	    (is_override(node, input) || !bh_inputs_read(node->posix->inputs, input)))
		stat_ret->size = input->text_size;
}

int bh_files_op_lookup(void *user_host, const char *path, struct bh_user_stat *stat_ret)
{
	struct bh_posix_node *node = user_host;
	const struct bh_override *override = find(node, path);
	const struct bh_input *input;

	input = override ? &override->input : host_input(node, path);
	if (!input || input->kind == BH_INPUT_ABSENT)
		return -ENOENT;
	describe(node, path, input, stat_ret);
	return 0;
}

/* Is path an entry of directory? Then its name, else NULL. */
static const char *name_in(const char *directory, const char *path)
{
	size_t length = strlen(directory);

	if (length == 1)
		length = 0;
	if (strncmp(path, directory, length) || path[length] != '/' || !path[length + 1] ||
	    strchr(path + length + 1, '/'))
		return NULL;
	return path + length + 1;
}

struct name {
	const char *name;
	char kind;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

static int is_bound(const struct bh_posix_node *node, const char *path)
{
	const struct bh_bind *bind = find_bind(node, path);

	return bind && !*rest_in(path, bind->node_path);
}

/* Names of the host's directory that no override or bind replaces. */
static size_t host_names(const struct bh_posix_node *node, const struct bh_input *host,
			 const char *directory, struct name *names)
{
	char path[4096 + 256];
	size_t count = 0;

	for (const char *at = host->text; at < host->text + host->text_size;) {
		const char *digit = at + strlen(at) + 1;

		snprintf(path, sizeof(path), "%s/%s", directory[1] ? directory : "", at);
		if (!find(node, path) && !is_bound(node, path))
			names[count++] = (struct name){at, *digit};
		at = digit + 2;
	}
	return count;
}

/* The listing of a directory with overrides in it. */
static int merge(struct bh_posix_node *node, struct bh_override *directory)
{
	const struct bh_input *host = host_input(node, directory->input.path);
	size_t count = 0, room = 1, bytes = 0;
	struct name *names;
	char *to;

	if (host && (host->kind != BH_INPUT_DIRECTORY || bh_inputs_read(node->posix->inputs, host)))
		host = NULL;
	if (host)
		room += host->text_size / 3;
	for (const struct bh_bind *bind = node->binds; bind; bind = bind->next)
		room++;
	for (struct bh_override *other = node->overrides; other; other = other->next)
		room++;
	names = calloc(room, sizeof(*names));
	if (!names)
		return -ENOMEM;
	if (host && host->text)
		count = host_names(node, host, directory->input.path, names);
	for (struct bh_override *other = node->overrides; other; other = other->next) {
		const char *name = name_in(directory->input.path, other->input.path);

		if (name && other->input.kind != BH_INPUT_ABSENT && !other->is_bound)
			names[count++] = (struct name){name, (char)('0' + other->input.kind)};
	}
	for (const struct bh_bind *bind = node->binds; bind; bind = bind->next) {
		const char *name = name_in(directory->input.path, bind->node_path);

		if (name)
			names[count++] = (struct name){
				name, (char)('0' + host_input(node, bind->node_path)->kind)};
	}
	qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 0; i < count; i++)
		bytes += strlen(names[i].name) + 3;
	to = directory->input.text = malloc(bytes + 1);
	for (size_t i = 0; to && i < count; i++) {
		size_t length = strlen(names[i].name) + 1;

		memcpy(to, names[i].name, length);
		to[length] = names[i].kind;
		to[length + 1] = '\0';
		to += length + 2;
	}
	directory->input.text_size = bytes;
	free(names);
	return directory->input.text ? 0 : -ENOMEM;
}

static int override_content(struct bh_posix_node *node, struct bh_override *override)
{
	if (override->input.kind != BH_INPUT_DIRECTORY || override->input.text)
		return 0;
	return merge(node, override);
}

int bh_files_op_content(void *user_host, const void *handle, const void **data_ret,
			unsigned long *size_ret)
{
	struct bh_posix_node *node = user_host;
	const struct bh_input *input = handle;
	int ret;

	if (is_override(node, input))
		ret = override_content(node, (struct bh_override *)input);
	else
		ret = bh_inputs_read(node->posix->inputs, input);
	if (ret)
		return ret;
	if (input->kind == BH_INPUT_FILE) {
		*data_ret = input->data;
		*size_ret = input->size;
	} else {
		*data_ret = input->text;
		*size_ret = input->text_size;
	}
	return 0;
}

unsigned long bh_files_op_number(void *user_host, const void *handle, const char *name)
{
	const struct bh_input *directory = handle;
	char path[4096 + 256];
	size_t length;

	node_path(user_host, directory->path, path);
	length = path[1] ? strlen(path) : 0;
	snprintf(path + length, sizeof(path) - length, "/%s", name);
	return number_of(path);
}

uint64_t bh_files_number(const struct bh_posix_node *node, const struct bh_input *input)
{
	char path[4096];

	node_path(node, input->path, path);
	return number_of(path);
}

int bh_files_descriptor(struct bh_posix_node *node, const struct bh_input *file)
{
	if (is_override(node, file))
		return -ENODEV;
	return bh_inputs_descriptor(node->posix->inputs, file);
}

/* --- the layer --- */

struct walk {
	void (*found)(void *arg, const struct bh_layer_entry *entry);
	void *arg;
};

static BH_OP void layer_found(void *arg, const struct bh_layer_entry *entry)
{
	const struct walk *walk = arg;

	walk->found(walk->arg, entry);
}

void bh_posix_node_layer_walk(struct bh_posix_node *node,
			      void (*found)(void *arg, const struct bh_layer_entry *entry),
			      void *arg)
{
	const struct bh_user_image_ops *image = bh_posix_node_image(node);
	struct walk walk = {found, arg};

	if (image)
		image->layer_walk(layer_found, &walk);
}

const void *bh_posix_node_layer_page(struct bh_posix_node *node, const struct bh_layer_entry *entry,
				     uint64_t *offset)
{
	unsigned long at = *offset;
	const void *page = bh_posix_node_image(node)->layer_page(entry->handle, &at);

	*offset = at;
	return page;
}
