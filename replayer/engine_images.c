/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The images in the replayed process: kernel images, whose function entries are the ticks, and the
 * programs. Part of the engine, see engine_internal.h.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel-lib/node.h"
#include "posix/posix.h"
#include "replayer/engine_internal.h"

#define PAGE 4096ull
/* Stubs lie this far below their node: in the unused end of the span before it, near enough for
 * 32-bit jumps whatever the size of the node's RAM. */
#define STUB_DISTANCE (16ll << 20)

static char *hex_text(const uint8_t *bytes, size_t length)
{
	char *text = bytes ? calloc(length + 1, 2) : NULL;

	for (size_t i = 0; text && i < length; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	return text;
}

/* The text pages as they are mapped: the image's file from its beginning (image.h). */
static struct bh_error *read_text(const char *path, size_t size, uint8_t **text_ret)
{
	uint8_t *text = calloc(1, size + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;

	while (text && fd >= 0 && done < size) {
		ssize_t count = pread(fd, text + done, size - done, (off_t)done);
		if (count <= 0)
			break;
		done += (size_t)count;
	}
	if (fd >= 0)
		close(fd);
	if (!text || done < size) {
		free(text);
		return bh_error_new(BH_ERR_INPUT, "%s: the kernel image can't be read", path);
	}
	*text_ret = text;
	return NULL;
}

static void tell_target(void *map, uint64_t address)
{
	bh_code_map_add_target(map, address);
}

static void tell_targets(void *image, struct bh_code_map *map)
{
	bh_image_pointers(image, tell_target, map);
}

static struct bh_error *map_code(struct bh_replay_kernel *kernel)
{
	size_t size, entry_count;
	const uint8_t *text = bh_image_text(kernel->image, &size);
	const uint32_t *entries = bh_image_patchable_entries(kernel->image, &entry_count);
	const struct bh_code_layout layout = {
		.text = text,
		.size = size,
		.entries = entries,
		.entry_count = entry_count,
		.tell_targets = tell_targets,
		.arg = kernel->image,
	};

	return bh_code_map_create(&layout, &kernel->code);
}

static struct bh_error *open_kernel(struct bh_replay_kernel *kernel)
{
	size_t entry_count, build_id_length;
	uint8_t *text;

	BH_TRY(bh_image_open(kernel->path, &kernel->image));
	const uint32_t *entries = bh_image_patchable_entries(kernel->image, &entry_count);
	const uint8_t *build_id = bh_image_build_id(kernel->image, &build_id_length);
	size_t size = (bh_image_text_size(kernel->image) + PAGE - 1) & ~(PAGE - 1);
	kernel->build_id = hex_text(build_id, build_id_length);
	BH_TRY(read_text(kernel->path, size, &text));
	const struct bh_tick_layout layout = {
		.text = text,
		.text_size = size,
		.entries = entries,
		.entry_count = entry_count,
		.stub_offset = -STUB_DISTANCE,
	};
	struct bh_error *error = NULL;
	if (bh_tick_text_stub_size(entry_count) > (uint64_t)STUB_DISTANCE / 2)
		error = bh_error_new(BH_ERR_INPUT, "%s: too many functions (%zu)", kernel->path,
				     entry_count);
	if (!error)
		error = bh_tick_text_create(&layout, &kernel->text);
	if (!error)
		error = map_code(kernel);
	free(text);
	return error;
}

struct bh_error *bh_engine_open_kernels(struct bh_replay *replay)
{
	size_t count = bh_trace_input_count(replay->trace);

	replay->kernels = calloc(count + 1, sizeof(*replay->kernels));
	if (!replay->kernels)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const struct bh_trace_input *input = bh_trace_input(replay->trace, i);
		if (input->role != BH_TRACE_KERNEL)
			continue;
		struct bh_replay_kernel *kernel = &replay->kernels[replay->kernel_count];
		BH_TRY(replay->find_kernel(replay->find_kernel_arg, input->name, &kernel->path));
		replay->kernel_count++;
		BH_TRY(open_kernel(kernel));
	}
	return NULL;
}

void bh_engine_close_kernels(struct bh_replay *replay)
{
	for (size_t i = 0; i < replay->kernel_count; i++) {
		struct bh_replay_kernel *kernel = &replay->kernels[i];
		bh_tick_text_destroy(kernel->text);
		bh_code_map_destroy(kernel->code);
		bh_image_close(kernel->image);
		free(kernel->build_id);
		free(kernel->path);
	}
	free(replay->kernels);
}

/* The text that is exchanged must be what the node really has. */
static struct bh_error *check_text(struct bh_replay *replay, const struct bh_replay_node *node)
{
	size_t size = (bh_image_text_size(node->kernel->image) + PAGE - 1) & ~(PAGE - 1);
	uint8_t *mapped = malloc(size);
	uint8_t *text = NULL;

	if (!mapped)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	struct bh_error *error = read_text(node->kernel->path, size, &text);
	if (!error && (bh_engine_read(replay, node->facts.base, mapped, size) != size ||
		       memcmp(mapped, text, size) != 0))
		error = bh_error_new(BH_ERR_INTERNAL,
				     "the text of node %s differs from its image %s", node->name,
				     node->kernel->path);
	free(mapped);
	free(text);
	return error;
}

/* Stubs must not cover the RAM of the node below. */
static struct bh_error *check_room(struct bh_replay *replay, const struct bh_replay_node *node)
{
	uint64_t size =
		bh_engine_u64(replay, node->facts.boot + offsetof(struct bh_boot, ram_size));

	if (size <= BH_NODE_SPAN - 2 * (uint64_t)STUB_DISTANCE)
		return NULL;
	return bh_error_new(BH_ERR_INPUT,
			    "node %s has %llu bytes of memory, too many to be replayed: record it "
			    "with 4000 MiB or less",
			    node->name, (unsigned long long)size);
}

struct bh_error *bh_engine_place_kernels(struct bh_replay *replay)
{
	char path[4096];

	for (size_t i = 0; i < replay->node_count; i++) {
		struct bh_replay_node *node = &replay->nodes[i];
		/* Another node is replayed alone. */
		if (!node->facts.base)
			continue;
		memset(path, 0, sizeof(path));
		bh_engine_read(replay, node->facts.image_path, path, sizeof(path) - 1);
		for (size_t k = 0; k < replay->kernel_count; k++) {
			if (!strcmp(replay->kernels[k].path, path))
				node->kernel = &replay->kernels[k];
		}
		if (!node->kernel)
			return bh_error_new(
				BH_ERR_INPUT,
				"the trace doesn't name the kernel image of node %s (%s)",
				node->name, path);
		BH_TRY(bh_timeline_add_region(replay->timeline, node->facts.base,
					      node->kernel->text, node->kernel->code));
		BH_TRY(check_room(replay, node));
		if (!i || replay->only_node == i)
			BH_TRY(check_text(replay, node));
	}
	return NULL;
}

void bh_engine_stub_range(const struct bh_replay_node *node, uint64_t *start_ret,
			  uint64_t *size_ret)
{
	*start_ret = node->facts.base - (uint64_t)STUB_DISTANCE;
	*size_ret = bh_tick_text_stub_size(bh_tick_text_entry_count(node->kernel->text));
}

/* Where an image mapped at base has its dynamic section; 0 if it can't be told. */
static uint64_t find_dynamic(struct bh_replay *replay, uint64_t base)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;

	if (bh_engine_read(replay, base, &header, sizeof(header)) != sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return 0;
	for (unsigned int i = 0; i < header.e_phnum && i < 64; i++) {
		uint64_t at = base + header.e_phoff + i * sizeof(segment);
		if (bh_engine_read(replay, at, &segment, sizeof(segment)) != sizeof(segment))
			return 0;
		if (segment.p_type == PT_DYNAMIC)
			return base + segment.p_vaddr;
	}
	return 0;
}

static int read_for_posix(void *arg, uint64_t address, void *bytes_ret, size_t length)
{
	return bh_engine_read(arg, address, bytes_ret, length) == length ? 0 : -1;
}

static void fill_kernel_image(struct bh_replay *replay, uint32_t number,
			      struct bh_replay_image *image_ret)
{
	const struct bh_replay_node *node = &replay->nodes[number];

	*image_ret = (struct bh_replay_image){
		.node = number,
		.base = node->facts.base,
		.size = bh_image_size(node->kernel->image),
		.dynamic = find_dynamic(replay, node->facts.base),
		.path = node->kernel->path,
		.build_id = node->kernel->build_id,
		.is_kernel = 1,
	};
}

static int is_shown(const struct bh_replay *replay, uint32_t node)
{
	return replay->only_node == BH_NO_NODE || replay->only_node == node;
}

struct bh_error *bh_replay_images(struct bh_replay *replay,
				  const struct bh_replay_image **images_ret, size_t *count_ret)
{
	struct bh_posix_image *programs = NULL;
	size_t program_count = 0;

	free(replay->images);
	free(replay->image_paths);
	replay->images = NULL;
	replay->image_paths = NULL;
	BH_TRY(bh_posix_image_list(read_for_posix, replay, &programs, &program_count));
	replay->image_count = replay->node_count + program_count;
	replay->images = calloc(replay->image_count + 1, sizeof(*replay->images));
	replay->image_paths = calloc(program_count + 1, sizeof(*replay->image_paths));
	if (!replay->images || !replay->image_paths) {
		free(programs);
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	}
	replay->image_count = 0;
	for (size_t i = 0; i < replay->node_count; i++) {
		if (is_shown(replay, (uint32_t)i))
			fill_kernel_image(replay, (uint32_t)i,
					  &replay->images[replay->image_count++]);
	}
	for (size_t i = 0; i < program_count; i++) {
		if (!is_shown(replay, programs[i].node))
			continue;
		memcpy(replay->image_paths[i], programs[i].path, sizeof(programs[i].path));
		replay->image_paths[i][sizeof(programs[i].path) - 1] = 0;
		replay->images[replay->image_count++] = (struct bh_replay_image){
			.node = programs[i].node,
			.base = programs[i].base,
			.size = programs[i].size,
			.dynamic = programs[i].dynamic,
			.path = replay->image_paths[i],
		};
	}
	free(programs);
	*images_ret = replay->images;
	*count_ret = replay->image_count;
	return NULL;
}
