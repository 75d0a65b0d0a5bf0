/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Error values: see error.h. Called by every layer. */
#include "common/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
	struct bh_error error;
	char message[32];
} out_of_memory = {{BH_ERR_NOMEM}, "out of memory"};

struct bh_error *bh_error_new(enum bh_error_code code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	struct bh_error *error = length < 0 ? NULL : malloc(sizeof(*error) + (size_t)length + 1);
	if (!error)
		return &out_of_memory.error;
	error->code = code;
	va_start(args, format);
	vsnprintf(error->message, (size_t)length + 1, format, args);
	va_end(args);
	return error;
}

void bh_error_free(struct bh_error *error)
{
	if (error != &out_of_memory.error)
		free(error);
}

int bh_error_exit_status(const struct bh_error *error)
{
	switch (error->code) {
	case BH_ERR_USAGE:
	case BH_ERR_INPUT:
		return 2;
	case BH_ERR_DIVERGED:
		return 3;
	default:
		return 4;
	}
}
