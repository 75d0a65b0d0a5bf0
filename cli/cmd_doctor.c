/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `backhop doctor`: says what the machine needs and has. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/machine.h"
#include "cli/safe_text.h"
#include "common/json.h"

static const char *state_name(enum bh_check_state state)
{
	static const char *const names[] = {
		[BH_CHECK_OK] = "ok", [BH_CHECK_ABSENT] = "absent", [BH_CHECK_MISSING] = "missing"};

	return names[state];
}

static size_t count_missing(const struct bh_checks *checks)
{
	size_t count = 0;

	for (size_t i = 0; i < checks->count; i++)
		count += checks->list[i].state == BH_CHECK_MISSING;
	return count;
}

static struct bh_error *print_json(const struct bh_checks *checks)
{
	struct bh_json *json = bh_json_create();

	bh_json_object_begin(json);
	bh_json_add_string(json, "result", count_missing(checks) ? "missing" : "ok");
	bh_json_add_string(json, "version", BH_VERSION);
	bh_json_key(json, "checks");
	bh_json_array_begin(json);
	for (size_t i = 0; i < checks->count; i++) {
		const struct bh_check *check = &checks->list[i];

		bh_json_object_begin(json);
		bh_json_add_string(json, "name", check->name);
		bh_json_add_string(json, "state", state_name(check->state));
		bh_json_add_string(json, "detail", check->detail);
		bh_json_add_string(json, "advice", check->advice[0] ? check->advice : NULL);
		bh_json_object_end(json);
	}
	bh_json_array_end(json);
	bh_json_object_end(json);
	char *text = bh_json_finish(json);

	if (!text)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	puts(text);
	free(text);
	return NULL;
}

static void print_text(const struct bh_checks *checks)
{
	size_t missing = count_missing(checks);

	for (size_t i = 0; i < checks->count; i++) {
		const struct bh_check *check = &checks->list[i];

		printf("%-8s %-22s ", state_name(check->state), check->name);
		bh_print_safe(stdout, check->detail);
		if (check->advice[0])
			printf("; %s", check->advice);
		putchar('\n');
	}
	if (missing)
		printf("backhop can't work here: %zu thing%s missing\n", missing,
		       missing == 1 ? " is" : "s are");
	else
		printf("this machine has all that backhop needs\n");
}

static int cmd_doctor(int argc, char **argv)
{
	int is_json = 0;
	const struct bh_option options[] = {{"json", &is_json, NULL}};
	struct bh_checks checks = {0};
	struct bh_error *error = NULL;
	int status = bh_cli_parse(&bh_command_doctor, options, 1, &argc, argv);

	if (status >= 0)
		return status;
	if (argc != 1)
		return bh_cli_usage(&bh_command_doctor, "doctor takes no arguments");
	bh_checks_processor(&checks);
	bh_checks_host_kernel(&checks);
	bh_checks_memory(&checks);
	bh_checks_kernels(&checks);
	bh_checks_gdb(&checks);
	bh_checks_rr(&checks);
	if (is_json)
		error = print_json(&checks);
	else
		print_text(&checks);
	if (error)
		return bh_cli_fail(error);
	return bh_cli_finish(count_missing(&checks) ? BH_EXIT_MACHINE : BH_EXIT_PASS);
}

const struct bh_command bh_command_doctor = {
	.name = "doctor",
	.synopsis = "[--json]",
	.summary = "say what this machine has of what backhop needs",
	.help = "  --json  print the result as one JSON object\n\n"
		"Each line begins with ok, absent (not there, and not needed) or missing, and "
		"says\n"
		"what to install or change.\n\n"
		"Exit status: 0 nothing is missing, 4 something is.",
	.run = cmd_doctor,
};
