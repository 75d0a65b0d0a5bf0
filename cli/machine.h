/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this machine has of what backhop needs, one check a line: used by cmd_doctor.c. Every check
 * tries the thing itself, in a child process where it would change this one.
 */
#ifndef BH_CLI_MACHINE_H
#define BH_CLI_MACHINE_H

#include <stddef.h>

enum bh_check_state {
	BH_CHECK_OK,
	BH_CHECK_ABSENT,  /* not there, and not needed: says what one misses */
	BH_CHECK_MISSING, /* needed */
};

#define BH_CHECKS_MAX 40u

struct bh_check {
	char name[40];
	enum bh_check_state state;
	char detail[200]; /* what was found */
	char advice[200]; /* what to install or change; "" if nothing */
};

struct bh_checks {
	struct bh_check list[BH_CHECKS_MAX];
	size_t count;
};

/* Adds a check; more than BH_CHECKS_MAX are dropped. */
void bh_check_add(struct bh_checks *checks, const char *name, enum bh_check_state state,
		  const char *advice, const char *detail_format, ...)
	__attribute__((format(printf, 5, 6)));

/* machine.c: processor and host kernel. */
void bh_checks_processor(struct bh_checks *checks);
void bh_checks_host_kernel(struct bh_checks *checks);
void bh_checks_memory(struct bh_checks *checks);
/* machine_tools.c: what is installed. */
void bh_checks_gdb(struct bh_checks *checks);
void bh_checks_kernels(struct bh_checks *checks);
void bh_checks_rr(struct bh_checks *checks);

#endif
