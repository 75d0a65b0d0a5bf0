/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scenario that is a C program, as its build function described it: see
 * include/backhop/scenario.h. The network and the programs on it become the text of a YAML
 * scenario, which the one parser then reads; the functions to call during the run are lists, which
 * sim_calls.c works through. Used by cli/ (run, record) and replayer/ (the same again).
 */
#ifndef BH_SIMULATOR_BUILD_H
#define BH_SIMULATOR_BUILD_H

#include "common/error.h"
#include "include/backhop/scenario.h"

/* A growing text; zero-filled is empty. */
struct bh_text {
	char *bytes; /* with a zero behind them; NULL while empty */
	size_t length, capacity;
	int no_memory;
};

void bh_text_add(struct bh_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* In double quotes, as YAML and JSON have them. */
void bh_text_add_quoted(struct bh_text *text, const char *value);
void bh_text_free(struct bh_text *text);

/* What is wrong with it, or NULL. */
const char *bh_program_fault(const struct bh_program *program);
/* One process of a scenario as a YAML mapping in one line; from_ns: not to start earlier. */
void bh_text_add_program(struct bh_text *text, const struct bh_program *program, uint64_t from_ns);

struct bh_build_call {
	uint64_t at_ns;
	uint64_t order; /* among those of one time */
	int is_look;
	bh_call_fn *call;
	void *arg;
};

struct bh_build_inspector {
	char *device; /* "r1:eth0" */
	bh_frame_fn *inspect;
	void *arg;
};

struct bh_build_finish {
	uint32_t node;
	size_t number; /* of the program, among those of the node that are no set-up lines */
	bh_finished_fn *finished;
	void *arg;
};

struct bh_build_node {
	char *name;
	struct bh_text settings, sysctls, binds, setup, programs;
	size_t program_count;
};

struct bh_build_section {
	char *name;
	struct bh_text entries;
};

struct bh_build {
	struct bh_error *error; /* the first one */
	char *program;		/* for messages */
	char *name;
	uint64_t stop_ns, seed;
	int has_seed;
	struct bh_text defaults, links;
	struct bh_build_node *nodes;
	struct bh_build_section *sections;
	struct bh_build_call *calls, *end_calls;
	struct bh_build_inspector *inspectors;
	struct bh_build_finish *finishes;
	size_t node_count, section_count, call_count, end_call_count, inspector_count, finish_count;
};

/* Calls build_fn with the arguments. The error is the first fault of the description. */
struct bh_error *bh_build_create(bh_build_fn *build_fn, int argc, char **argv,
				 struct bh_build **build_ret);
/* The YAML text; the caller frees it. */
struct bh_error *bh_build_yaml(const struct bh_build *build, char **text_ret, size_t *length_ret);
/* Takes NULL. */
void bh_build_destroy(struct bh_build *build);

/*
 * The build function of the program that this process runs: NULL in `backhop` itself. It belongs to
 * the executable as its text does, which is why it is kept in one place for the whole process.
 */
void bh_build_register(bh_build_fn *build_fn);
bh_build_fn *bh_build_registered(void);

#endif
