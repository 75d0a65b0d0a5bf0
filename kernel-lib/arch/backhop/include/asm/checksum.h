/* SPDX-License-Identifier: GPL-2.0 */
/* Internet checksums: the generic interface over one fast sum (lib/checksum.c). */
#ifndef _ASM_BACKHOP_CHECKSUM_H
#define _ASM_BACKHOP_CHECKSUM_H

#include <linux/types.h>

unsigned int bh_do_csum(const unsigned char *data, int len);
#define do_csum bh_do_csum

/* An IPv4 header of ihl 32-bit words, at least five. */
static __always_inline __sum16 bh_ip_fast_csum(const void *header, unsigned int ihl)
{
	const u32 *word = header;
	u64 sum = (u64)word[0] + word[1] + word[2] + word[3] + word[4];
	unsigned int i;

	for (i = 5; i < ihl; i++)
		sum += word[i];
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__force __sum16)~sum;
}
#define ip_fast_csum(header, ihl) bh_ip_fast_csum(header, ihl)

static __always_inline __wsum bh_csum_tcpudp_nofold(__be32 saddr, __be32 daddr, u32 len, u8 proto,
						    __wsum start)
{
	u64 sum = (__force u64)start + (__force u32)saddr + (__force u32)daddr +
		  (((u64)proto + len) << 8);

	sum = (sum & 0xffffffff) + (sum >> 32);
	return (__force __wsum)(u32)(sum + (sum >> 32));
}
#define csum_tcpudp_nofold bh_csum_tcpudp_nofold

#include <asm-generic/checksum.h>

#endif
