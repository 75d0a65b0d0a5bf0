/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Output of nodes to files: see output.h. */
#include "simulator/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/inputs.h"
#include "simulator/output_internal.h"

/* A flush that isn't the last one waits for so many bytes. */
#define FLUSH_BYTES (256u << 10)
#define DEPTH_MAX   32

/* --- removing an earlier run's logs --- */

/* Removes what is in the folder name below parent_fd, and the folder. Follows no links. */
static void remove_folder(int parent_fd, const char *name, int depth)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!folder) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, entry->d_name, 0) < 0 && depth < DEPTH_MAX)
			remove_folder(fd, entry->d_name, depth + 1);
	}
	closedir(folder);
	unlinkat(parent_fd, name, AT_REMOVEDIR);
}

static void remove_logs(const struct bh_output *output)
{
	for (size_t i = 0; i < output->scenario->node_count; i++) {
		char path[128];

		snprintf(path, sizeof(path), "files-%s/var", output->scenario->nodes[i].name);
		int fd = openat(output->folder_fd, path,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			continue;
		bh_output_files_remove(output, i);
		remove_folder(fd, "log", 0);
		close(fd);
	}
}

struct bh_error *bh_output_hide(const char *directory, const struct bh_scenario *scenario,
				struct bh_inputs *inputs)
{
	for (size_t i = 0; i < scenario->node_count; i++) {
		struct bh_error *error;
		char *path;

		if (asprintf(&path, "%s/files-%s", directory, scenario->nodes[i].name) < 0)
			return bh_error_new(BH_ERR_NOMEM, "out of memory");
		error = bh_inputs_hide(inputs, path);
		free(path);
		BH_TRY(error);
	}
	return NULL;
}

struct bh_error *bh_output_create(const char *directory, const struct bh_scenario *scenario,
				  struct bh_output **output_ret)
{
	struct bh_output *output = calloc(1, sizeof(*output));

	if (!output)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	output->scenario = scenario;
	output->folder_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (output->folder_fd < 0) {
		free(output);
		return bh_error_new(BH_ERR_INPUT,
				    "can't write output to the folder %s: %s; create it or name "
				    "another with --files",
				    directory, strerror(errno));
	}
	remove_logs(output);
	*output_ret = output;
	return NULL;
}

void bh_output_destroy(struct bh_output *output)
{
	if (!output)
		return;
	for (size_t i = 0; i < output->file_count; i++) {
		free(output->files[i].path);
		free(output->files[i].bytes);
	}
	free(output->files);
	bh_name_table_destroy(&output->by_path);
	bh_error_free(output->error);
	close(output->folder_fd);
	free(output);
}

/* --- appending --- */

int bh_output_path_is_safe(const char *path)
{
	while (*path) {
		size_t length = strcspn(path, "/");

		if (length == 0 || (length == 1 && path[0] == '.') ||
		    (length == 2 && path[0] == '.' && path[1] == '.'))
			return 0;
		path += length;
		if (*path == '/' && !*++path)
			return 0;
	}
	return 1;
}

static struct output_file *find_file(struct bh_output *output, const char *path)
{
	size_t number = bh_name_table_find(&output->by_path, path);

	if (number != BH_NAME_ABSENT)
		return &output->files[number];
	number = output->file_count;
	/* Grows at powers of two. */
	if ((number & (number - 1)) == 0 || number == 0) {
		struct output_file *files =
			realloc(output->files, (number ? number * 2 : 1) * sizeof(*files));

		if (!files)
			return NULL;
		output->files = files;
	}
	struct output_file *file = &output->files[number];

	memset(file, 0, sizeof(*file));
	file->path = strdup(path);
	if (!file->path || bh_name_table_add(&output->by_path, file->path, number) < 0) {
		free(file->path);
		return NULL;
	}
	output->file_count++;
	return file;
}

static int append_bytes(struct output_file *file, const void *data, size_t length)
{
	if (file->capacity - file->length < length) {
		size_t capacity = (file->length + length) * 2 + 256;
		char *bytes = realloc(file->bytes, capacity);

		if (!bytes)
			return -1;
		file->bytes = bytes;
		file->capacity = capacity;
	}
	memcpy(file->bytes + file->length, data, length);
	file->length += length;
	return 0;
}

void bh_output_append(void *arg, uint32_t node, const char *path, const void *data, size_t length)
{
	struct bh_output *output = arg;
	char full[256];
	int size;

	if (output->error || node >= output->scenario->node_count || length == 0)
		return;
	size = snprintf(full, sizeof(full), "files-%s/%s", output->scenario->nodes[node].name,
			path);
	if (size < 0 || (size_t)size >= sizeof(full) || !bh_output_path_is_safe(path)) {
		output->error =
			bh_error_new(BH_ERR_INTERNAL,
				     "output was meant for \"%s\", which is no file of node "
				     "%s",
				     path, output->scenario->nodes[node].name);
		return;
	}
	struct output_file *file = find_file(output, full);

	if (!file || append_bytes(file, data, length) < 0)
		output->error = bh_error_new(BH_ERR_NOMEM, "out of memory for output of nodes");
	else
		output->waiting_bytes += length;
}

/* --- writing --- */

/* Goes from the folder to the one of that name in it, which is made if it is missing. */
static int folder_enter(int folder_fd, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(folder_fd, name, flags);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (mkdirat(folder_fd, name, 0777) < 0 && errno != EEXIST)
		return -1;
	return openat(folder_fd, name, flags);
}

int bh_output_parent_open(int folder_fd, char *path, const char **name_ret)
{
	int fd = dup(folder_fd);
	char *slash;

	while (fd >= 0 && (slash = strchr(path, '/'))) {
		*slash = '\0';
		int next = folder_enter(fd, path);

		close(fd);
		fd = next;
		path = slash + 1;
	}
	*name_ret = path;
	return fd;
}

/* The folders on the way to the file that was written last: those that follow in one flush lie
 * beside it, most of them, and a run can have very many. */
#define WAY_MAX 8

struct way {
	int root_fd;
	unsigned int depth;
	struct {
		char name[64];
		int fd;
	} folders[WAY_MAX];
};

static void way_shorten(struct way *way, unsigned int depth)
{
	while (way->depth > depth)
		close(way->folders[--way->depth].fd);
}

/* As bh_output_parent_open(), but the descriptor belongs to the way. -1 with ENAMETOOLONG: path
 * is too long for it, and as it was. */
static int way_go(struct way *way, char *path, const char **name_ret)
{
	unsigned int depth = 0;
	int fd = way->root_fd;

	for (const char *at = path, *slash; (slash = strchr(at, '/')); at = slash + 1)
		if (++depth > WAY_MAX || slash - at >= (int)sizeof(way->folders[0].name)) {
			errno = ENAMETOOLONG;
			return -1;
		}
	depth = 0;
	for (char *slash; (slash = strchr(path, '/')); path = slash + 1, depth++) {
		*slash = '\0';
		if (depth < way->depth && strcmp(way->folders[depth].name, path) == 0) {
			fd = way->folders[depth].fd;
			continue;
		}
		way_shorten(way, depth);
		fd = folder_enter(fd, path);
		if (fd < 0)
			return -1;
		strcpy(way->folders[depth].name, path);
		way->folders[depth].fd = fd;
		way->depth = depth + 1;
	}
	*name_ret = path;
	return fd;
}

int bh_output_write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -1;
		bytes += written;
		length -= (size_t)written;
	}
	return 0;
}

static int write_file(struct way *way, struct output_file *file)
{
	char path[256];
	const char *name;
	int flags =
		O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (file->is_begun ? O_APPEND : O_TRUNC);

	strcpy(path, file->path);
	int parent = way_go(way, path, &name), own = -1;

	if (parent < 0 && errno == ENAMETOOLONG)
		parent = own = bh_output_parent_open(way->root_fd, path, &name);
	if (parent < 0)
		return -1;
	int fd = openat(parent, name, flags, 0666);

	if (own >= 0)
		close(own);
	if (fd < 0)
		return -1;
	int result = bh_output_write_all(fd, file->bytes, file->length);

	if (close(fd) < 0)
		result = -1;
	file->is_begun = 1;
	file->length = 0;
	return result;
}

struct bh_error *bh_output_flush(struct bh_output *output, int is_last)
{
	struct way way = {.root_fd = output->folder_fd};

	if (!output->error &&
	    (output->waiting_bytes == 0 || (!is_last && output->waiting_bytes < FLUSH_BYTES)))
		return NULL;
	for (size_t i = 0; !output->error && i < output->file_count; i++)
		if (output->files[i].length > 0 && write_file(&way, &output->files[i]) < 0)
			output->error = bh_error_new(BH_ERR_MACHINE, "can't write %s: %s",
						     output->files[i].path, strerror(errno));
	way_shorten(&way, 0);
	output->waiting_bytes = 0;
	struct bh_error *error = output->error;

	output->error = NULL;
	return error;
}
