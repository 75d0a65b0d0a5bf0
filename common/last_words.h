/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is to be done before this process dies of a signal: a recorder saves what it has. Set by
 * recorder/, said by the signal handlers of posix/ (a crash) and cli/ (a second Ctrl-C), because a
 * handler can't be given an instance.
 */
#ifndef BH_COMMON_LAST_WORDS_H
#define BH_COMMON_LAST_WORDS_H

/*
 * Runs in a signal handler, perhaps on a small stack and with a program's thread pointer: it may
 * only touch memory that is there and make raw system calls (common/raw_call.h), nothing that uses
 * errno, malloc or stdio.
 */
typedef void (*bh_last_words_fn)(void *arg);

/* NULL: nothing to say any more. */
void bh_last_words_set(bh_last_words_fn say, void *arg);
/* At most once a setting. */
void bh_last_words_say(void);

#endif
