/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processor that programs see: x86-64-v2 and no more, whatever the machine has, so that a C
 * library chooses the same functions everywhere. It has Westmere's name, as the last without AVX;
 * no rdrand, no xsave, no counters.
 * Called by traps.c where a program asks (cpuid_sites.c), and by exec.c.
 */
#include "posix/internal.h"

/* Leaf 1, edx: fpu de pse tsc msr pae mce cx8 apic sep pge mca cmov pat pse36 clflush mmx fxsr sse
 * sse2; ecx: sse3 ssse3 cx16 sse4_1 sse4_2 popcnt hypervisor. */
#define FEATURES_EDX 0x078bfbfdu
#define FEATURES_ECX 0x80982201u
#define SIGNATURE    0x000206c2u
/* Leaf 0x80000001, edx: syscall nx lm; ecx: lahf. */
#define EXTENDED_EDX 0x20100800u
#define EXTENDED_ECX 0x00000001u

uint64_t bh_cpu_model_hwcap(void)
{
	return FEATURES_EDX;
}

static void answer(struct pt_regs *regs, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	regs->ax = a;
	regs->bx = b;
	regs->cx = c;
	regs->dx = d;
}

/* type: 1 data, 2 instructions, 3 both. Lines of 64 bytes. */
static void answer_cache(struct pt_regs *regs, uint32_t type, uint32_t level, uint32_t ways,
			 uint32_t bytes)
{
	answer(regs, type | level << 5 | 1 << 8, 63 | (ways - 1) << 22, bytes / 64 / ways - 1, 0);
}

static void answer_caches(struct pt_regs *regs)
{
	switch ((uint32_t)regs->cx) {
	case 0:
		answer_cache(regs, 1, 1, 8, 32 << 10);
		break;
	case 1:
		answer_cache(regs, 2, 1, 8, 32 << 10);
		break;
	case 2:
		answer_cache(regs, 3, 2, 8, 256 << 10);
		break;
	case 3:
		answer_cache(regs, 3, 3, 16, 8 << 20);
		break;
	default:
		answer(regs, 0, 0, 0, 0);
	}
}

void bh_cpu_model_cpuid(struct pt_regs *regs)
{
	switch ((uint32_t)regs->ax) {
	case 0: /* highest leaf; "GenuineIntel" */
		answer(regs, 7, 0x756e6547, 0x6c65746e, 0x49656e69);
		break;
	case 1: /* clflush of 8 x 8 bytes, one logical processor */
		answer(regs, SIGNATURE, 0x00010800, FEATURES_ECX, FEATURES_EDX);
		break;
	case 2: /* the caches of leaf 4, each by its code: who finds them here need not go on to ask
		 * that, which the C library does dozens of times for each program */
		answer(regs, 0x21302c01, 0x000000e4, 0, 0);
		break;
	case 4:
		answer_caches(regs);
		break;
	case 0x80000000:
		answer(regs, 0x80000008, 0, 0, 0);
		break;
	case 0x80000001:
		answer(regs, 0, 0, EXTENDED_ECX, EXTENDED_EDX);
		break;
	case 0x80000002: /* "Backhop virtual CPU" */
		answer(regs, 0x6b636142, 0x20706f68, 0x74726976, 0x206c6175);
		break;
	case 0x80000003:
		answer(regs, 0x00555043, 0, 0, 0);
		break;
	case 0x80000008: /* address sizes */
		answer(regs, 0x3030, 0, 0, 0);
		break;
	default:
		answer(regs, 0, 0, 0, 0);
	}
}
