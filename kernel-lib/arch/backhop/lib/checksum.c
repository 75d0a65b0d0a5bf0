// SPDX-License-Identifier: GPL-2.0
/* The sum under all Internet checksums: generic lib/checksum.c calls it as do_csum(). */
#include <linux/types.h>
#include <asm/checksum.h>

static __always_inline u64 add_carry(u64 sum, u64 value)
{
	asm("add %1,%0\n\tadc $0,%0" : "+r"(sum) : "rm"(value) : "cc");
	return sum;
}

/*
 * Ones' complement sum of 16-bit words, folded to 16 bits. The machine reads unaligned words at no
 * cost, so an odd address needs no care: the sum is over the bytes in their order.
 */
unsigned int bh_do_csum(const unsigned char *data, int len)
{
	u64 sum = 0;

	for (; len >= 32; len -= 32, data += 32) {
		const u64 *word = (const u64 *)data;

		asm("add %1,%0\n\tadc %2,%0\n\tadc %3,%0\n\tadc %4,%0\n\tadc $0,%0"
		    : "+r"(sum)
		    : "m"(word[0]), "m"(word[1]), "m"(word[2]), "m"(word[3])
		    : "cc");
	}
	for (; len >= 8; len -= 8, data += 8)
		sum = add_carry(sum, *(const u64 *)data);
	if (len > 0) {
		u64 rest = 0;
		int i;

		for (i = 0; i < len; i++)
			rest |= (u64)data[i] << (8 * i);
		sum = add_carry(sum, rest);
	}
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}
