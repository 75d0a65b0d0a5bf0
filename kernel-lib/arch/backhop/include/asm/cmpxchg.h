/* SPDX-License-Identifier: GPL-2.0 */
/* Exchange and compare-and-exchange: see asm/atomic.h for why plain accesses suffice. */
#ifndef _ASM_BACKHOP_CMPXCHG_H
#define _ASM_BACKHOP_CMPXCHG_H

#include <linux/compiler.h>

#define arch_xchg(ptr, new)                                                                        \
	({                                                                                         \
		__typeof__(ptr) __bh_p = (ptr);                                                    \
		__typeof__(*(ptr)) __bh_new = (__typeof__(*(ptr)))(new);                           \
		__typeof__(*(ptr)) __bh_old;                                                       \
		barrier();                                                                         \
		__bh_old = *__bh_p;                                                                \
		*__bh_p = __bh_new;                                                                \
		barrier();                                                                         \
		__bh_old;                                                                          \
	})

#define arch_cmpxchg(ptr, old, new)                                                                \
	({                                                                                         \
		__typeof__(ptr) __bh_p = (ptr);                                                    \
		__typeof__(*(ptr)) __bh_want = (__typeof__(*(ptr)))(old);                          \
		__typeof__(*(ptr)) __bh_new = (__typeof__(*(ptr)))(new);                           \
		__typeof__(*(ptr)) __bh_old;                                                       \
		barrier();                                                                         \
		__bh_old = *__bh_p;                                                                \
		if (__bh_old == __bh_want)                                                         \
			*__bh_p = __bh_new;                                                        \
		barrier();                                                                         \
		__bh_old;                                                                          \
	})

#define arch_cmpxchg_local(ptr, old, new)   arch_cmpxchg(ptr, old, new)
#define arch_cmpxchg64(ptr, old, new)	    arch_cmpxchg(ptr, old, new)
#define arch_cmpxchg64_local(ptr, old, new) arch_cmpxchg(ptr, old, new)

#endif
