/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters of frames in the syntax of pcap-filter(7): the door to libpcap. Used by simulator/ for
 * expectations, and by whatever looks for packets.
 */
#ifndef BH_COMMON_FRAME_FILTER_H
#define BH_COMMON_FRAME_FILTER_H

#include <stddef.h>

#include "common/error.h"

struct bh_frame_filter;

/*
 * An error is BH_ERR_INPUT with libpcap's own words. Names of hosts, networks and services mean
 * nothing here (a run depends on no host's tables): they are refused, numbers and addresses are
 * what a filter takes.
 */
struct bh_error *bh_frame_filter_create(const char *text, struct bh_frame_filter **filter_ret);
/* Takes NULL. */
void bh_frame_filter_destroy(struct bh_frame_filter *filter);
/* frame: from the Ethernet destination address on. Allocates nothing, needs little stack. */
int bh_frame_filter_matches(const struct bh_frame_filter *filter, const void *frame, size_t length);
/* The same for a frame of length bytes of which only the first ones were kept: a filter that looks
 * at others doesn't match. */
int bh_frame_filter_matches_begin(const struct bh_frame_filter *filter, const void *frame,
				  size_t captured, size_t length);

#endif
