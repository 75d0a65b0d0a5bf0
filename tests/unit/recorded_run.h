/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What unit tests of replays share: choice by a seed, and a recorded run to work on. Kernel
 * images are kernel-VERSION in $BACKHOP_KERNEL_DIR or $BUILD; $BACKHOP records.
 */
#ifndef BH_TESTS_RECORDED_RUN_H
#define BH_TESTS_RECORDED_RUN_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "tests/unit/tap.h"

static __attribute__((unused)) unsigned int seed;

/* Less than limit. */
static __attribute__((unused)) uint64_t choose(uint64_t limit)
{
	return ((uint64_t)rand_r(&seed) << 31 | (uint64_t)rand_r(&seed)) % limit;
}

static struct bh_error *find_kernel(void *arg, const char *version, char **path_ret)
{
	const char *folder = getenv("BACKHOP_KERNEL_DIR");

	(void)arg;
	if (!folder || !*folder)
		folder = getenv("BUILD");
	if (asprintf(path_ret, "%s/kernel-%s/image", folder ? folder : "build", version) < 0)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	return NULL;
}

/* Records the scenario into FOLDER/trace.bht, in a folder of this name, or skips the test. */
static __attribute__((unused)) void record_scenario(const char *folder, const char *scenario)
{
	const char *program = getenv("BACKHOP");
	char command[8192];

	if (!program)
		program = "build/backhop";
	if (access(program, X_OK)) {
		printf("1..0 # SKIP there is no %s to record a run with\n", program);
		exit(77);
	}
	mkdir(folder, 0777);
	snprintf(command, sizeof(command),
		 "'%s' record --quiet --files '%s' -o '%s/trace.bht' '%s'", program, folder, folder,
		 scenario);
	int status = system(command);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) {
		printf("Bail out! %s failed\n", command);
		exit(1);
	}
}

/* The same with one of the examples; the trace's path, static. */
static __attribute__((unused)) const char *record_example(const char *folder, const char *name)
{
	static char path[4096];
	const char *source = getenv("SOURCE");

	snprintf(path, sizeof(path), "%s/examples/%s", source ? source : ".", name);
	record_scenario(folder, path);
	snprintf(path, sizeof(path), "%s/trace.bht", folder);
	return path;
}

#endif
