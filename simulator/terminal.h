/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program with a terminal on a node, for a person who explores it: what the person types is an
 * input of the run. A run has at most one. Whoever runs the simulation gives the input through a
 * hook: cli/shell.c what is typed, replayer/ what was recorded.
 */
#ifndef BH_SIMULATOR_TERMINAL_H
#define BH_SIMULATOR_TERMINAL_H

#include <stddef.h>
#include <stdint.h>

#define BH_TERMINAL_NEVER UINT64_MAX

/* What is typed at one moment, or a new size of the window. */
struct bh_terminal_typed {
	uint64_t vtime_ns;
	const void *data; /* copied */
	size_t length;
	uint16_t rows, columns; /* 0: as before */
};

/* The moment before the next event of the run. */
struct bh_terminal_moment {
	uint64_t now_ns;
	uint64_t next_ns;    /* of that event; BH_TERMINAL_NEVER: there is none */
	uint64_t next_event; /* the number that an input would have */
	int is_read;	     /* a program waits for input from the terminal */
};

enum bh_terminal_answer {
	BH_TERMINAL_NOTHING, /* go on */
	BH_TERMINAL_TYPED,
	BH_TERMINAL_LEFT, /* the person has left: end the run */
};

struct bh_terminal {
	uint32_t node;
	char *const *argv;	  /* NULL-terminated */
	char *const *environment; /* NULL-terminated "NAME=value"; added to the fixed default one */
	uint64_t start_ns;
	/* Called on the simulator's own stack between events, from the start of the program on.
	 * typed_ret->vtime_ns must lie between now and next. */
	enum bh_terminal_answer (*input)(void *arg, const struct bh_terminal_moment *moment,
					 struct bh_terminal_typed *typed_ret);
	/* What the terminal shows; called on a stack inside the node. May be NULL. */
	void (*output)(void *arg, const void *data, size_t length);
	void *arg;
};

#endif
