/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FP registers of programs. A system call that the node's kernel answers by itself needs none, and
 * the kernel is built without them, so they stay where they are; whatever else may run, that is
 * every function of the host that the image calls, is entered through code that saves them first
 * (bh_fp_thunks in entry.S). Called by node.c, for the tables that the image gets.
 */
#include <assert.h>
#include <string.h>

#include "posix/internal.h"

#define USER_FIRST	    0u
#define HOST_FIRST	    32u
#define COUNT_OF_OPS(table) (sizeof(table) / sizeof(void (*)(void)))

typedef void (*any_function)(void);

/* entry.S */
extern const char bh_fp_thunks[];
#define THUNK_SIZE 32u

char bh_fp_is_live;
any_function bh_fp_targets[64];

_Static_assert(COUNT_OF_OPS(struct bh_user_ops) <= HOST_FIRST - USER_FIRST &&
		       COUNT_OF_OPS(struct bh_host_ops) <= 64 - HOST_FIRST,
	       "the number of thunks in entry.S");

static void wrap(any_function *functions, size_t count, size_t first)
{
	for (size_t i = 0; i < count; i++) {
		if (!functions[i])
			continue;
		/* All nodes of a run have the same functions. */
		bh_fp_targets[first + i] = functions[i];
		functions[i] = (any_function)(bh_fp_thunks + (first + i) * THUNK_SIZE);
	}
}

void bh_fp_wrap_user_ops(const struct bh_user_ops *ops, struct bh_user_ops *wrapped_ret)
{
	any_function functions[COUNT_OF_OPS(*ops)];

	memcpy(functions, ops, sizeof(*ops));
	wrap(functions, COUNT_OF_OPS(*ops), USER_FIRST);
	memcpy(wrapped_ret, functions, sizeof(*ops));
}

void bh_fp_wrap_host_ops(const struct bh_host_ops *ops, struct bh_host_ops *wrapped_ret)
{
	any_function functions[COUNT_OF_OPS(*ops)];

	memcpy(functions, ops, sizeof(*ops));
	wrap(functions, COUNT_OF_OPS(*ops), HOST_FIRST);
	memcpy(wrapped_ret, functions, sizeof(*ops));
	/* Asked at every call, and safe by its contract. */
	wrapped_ret->clock_ns = ops->clock_ns;
}
