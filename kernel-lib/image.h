/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel image as build.sh makes it: opened and checked once, mapped once for each node. Used by
 * node.c; the replayer reads the patchable entries and the build-id.
 */
#ifndef BH_KERNEL_LIB_IMAGE_H
#define BH_KERNEL_LIB_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "kernel-lib/arch/backhop/include/asm/host_abi.h"

struct bh_image;

/* Refuses, in one sentence, what isn't an image of ours. The file stays open until close. */
struct bh_error *bh_image_open(const char *path, struct bh_image **image_ret);
/* Takes NULL. Nodes that are still mapped stay valid. */
void bh_image_close(struct bh_image *image);
/* Its descriptor is another process's: opens the file again. */
struct bh_error *bh_image_reopen(struct bh_image *image);

/* All answers are valid until bh_image_close(). */
const char *bh_image_path(const struct bh_image *image);
/* Bytes of address space that a mapped image covers, a multiple of the page size. */
size_t bh_image_size(const struct bh_image *image);
/* Offset of the entry point from the address where the image is mapped. */
uint64_t bh_image_entry(const struct bh_image *image);
/* Offset of the dynamic section from there. */
uint64_t bh_image_dynamic(const struct bh_image *image);
/* The part with code and constants, shared between nodes: from offset 0, this many bytes. */
size_t bh_image_text_size(const struct bh_image *image);
/* Copies the code and constants from the file, and what follows them there up to size. */
struct bh_error *bh_image_read_text(const struct bh_image *image, void *text_ret, size_t size);
/* The same in the file: its bytes. */
const uint8_t *bh_image_text(const struct bh_image *image, size_t *size_ret);
/* Each address that the image's data holds, and each at which code goes on after a fault; from the
 * address where the image is mapped, in no order. */
void bh_image_pointers(const struct bh_image *image, void (*found)(void *arg, uint64_t address),
		       void *arg);
const uint8_t *bh_image_build_id(const struct bh_image *image, size_t *length_ret);
/* Offsets of all functions' patchable entries (each a 5-byte NOP), ascending. NULL and 0 if the
 * image has none. */
const uint32_t *bh_image_patchable_entries(const struct bh_image *image, size_t *count_ret);

/* What the kernel calls a reason for dropping a packet ("NETFILTER_DROP"), or NULL. */
const char *bh_image_drop_reason(const struct bh_image *image, unsigned int number);
/* All of them, in the kernel's order. */
const struct bh_drop_reason *bh_image_drop_reasons(const struct bh_image *image, size_t *count_ret);

/* A file that the root of every node with this image shows. */
struct bh_image_file {
	char *path; /* "/usr/lib/modules/6.1.192/modules.builtin" */
	const uint8_t *data;
	size_t size;
};
const struct bh_image_file *bh_image_files(const struct bh_image *image, size_t *count_ret);

/*
 * Maps the image at address (page-aligned), replacing what is mapped there: code and constants
 * private from the file, so the page cache shares them; data private and relocated. On failure
 * the range is in an unknown state; unmap it.
 */
struct bh_error *bh_image_map(const struct bh_image *image, uint64_t address);
/*
 * Gives the memory of a mapped image's data back to the host; nothing may run in it until
 * bh_image_reset() has made it what it was after bh_image_map(). Code stays as it is, so a
 * debugger's breakpoints in it do, too.
 */
void bh_image_release(const struct bh_image *image, uint64_t address);
void bh_image_reset(const struct bh_image *image, uint64_t address);

#endif
