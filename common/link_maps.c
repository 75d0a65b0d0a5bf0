/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells a debugger which images lie where: see link_maps.h. */
#include "common/link_maps.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

struct bh_link_map bh_link_maps;

/*
 * No thread is ever made. With this the program contains the names by which gdb's libthread_db
 * knows the C library's threads; else it would take those of the first program on a node for this
 * one's (gdb 13, linux-thread-db.c) and fail: "Cannot find user-level thread".
 */
__attribute__((used)) static const void *const threads = (const void *)pthread_create;

static struct link_map *last;
static int is_begun, is_changed;

void bh_link_maps_begin(void)
{
	/* The C library's own list of a static program: the executable and the vDSO. It stays as it
	 * is, because the library walks through it with more members than <link.h> shows. */
	const struct link_map *own = _r_debug.r_map;

	if (is_begun || !own || getauxval(AT_BASE) || !_r_debug.r_brk)
		return;
	is_begun = 1;
	bh_link_maps.map = (struct link_map){
		.l_addr = own->l_addr,
		.l_name = (char *)"",
		.l_ld = own->l_ld,
	};
	last = _r_debug.r_map = &bh_link_maps.map;
}

struct bh_link_map *bh_link_maps_add(const struct bh_link_map *entry, const char *path,
				     uint64_t bias, uint64_t dynamic)
{
	struct bh_link_map *added;
	char *name;

	if (!is_begun || !dynamic)
		return NULL;
	added = malloc(sizeof(*added));
	name = strdup(path);
	if (!added || !name) {
		free(added);
		free(name);
		return NULL;
	}
	*added = *entry;
	added->map = (struct link_map){
		.l_addr = bias,
		.l_name = name,
		.l_ld = (void *)dynamic,
		.l_prev = last,
	};
	last->l_next = &added->map;
	last = &added->map;
	is_changed = 1;
	return added;
}

void bh_link_maps_remove(struct bh_link_map *entry)
{
	if (!entry)
		return;
	entry->map.l_prev->l_next = entry->map.l_next;
	if (entry->map.l_next)
		entry->map.l_next->l_prev = entry->map.l_prev;
	else
		last = entry->map.l_prev;
	free(entry->map.l_name);
	free(entry);
	is_changed = 1;
}

void bh_link_maps_publish(void)
{
	if (!is_changed)
		return;
	is_changed = 0;
	((void (*)(void))_r_debug.r_brk)();
}
