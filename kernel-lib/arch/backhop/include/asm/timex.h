/* SPDX-License-Identifier: GPL-2.0 */
/* The only clock is the simulator's. Never 0, since random.c takes that for a missing counter. */
#ifndef _ASM_BACKHOP_TIMEX_H
#define _ASM_BACKHOP_TIMEX_H

typedef unsigned long cycles_t;

unsigned long bh_clock_ns(void);

static inline cycles_t get_cycles(void)
{
	return bh_clock_ns() + 1;
}
#define get_cycles get_cycles

#endif
