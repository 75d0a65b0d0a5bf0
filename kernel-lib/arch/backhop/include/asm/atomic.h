/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Atomic operations for one CPU whose interrupts arrive only in the idle task: ordinary memory
 * operations are atomic enough, only the compiler must be kept from reordering around them.
 */
#ifndef _ASM_BACKHOP_ATOMIC_H
#define _ASM_BACKHOP_ATOMIC_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/cmpxchg.h>

#define arch_atomic_read(v)	READ_ONCE((v)->counter)
#define arch_atomic_set(v, i)	WRITE_ONCE((v)->counter, (i))
#define arch_atomic64_read(v)	READ_ONCE((v)->counter)
#define arch_atomic64_set(v, i) WRITE_ONCE((v)->counter, (i))

#define ATOMIC64_INIT(i)                                                                           \
	{                                                                                          \
		(i)                                                                                \
	}

#define BH_ATOMIC_VOID(prefix, type, vtype, name, insn, suffix)                                    \
	static __always_inline void arch_##prefix##_##name(type i, vtype *v)                       \
	{                                                                                          \
		asm volatile(insn suffix " %1,%0" : "+m"(v->counter) : "er"(i) : "memory");        \
	}

#define BH_ATOMIC_RETURN(prefix, type, vtype, name, op)                                            \
	static __always_inline type arch_##prefix##_##name##_return(type i, vtype *v)              \
	{                                                                                          \
		type result;                                                                       \
                                                                                                   \
		barrier();                                                                         \
		result = v->counter op i;                                                          \
		v->counter = result;                                                               \
		barrier();                                                                         \
		return result;                                                                     \
	}

#define BH_ATOMIC_FETCH(prefix, type, vtype, name, op)                                             \
	static __always_inline type arch_##prefix##_fetch_##name(type i, vtype *v)                 \
	{                                                                                          \
		type old;                                                                          \
                                                                                                   \
		barrier();                                                                         \
		old = v->counter;                                                                  \
		v->counter = old op i;                                                             \
		barrier();                                                                         \
		return old;                                                                        \
	}

#define BH_ATOMIC_ALL(prefix, type, vtype, suffix)                                                 \
	BH_ATOMIC_VOID(prefix, type, vtype, add, "add", suffix)                                    \
	BH_ATOMIC_VOID(prefix, type, vtype, sub, "sub", suffix)                                    \
	BH_ATOMIC_VOID(prefix, type, vtype, and, "and", suffix)                                    \
	BH_ATOMIC_VOID(prefix, type, vtype, or, "or", suffix)                                      \
	BH_ATOMIC_VOID(prefix, type, vtype, xor, "xor", suffix)                                    \
	BH_ATOMIC_RETURN(prefix, type, vtype, add, +)                                              \
	BH_ATOMIC_RETURN(prefix, type, vtype, sub, -)                                              \
	BH_ATOMIC_FETCH(prefix, type, vtype, add, +)                                               \
	BH_ATOMIC_FETCH(prefix, type, vtype, sub, -)                                               \
	BH_ATOMIC_FETCH(prefix, type, vtype, and, &)                                               \
	BH_ATOMIC_FETCH(prefix, type, vtype, or, |)                                                \
	BH_ATOMIC_FETCH(prefix, type, vtype, xor, ^)                                               \
	static __always_inline type arch_##prefix##_cmpxchg(vtype *v, type old, type new)          \
	{                                                                                          \
		return arch_cmpxchg(&v->counter, old, new);                                        \
	}                                                                                          \
	static __always_inline type arch_##prefix##_xchg(vtype *v, type new)                       \
	{                                                                                          \
		return arch_xchg(&v->counter, new);                                                \
	}

BH_ATOMIC_ALL(atomic, int, atomic_t, "l")
BH_ATOMIC_ALL(atomic64, s64, atomic64_t, "q")

/* Telling the generic layer which of the above exist. */
#define arch_atomic_add_return	 arch_atomic_add_return
#define arch_atomic_sub_return	 arch_atomic_sub_return
#define arch_atomic_fetch_add	 arch_atomic_fetch_add
#define arch_atomic_fetch_sub	 arch_atomic_fetch_sub
#define arch_atomic_fetch_and	 arch_atomic_fetch_and
#define arch_atomic_fetch_or	 arch_atomic_fetch_or
#define arch_atomic_fetch_xor	 arch_atomic_fetch_xor
#define arch_atomic_cmpxchg	 arch_atomic_cmpxchg
#define arch_atomic_xchg	 arch_atomic_xchg
#define arch_atomic64_add_return arch_atomic64_add_return
#define arch_atomic64_sub_return arch_atomic64_sub_return
#define arch_atomic64_fetch_add	 arch_atomic64_fetch_add
#define arch_atomic64_fetch_sub	 arch_atomic64_fetch_sub
#define arch_atomic64_fetch_and	 arch_atomic64_fetch_and
#define arch_atomic64_fetch_or	 arch_atomic64_fetch_or
#define arch_atomic64_fetch_xor	 arch_atomic64_fetch_xor
#define arch_atomic64_cmpxchg	 arch_atomic64_cmpxchg
#define arch_atomic64_xchg	 arch_atomic64_xchg

#undef BH_ATOMIC_ALL
#undef BH_ATOMIC_FETCH
#undef BH_ATOMIC_RETURN
#undef BH_ATOMIC_VOID

#endif
