/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of mapped programs and libraries of all nodes, for debuggers: written by exec.c,
 * memory.c and tasks.c, read by the replayer, also from another process (posix.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "posix/internal.h"

struct bh_posix_image_table bh_posix_images;

static size_t capacity;

static struct bh_posix_image *make_room(void)
{
	if (bh_posix_images.count == capacity) {
		size_t wanted = capacity ? capacity * 2 : 64;
		struct bh_posix_image *images =
			realloc(bh_posix_images.images, wanted * sizeof(*images));

		if (!images)
			return NULL;
		bh_posix_images.images = images;
		capacity = wanted;
	}
	return &bh_posix_images.images[bh_posix_images.count];
}

static void publish(void)
{
	bh_posix_images.count++;
	bh_posix_images.generation++;
}

void bh_images_add(struct bh_posix_node *node, int pid, const struct bh_elf *elf, uint64_t bias,
		   const char *path)
{
	struct bh_posix_image *image = make_room();

	/* Without memory the debugger knows less; the run goes on. */
	if (!image)
		return;
	memset(image, 0, sizeof(*image));
	image->node = node->id;
	image->pid = pid;
	image->base = elf->low + bias;
	image->size = elf->high - elf->low;
	image->bias = bias;
	image->dynamic = elf->dynamic ? elf->dynamic + bias : 0;
	strncpy(image->path, path, sizeof(image->path) - 1);
	publish();
}

void bh_images_remove(struct bh_posix_node *node, int pid, uint64_t start, uint64_t end)
{
	struct bh_posix_image *images = bh_posix_images.images;
	uint64_t kept = 0;

	for (uint64_t i = 0; i < bh_posix_images.count; i++)
		if (images[i].node != node->id || images[i].pid != pid || images[i].base < start ||
		    images[i].base >= end)
			images[kept++] = images[i];
	if (kept == bh_posix_images.count)
		return;
	bh_posix_images.count = kept;
	bh_posix_images.generation++;
}

void bh_images_remove_node(const struct bh_posix_node *node)
{
	struct bh_posix_image *images = bh_posix_images.images;
	uint64_t kept = 0;

	for (uint64_t i = 0; i < bh_posix_images.count; i++)
		if (images[i].node != node->id)
			images[kept++] = images[i];
	bh_posix_images.count = kept;
	bh_posix_images.generation++;
}

void bh_images_copy(struct bh_posix_node *node, int from_pid, int to_pid)
{
	for (uint64_t i = 0, count = bh_posix_images.count; i < count; i++) {
		struct bh_posix_image *image = make_room();

		if (!image)
			return;
		*image = bh_posix_images.images[i];
		if (image->node != node->id || image->pid != from_pid)
			continue;
		image->pid = to_pid;
		publish();
	}
}

static int read_own(void *arg, uint64_t address, void *bytes_ret, size_t length)
{
	memcpy(bytes_ret, (const void *)address, length);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct bh_posix_image *x = a, *y = b;

	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->base < y->base ? -1 : x->base > y->base;
}

struct bh_error *bh_posix_image_list(bh_posix_read_fn read, void *arg,
				     struct bh_posix_image **images_ret, size_t *count_ret)
{
	struct bh_posix_image_table table;
	struct bh_posix_image *images;

	if (!read)
		read = read_own;
	if (read(arg, (uint64_t)&bh_posix_images, &table, sizeof(table)))
		return bh_error_new(BH_ERR_INTERNAL, "the list of programs can't be read");
	if (table.count > (1u << 20))
		return bh_error_new(BH_ERR_INTERNAL, "the list of programs is damaged");
	images = calloc(table.count + 1, sizeof(*images));
	if (!images)
		return bh_error_new(BH_ERR_NOMEM, "no memory for the list of programs");
	if (table.count &&
	    read(arg, (uint64_t)table.images, images, table.count * sizeof(*images))) {
		free(images);
		return bh_error_new(BH_ERR_INTERNAL, "the list of programs can't be read");
	}
	qsort(images, table.count, sizeof(*images), compare);
	*images_ret = images;
	*count_ret = table.count;
	return NULL;
}
