/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What programs changed in a node's files, copied out to files-<node>/ at the end of the run: see
 * output.h. As in the layers of container images, a deleted NAME is an empty file ".wh.NAME", and a
 * directory that hides all that the host has in it holds ".wh..wh..opq". Sockets, pipes and devices
 * are only in the list.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel-lib/arch/backhop/include/asm/user_abi.h"
#include "posix/posix.h"
#include "simulator/output_internal.h"

#define LIST	    "var/log/layer"
#define DELETED	    ".wh."
#define OPAQUE	    ".wh..wh..opq"
#define PATH_ROOM   8192u
#define PAGE_BYTES  4096u
#define HEAD_LENGTH 8 /* of a line of the list: the kind, padded with blanks */

struct copying {
	struct bh_output *output;
	const char *node;
	struct bh_posix_node *posix;
	struct bh_error *error;
	FILE *list;
	char *list_text;
	size_t list_size;
};

/* --- the list: a line for each entry, "deleted etc/fstab" --- */

static const char *kind_name(const struct bh_layer_entry *entry)
{
	switch (entry->kind) {
	case BH_USER_ABSENT:
		return "deleted";
	case BH_USER_FILE:
		return "file";
	case BH_USER_DIRECTORY:
		return entry->is_opaque ? "newdir" : "dir";
	case BH_USER_SYMLINK:
		return "link";
	default:
		return "special";
	}
}

/* Newlines and backslashes of names are written as three octal digits. */
static void list_add(struct copying *copying, const struct bh_layer_entry *entry)
{
	fprintf(copying->list, "%-*s", HEAD_LENGTH, kind_name(entry));
	for (const char *at = entry->path; *at; at++)
		if (*at == '\n' || *at == '\\')
			fprintf(copying->list, "\\%03o", (unsigned char)*at);
		else
			fputc(*at, copying->list);
	fputc('\n', copying->list);
}

/* In place. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (text[0] == '\\' && strspn(text + 1, "01234567") >= 3) {
			*to++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] - '0');
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* --- removing what an earlier run left --- */

/* path: of a deleted file, the mark that stands for it. 0: no room. */
static int mark_path(char *to, const char *path)
{
	const char *name = strrchr(path, '/');
	int folder = name ? (int)(name - path) + 1 : 0, size;

	size = snprintf(to, PATH_ROOM, "%.*s" DELETED "%s", folder, path, path + folder);
	return size > 0 && (size_t)size < PATH_ROOM;
}

static void remove_entry(int folder_fd, const char *kind, const char *path)
{
	char copy[PATH_ROOM];
	const char *name;
	int parent, is_directory = strncmp(kind, "dir", 3) == 0 || strncmp(kind, "newdir", 6) == 0;

	if (strlen(path) >= sizeof(copy) || !bh_output_path_is_safe(path))
		return;
	strcpy(copy, path);
	if (strncmp(kind, "deleted", 7) == 0 && !mark_path(copy, path))
		return;
	parent = bh_output_parent_open(folder_fd, copy, &name);
	if (parent < 0)
		return;
	if (strncmp(kind, "newdir", 6) == 0) {
		int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0) {
			unlinkat(fd, OPAQUE, 0);
			close(fd);
		}
	}
	unlinkat(parent, name, is_directory ? AT_REMOVEDIR : 0);
	close(parent);
}

/* What is in a directory comes behind it in the list, so it is read backwards; a directory that
 * holds something else stays. */
static void remove_listed(int folder_fd, char *text, size_t length)
{
	while (length > 0) {
		char *line;

		text[--length] = '\0';
		line = memrchr(text, '\n', length);
		line = line ? line + 1 : text;
		if (strlen(line) > HEAD_LENGTH) {
			unescape(line + HEAD_LENGTH);
			remove_entry(folder_fd, line, line + HEAD_LENGTH);
		}
		length = (size_t)(line - text);
	}
}

void bh_output_files_remove(const struct bh_output *output, size_t node)
{
	char path[160], *text = NULL;
	struct stat stat;
	int folder, fd;

	snprintf(path, sizeof(path), "files-%s", output->scenario->nodes[node].name);
	folder = openat(output->folder_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return;
	fd = openat(folder, LIST, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
		text = malloc((size_t)stat.st_size + 1);
	if (text) {
		ssize_t length = read(fd, text, (size_t)stat.st_size);

		/* Only whole lines: the last byte is a newline. */
		while (length > 0 && text[length - 1] != '\n')
			length--;
		if (length > 0)
			remove_listed(folder, text, (size_t)length);
	}
	free(text);
	if (fd >= 0)
		close(fd);
	close(folder);
}

/* --- copying --- */

static int copy_bytes(const struct copying *copying, const struct bh_layer_entry *entry, int fd)
{
	uint64_t offset = 0;
	const char *page;

	while ((page = bh_posix_node_layer_page(copying->posix, entry, &offset)) &&
	       offset < entry->size) {
		uint64_t length =
			entry->size - offset < PAGE_BYTES ? entry->size - offset : PAGE_BYTES;

		if (lseek(fd, (off_t)offset, SEEK_SET) < 0 ||
		    bh_output_write_all(fd, page, length) < 0)
			return -1;
		offset += PAGE_BYTES;
	}
	/* A hole at the end, which can be larger than what the host's file system takes. */
	return ftruncate(fd, (off_t)entry->size) < 0 && errno != EFBIG && errno != EINVAL ? -1 : 0;
}

static int copy_file(const struct copying *copying, const struct bh_layer_entry *entry, int parent,
		     const char *name)
{
	int fd, result;

	unlinkat(parent, name, 0);
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	result = copy_bytes(copying, entry, fd);
	/* The owner is who runs the simulator, who shall be able to read it. */
	if (fchmod(fd, (entry->mode & 0777) | 0600) < 0 || close(fd) < 0)
		result = -1;
	return result;
}

static int make_mark(int parent, const char *name)
{
	int fd;

	unlinkat(parent, name, 0);
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	return fd < 0 ? -1 : close(fd);
}

/* A directory that is simply new hides nothing. */
static int hides_something(const char *path)
{
	char host[PATH_ROOM];
	struct stat stat;
	int size = snprintf(host, sizeof(host), "/%s", path);

	return size > 0 && (size_t)size < sizeof(host) && !bh_posix_own_folder(host) &&
	       lstat(host, &stat) == 0 && S_ISDIR(stat.st_mode);
}

static int make_folder(const struct bh_layer_entry *entry, int parent, const char *name)
{
	int fd, result = 0;

	unlinkat(parent, name, 0);
	if (mkdirat(parent, name, (entry->mode & 0777) | 0700) < 0 && errno != EEXIST)
		return -1;
	if (!entry->is_opaque || !hides_something(entry->path))
		return 0;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	result = make_mark(fd, OPAQUE);
	close(fd);
	return result;
}

static int copy_entry(const struct copying *copying, const struct bh_layer_entry *entry, char *path)
{
	const char *name;
	int parent = bh_output_parent_open(copying->output->folder_fd, path, &name), result = 0;

	if (parent < 0)
		return -1;
	switch (entry->kind) {
	case BH_USER_ABSENT:
		result = make_mark(parent, name);
		break;
	case BH_USER_FILE:
		result = copy_file(copying, entry, parent, name);
		break;
	case BH_USER_DIRECTORY:
		result = make_folder(entry, parent, name);
		break;
	case BH_USER_SYMLINK:
		unlinkat(parent, name, 0);
		result = symlinkat(entry->target, parent, name);
	}
	close(parent);
	return result;
}

static void found(void *arg, const struct bh_layer_entry *entry)
{
	struct copying *copying = arg;
	char path[PATH_ROOM], marked[PATH_ROOM];
	int size = snprintf(path, sizeof(path), "files-%s/%s", copying->node, entry->path);

	/* What the simulator itself wrote there has precedence, and so has its list. */
	if (copying->error || size < 0 || (size_t)size >= sizeof(path) ||
	    !bh_output_path_is_safe(entry->path) || strcmp(entry->path, LIST) == 0 ||
	    bh_name_table_find(&copying->output->by_path, path) != BH_NAME_ABSENT)
		return;
	list_add(copying, entry);
	if (entry->kind == BH_USER_ABSENT) {
		if (!mark_path(marked, path))
			return;
		strcpy(path, marked);
	}
	if (copy_entry(copying, entry, path) < 0)
		copying->error = bh_error_new(BH_ERR_MACHINE, "can't write files-%s/%s: %s",
					      copying->node, entry->path, strerror(errno));
}

struct bh_error *bh_output_files(struct bh_output *output, uint32_t node,
				 struct bh_posix_node *posix)
{
	struct copying copying = {
		.output = output, .node = output->scenario->nodes[node].name, .posix = posix};

	copying.list = open_memstream(&copying.list_text, &copying.list_size);
	if (!copying.list)
		return bh_error_new(BH_ERR_NOMEM, "out of memory for the list of a node's files");
	bh_posix_node_layer_walk(posix, found, &copying);
	if (fclose(copying.list) != 0 && !copying.error)
		copying.error =
			bh_error_new(BH_ERR_NOMEM, "out of memory for the list of a node's files");
	if (copying.list_size > 0)
		bh_output_append(output, node, LIST, copying.list_text, copying.list_size);
	free(copying.list_text);
	return copying.error;
}
