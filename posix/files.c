/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node's view of files: the host's, as the run's inputs say, with some replaced (overrides) whose
 * contents on the host would tell one machine from another, and with the directories that the node
 * mounts on. Called by the image's file system (kernel/bhfs.c); a handle is a struct bh_input.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "posix/internal.h"

/* What a directory seems to hold, in bytes. */
#define DIRECTORY_SIZE 4096

static struct bh_override *find(const struct bh_posix_node *node, const char *path)
{
	struct bh_override *override = node->overrides;

	while (override && strcmp(override->input.path, path))
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
	uint64_t number = bh_hash64(path, strlen(path));

	return number ? number : 1;
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
	if (!override)
		override = add(node, parent, BH_INPUT_DIRECTORY, 0755);
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
		free((void *) override->input.data);
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

static struct bh_error *add_text(struct bh_posix_node *node, const char *path, const char *text)
{
	return add_entry(node, path, BH_INPUT_FILE, 0644, text, strlen(text));
}

/* Where kernel-lib/arch/backhop/kernel/user.c mounts what is the node's alone. */
static const char *const own_folders[] = {"/proc", "/sys",     "/dev",	  "/tmp",
					  "/run",  "/var/log", "/var/tmp"};
#define OWN_FOLDERS (sizeof(own_folders) / sizeof(*own_folders))

const char *bh_posix_own_folder(const char *path)
{
	for (size_t i = 0; i < OWN_FOLDERS; i++) {
		size_t length = strlen(own_folders[i]);

		if (!strncmp(path, own_folders[i], length) &&
		    (!path[length] || path[length] == '/'))
			return own_folders[i];
	}
	return NULL;
}

struct bh_error *bh_files_set_defaults(struct bh_posix_node *node)
{
	/* These would show the host's name, place, or tools; programs do well without them. */
	static const char *const hidden[] = {"/etc/ld.so.preload", "/etc/localtime", "/etc/adjtime",
					     "/.dockerenv"};
	char text[512];

	for (size_t i = 0; i < OWN_FOLDERS; i++)
		BH_TRY(add_entry(node, own_folders[i], BH_INPUT_DIRECTORY, 0755, NULL, 0));
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
		free((void *) override->input.data);
		free(override->input.text);
		free(override->input.path);
		free(override);
	}
}

/* --- what the image asks --- */

static void describe(struct bh_posix_node *node, const struct bh_input *input,
		     struct bh_user_stat *stat_ret)
{
	memset(stat_ret, 0, sizeof(*stat_ret));
	stat_ret->handle = input;
	stat_ret->kind = input->kind;
	stat_ret->mode = input->mode;
	stat_ret->number = input->number;
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

	input = override ? &override->input : bh_inputs_lookup(node->posix->inputs, path);
	if (input->kind == BH_INPUT_ABSENT)
		return -ENOENT;
	describe(node, input, stat_ret);
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

/* Names of the host's directory that no override replaces. */
static size_t host_names(const struct bh_posix_node *node, const struct bh_input *host,
			 const char *directory, struct name *names)
{
	char path[4096 + 256];
	size_t count = 0;

	for (const char *at = host->text; at < host->text + host->text_size;) {
		const char *digit = at + strlen(at) + 1;

		snprintf(path, sizeof(path), "%s/%s", directory[1] ? directory : "", at);
		if (!find(node, path))
			names[count++] = (struct name){at, *digit};
		at = digit + 2;
	}
	return count;
}

/* The listing of a directory with overrides in it. */
static int merge(struct bh_posix_node *node, struct bh_override *directory)
{
	const struct bh_input *host = bh_inputs_lookup(node->posix->inputs, directory->input.path);
	size_t count = 0, room = 1, bytes = 0;
	struct name *names;
	char *to;

	if (host->kind == BH_INPUT_DIRECTORY && !bh_inputs_read(node->posix->inputs, host))
		room += host->text_size / 3;
	for (struct bh_override *other = node->overrides; other; other = other->next)
		room++;
	names = calloc(room, sizeof(*names));
	if (!names)
		return -ENOMEM;
	if (host->kind == BH_INPUT_DIRECTORY && host->text)
		count = host_names(node, host, directory->input.path, names);
	for (struct bh_override *other = node->overrides; other; other = other->next) {
		const char *name = name_in(directory->input.path, other->input.path);

		if (name && other->input.kind != BH_INPUT_ABSENT)
			names[count++] = (struct name){name, (char)('0' + other->input.kind)};
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

	snprintf(path, sizeof(path), "%s/%s", directory->path[1] ? directory->path : "", name);
	return number_of(path);
}

int bh_files_descriptor(struct bh_posix_node *node, const struct bh_input *file)
{
	if (is_override(node, file))
		return -ENODEV;
	return bh_inputs_descriptor(node->posix->inputs, file);
}
