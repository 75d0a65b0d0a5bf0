/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors as values. A function that can fail returns struct bh_error *; NULL is success. Libraries
 * never print or exit: only cli/ prints the message and turns the code into an exit status.
 */
#ifndef BH_COMMON_ERROR_H
#define BH_COMMON_ERROR_H

enum bh_error_code {
	BH_ERR_USAGE = 1, /* wrong command line: exit status 2 */
	BH_ERR_INPUT,	  /* bad scenario, trace or program: exit status 2 */
	BH_ERR_DIVERGED,  /* a replay differs from its recording: exit status 3 */
	BH_ERR_MACHINE,	  /* the machine lacks something, which is named: exit status 4 */
	BH_ERR_NOMEM,	  /* out of memory: exit status 4 */
	BH_ERR_INTERNAL,  /* a fault of ours: exit status 4 */
};

struct bh_error {
	enum bh_error_code code;
	char message[]; /* one sentence: what, where, what to do; no trailing newline */
};

/* Never returns NULL: falls back to a static out-of-memory error. The caller owns the result. */
struct bh_error *bh_error_new(enum bh_error_code code, const char *format, ...)
	__attribute__((format(printf, 2, 3), returns_nonnull));

/* Takes NULL. */
void bh_error_free(struct bh_error *error);

/* The process exit status for an error, as DESIGN.md section 7 lists them. */
int bh_error_exit_status(const struct bh_error *error);

#define BH_TRY(expression)                                                                         \
	do {                                                                                       \
		struct bh_error *bh_try_error = (expression);                                      \
		if (bh_try_error)                                                                  \
			return bh_try_error;                                                       \
	} while (0)

#endif
