/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints a stranger's text: names and paths from a trace can't move the terminal's cursor. */
#ifndef BH_CLI_SAFE_TEXT_H
#define BH_CLI_SAFE_TEXT_H

#include <stdio.h>

/* Control characters become '?'. */
static inline void bh_print_safe(FILE *stream, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, stream);
}

#endif
