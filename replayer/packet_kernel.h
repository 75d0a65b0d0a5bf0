/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What following packets needs to know of a kernel image, from its debug information: where
 * functions begin and where the fields of its structures lie. Used by packet_pass.c and
 * packet_trace.c.
 */
#ifndef BH_REPLAYER_PACKET_KERNEL_H
#define BH_REPLAYER_PACKET_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "common/symbols.h"

struct bh_image;

/* Offsets of fields in bytes. */
struct bh_skb_layout {
	uint64_t kcov_handle, head, data, tail, len, sk, dev;
	uint64_t protocol, mac_header, network_header;
	uint64_t sock_family; /* in struct sock */
};

/* Non-zero if all of them are known. */
int bh_skb_layout_read(const struct bh_symbols *symbols, struct bh_skb_layout *layout_ret);

/* --- socket buffers in a node's memory, in the process that runs it --- */

static inline uint64_t *bh_skb_lineage(const struct bh_skb_layout *layout, uint64_t skb)
{
	return (uint64_t *)(skb + layout->kcov_handle);
}

/*
 * Copies what is linear of the packet, from its Ethernet header on; where it has none, from its
 * network header behind an Ethernet header without addresses. Returns the number of bytes;
 * *length_ret is what the whole would have.
 */
size_t bh_skb_copy_frame(const struct bh_skb_layout *layout, uint64_t skb, uint8_t *frame_ret,
			 size_t size, size_t *length_ret);
/* Whether its socket is a packet socket: what tcpdump sees is a copy. */
int bh_skb_is_captured(const struct bh_skb_layout *layout, uint64_t skb);

/* --- functions that take socket buffers --- */

struct bh_skb_function {
	uint32_t entry;		/* offset of its patchable entry */
	unsigned int arguments; /* a bit for each argument that is one */
	char name[64];
};

/*
 * All of them, by entry. They are kept in a file in folder (NULL: nowhere), by the image's
 * build-id, because it takes a while to find them. NULL when out of memory; the caller frees it.
 */
struct bh_skb_function *bh_skb_functions(const struct bh_image *image,
					 const struct bh_symbols *symbols, const char *folder,
					 size_t *count_ret);

/* The offset of a function's patchable entry in the image; 0 if it has none. */
uint32_t bh_kernel_entry(const struct bh_image *image, const struct bh_symbols *symbols,
			 const char *function);

#endif
