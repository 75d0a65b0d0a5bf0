/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is to be done before this process dies: see last_words.h. */
#include "common/last_words.h"

#include <stddef.h>

static volatile bh_last_words_fn current;
static void *volatile current_arg;

void bh_last_words_set(bh_last_words_fn say, void *arg)
{
	current = NULL;
	current_arg = arg;
	current = say;
}

void bh_last_words_say(void)
{
	bh_last_words_fn say = current;

	current = NULL;
	if (say)
		say(current_arg);
}
