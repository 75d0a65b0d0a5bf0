/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of mapped programs and libraries of all nodes, for debuggers: written by exec.c,
 * memory.c and tasks.c, read by the replayer, also from another process (posix.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/link_maps.h"
#include "posix/internal.h"

struct bh_posix_image_table bh_posix_images;

static size_t capacity;
/* What a debugger of a live run was told of each image; NULL in a replay. */
static struct bh_link_map **told;
/* Images were added whose text may yet be read or changed here. */
static int is_unsettled;

static struct bh_posix_image *make_room(void)
{
	if (bh_posix_images.count == capacity) {
		size_t wanted = capacity ? capacity * 2 : 64;
		struct bh_posix_image *images =
			realloc(bh_posix_images.images, wanted * sizeof(*images));

		if (!images)
			return NULL;
		bh_posix_images.images = images;
		struct bh_link_map **maps = realloc(told, wanted * sizeof(*told));
		if (!maps)
			return NULL;
		told = maps;
		capacity = wanted;
	}
	return &bh_posix_images.images[bh_posix_images.count];
}

static void publish(const struct bh_posix_image *image)
{
	const struct bh_link_map entry = {
		.node = image->node, .base = image->base, .size = image->size};

	told[bh_posix_images.count] =
		bh_link_maps_add(&entry, image->path, image->bias, image->dynamic);
	bh_posix_images.count++;
	bh_posix_images.generation++;
	is_unsettled = 1;
}

/* A tracer stops here, see posix.h. */
void __attribute__((noinline)) bh_posix_images_change(void)
{
	__asm__ volatile("");
}

/* What the host did before, such as looking through a library's text, may have been many millions
 * of instructions. A tracer finds its way by the entries of the kernel's functions and steps from
 * there, so one of them is called first. */
static void announce(const struct bh_posix_node *node)
{
	if (!node->is_ending)
		bh_posix_node_image(node)->pid();
	bh_posix_images_change();
}

void bh_images_settle(const struct bh_posix_node *node)
{
	if (!is_unsettled)
		return;
	is_unsettled = 0;
	announce(node);
	bh_link_maps_publish();
}

struct choice {
	const struct bh_posix_node *node;
	int pid; /* negative: of any process */
	uint64_t start, end;
};

static int is_chosen(const struct bh_posix_image *image, const struct choice *choice)
{
	return image->node == choice->node->id && (choice->pid < 0 || image->pid == choice->pid) &&
	       image->base >= choice->start && image->base < choice->end;
}

static void drop(const struct choice *choice)
{
	struct bh_posix_image *images = bh_posix_images.images;
	uint64_t kept, first = 0;

	while (first < bh_posix_images.count && !is_chosen(&images[first], choice))
		first++;
	if (first == bh_posix_images.count)
		return;
	announce(choice->node);
	kept = first;
	for (uint64_t i = first; i < bh_posix_images.count; i++) {
		if (is_chosen(&images[i], choice)) {
			bh_link_maps_remove(told[i]);
			continue;
		}
		told[kept] = told[i];
		images[kept++] = images[i];
	}
	bh_posix_images.count = kept;
	bh_posix_images.generation++;
	/* Before their memory goes. */
	bh_link_maps_publish();
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
	publish(image);
}

void bh_images_remove(struct bh_posix_node *node, int pid, uint64_t start, uint64_t end)
{
	drop(&(struct choice){node, pid, start, end});
}

void bh_images_remove_node(const struct bh_posix_node *node)
{
	drop(&(struct choice){node, -1, 0, UINT64_MAX});
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
		publish(image);
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
