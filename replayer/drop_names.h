/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the value of a DROP event means: the kernel's name of the reason, from the trace, and the
 * function that dropped the packet, from the kernel image's debug information if this machine has
 * the image that the trace was recorded with. Used by the commands that show events and by
 * packet_build.c.
 */
#ifndef BH_REPLAYER_DROP_NAMES_H
#define BH_REPLAYER_DROP_NAMES_H

#include "common/event.h"
#include "traces/trace.h"

struct bh_drop_names;

/* NULL when out of memory; what isn't known has no name. The trace must outlive it. find_kernel as
 * in simulator/sim.h. */
struct bh_drop_names *bh_drop_names_create(const struct bh_trace *trace,
					   struct bh_error *(*find_kernel)(void *arg,
									   const char *version,
									   char **path_ret),
					   void *find_kernel_arg);
/* Takes NULL. */
void bh_drop_names_destroy(struct bh_drop_names *names);

/* "NETFILTER_DROP"; NULL if it isn't known. Valid until destroy. */
const char *bh_drop_reason(struct bh_drop_names *names, const struct bh_event *event);
/* "nf_hook_slow"; NULL if it isn't known. Valid until the next call. */
const char *bh_drop_function(struct bh_drop_names *names, const struct bh_event *event);

#endif
