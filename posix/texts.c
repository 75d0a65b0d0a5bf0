/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text as code_sites.c has changed it, kept for the processes that will map the same: changing
 * hundreds of places costs a fault and a copy of a page for each of dozens of pages, in each
 * process and each forked child. Where the stubs lie, seen from the text, decides what is in both;
 * text that comes a second time with its stubs at the same distance is copied to memory without a
 * name, from which those that follow map it, privately.
 *
 * A replay may not make such memory and changes the text of each process. Programs can't tell.
 * Called by code_sites.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "posix/internal.h"

/* Of one run. */
#define TEXT_BYTES_MAX (256ull << 20)
#define NO_MEMORY      (-2) /* as a descriptor: there is none to be had */

struct bh_text *bh_text_find(struct bh_posix *posix, const void *data, uint64_t offset,
			     uint64_t length, uint64_t distance)
{
	struct bh_text *text = posix->texts;

	for (; text; text = text->next)
		if (text->data == data && text->offset == offset && text->length == length &&
		    text->distance == distance)
			return text;
	text = calloc(1, sizeof(*text));
	if (!text)
		return NULL;
	text->data = data;
	text->offset = offset;
	text->length = length;
	text->distance = distance;
	text->next = posix->texts;
	posix->texts = text;
	return text;
}

static int is_there_room(struct bh_posix *posix, uint64_t bytes)
{
	if (posix->text_descriptor == -1)
		posix->text_descriptor = memfd_create("backhop-text", MFD_CLOEXEC);
	if (posix->text_descriptor < 0)
		posix->text_descriptor = NO_MEMORY;
	return posix->text_descriptor != NO_MEMORY && bytes <= TEXT_BYTES_MAX - posix->text_bytes;
}

void bh_text_keep(struct bh_posix *posix, struct bh_text *text, uint64_t start, uint64_t stubs,
		  uint64_t stub_bytes)
{
	uint64_t at = posix->text_bytes;

	if (++text->uses != 2 || !is_there_room(posix, text->length + stub_bytes))
		return;
	/* It fails where the mapping goes on behind the end of its file. */
	if (pwrite(posix->text_descriptor, (const void *)start, text->length, (off_t)at) !=
		    (ssize_t)text->length ||
	    (stub_bytes && pwrite(posix->text_descriptor, (const void *)stubs, stub_bytes,
				  (off_t)(at + text->length)) != (ssize_t)stub_bytes))
		return;
	text->place = at;
	text->is_kept = 1;
	posix->text_bytes = bh_page_up(at + text->length + stub_bytes);
}

int bh_text_map(const struct bh_posix *posix, const struct bh_text *text, uint64_t start,
		uint64_t length, int prot, uint64_t text_offset)
{
	if (mmap((void *)start, length, prot, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
		 posix->text_descriptor, (off_t)(text->place + text_offset)) == MAP_FAILED)
		return -1;
	return 0;
}

void bh_texts_after_fork(struct bh_posix *posix)
{
	/* The parent goes on to fill the memory that both have. */
	posix->text_bytes = TEXT_BYTES_MAX;
}

struct bh_error *bh_texts_before_snapshot(struct bh_posix *posix)
{
	uint64_t had = posix->text_copy_bytes;

	if (posix->text_descriptor < 0 || posix->text_bytes == had)
		return NULL;
	uint8_t *copy = realloc(posix->text_copy, posix->text_bytes);

	if (!copy)
		return bh_error_new(BH_ERR_NOMEM, "no memory for the programs' text");
	posix->text_copy = copy;
	/* The last page may end behind the file's end. */
	memset(copy + had, 0, posix->text_bytes - had);
	if (pread(posix->text_descriptor, copy + had, posix->text_bytes - had, (off_t)had) < 0)
		return bh_error_new(BH_ERR_INTERNAL, "cannot read the programs' text (%s)",
				    strerror(errno));
	posix->text_copy_bytes = posix->text_bytes;
	return NULL;
}

struct bh_error *bh_texts_after_restore(struct bh_posix *posix)
{
	if (posix->text_descriptor < 0)
		return NULL;
	posix->text_descriptor = memfd_create("backhop-text", MFD_CLOEXEC);
	if (posix->text_descriptor < 0 ||
	    pwrite(posix->text_descriptor, posix->text_copy, posix->text_copy_bytes, 0) !=
		    (ssize_t)posix->text_copy_bytes)
		return bh_error_new(BH_ERR_MACHINE, "cannot create a memory file (%s)",
				    strerror(errno));
	return NULL;
}

void bh_texts_destroy(struct bh_posix *posix)
{
	free(posix->text_copy);
	while (posix->texts) {
		struct bh_text *text = posix->texts;

		posix->texts = text->next;
		free(text);
	}
	if (posix->text_descriptor >= 0)
		close(posix->text_descriptor);
}
