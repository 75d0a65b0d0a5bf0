/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Computes for some hundred thousand instructions without a system call, and meets deep() on the
 * way: for tests/gdb/compute. */
#include <stdio.h>
#include <string.h>

static unsigned char bytes[256];

__attribute__((noinline)) unsigned int mix(unsigned int value)
{
	for (unsigned int i = 0; i < 8; i++)
		value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
	return value;
}

__attribute__((noinline)) unsigned int deep(unsigned int value)
{
	__asm__ volatile("" : "+r"(value));
	return value + 1;
}

int main(void)
{
	unsigned int value = 1;

	for (unsigned int i = 1; i <= 5000; i++) {
		value = mix(value + i);
		if (i % 64 == 0)
			memset(bytes, (int)i, sizeof(bytes));
		value ^= bytes[i % sizeof(bytes)];
		if (i == 4000 || i == 4001)
			value = deep(value);
	}
	printf("%08x\n", value);
	return 0;
}
