/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Output files: contents, an earlier run's logs go, nothing is written outside the folder. */
#include "simulator/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int test_count, failure_count;

static void check(int is_ok, const char *text)
{
	printf("%s %d - %s\n", is_ok ? "ok" : "not ok", ++test_count, text);
	failure_count += !is_ok;
}

static void write_text(const char *path, const char *text)
{
	FILE *stream = fopen(path, "we");

	if (!stream || fputs(text, stream) < 0 || fclose(stream) != 0)
		exit(1);
}

static int holds(const char *path, const char *text)
{
	char bytes[256] = "";
	FILE *stream = fopen(path, "re");
	size_t length = stream ? fread(bytes, 1, sizeof(bytes), stream) : 0;

	if (stream)
		fclose(stream);
	return stream && length == strlen(text) && memcmp(bytes, text, length) == 0;
}

static struct bh_output *create(const struct bh_scenario *scenario)
{
	struct bh_output *output = NULL;
	struct bh_error *error = bh_output_create("out", scenario, &output);

	if (error) {
		printf("Bail out! %s\n", error->message);
		exit(1);
	}
	return output;
}

static void test_contents(const struct bh_scenario *scenario)
{
	struct bh_output *output = create(scenario);
	char large[300000];

	memset(large, 'x', sizeof(large));
	bh_output_append(output, 0, "var/log/kern.log", "one\n", 4);
	bh_output_append(output, 1, "var/log/7/stdout", "seven\n", 6);
	check(!bh_output_flush(output, 0) && access("out/files-a/var/log/kern.log", F_OK) < 0,
	      "a little waits in memory");
	check(!bh_output_flush(output, 1) && holds("out/files-a/var/log/kern.log", "one\n") &&
		      holds("out/files-b/var/log/7/stdout", "seven\n"),
	      "the last flush writes all");
	bh_output_append(output, 0, "var/log/kern.log", "two\n", 4);
	bh_output_append(output, 1, "var/log/large", large, sizeof(large));
	check(!bh_output_flush(output, 0) && holds("out/files-a/var/log/kern.log", "one\ntwo\n"),
	      "much is written at once, behind what was written before");
	bh_output_destroy(output);
}

static void test_earlier_run(const struct bh_scenario *scenario)
{
	write_text("out/files-a/keep", "mine");
	write_text("out/files-a/var/keep", "mine");
	bh_output_destroy(create(scenario));
	check(access("out/files-a/var/log", F_OK) < 0 && access("out/files-b/var/log", F_OK) < 0,
	      "the logs of an earlier run are removed");
	check(holds("out/files-a/keep", "mine") && holds("out/files-a/var/keep", "mine"),
	      "nothing else is");
}

static void test_links(const struct bh_scenario *scenario)
{
	if (mkdir("elsewhere", 0777) < 0 || mkdir("elsewhere/log", 0777) < 0)
		exit(1);
	write_text("elsewhere/log/precious", "kept");
	if (rename("out/files-a/var", "out/old") < 0 ||
	    symlink("../../elsewhere", "out/files-a/var") < 0)
		exit(1);
	struct bh_output *output = create(scenario);

	check(holds("elsewhere/log/precious", "kept"),
	      "a link in place of var isn't followed to remove");
	bh_output_append(output, 0, "var/log/kern.log", "x", 1);
	struct bh_error *error = bh_output_flush(output, 1);

	check(error && strstr(error->message, "files-a/var/log/kern.log"),
	      "nor to write: the run fails with the file's name");
	check(access("elsewhere/log/kern.log", F_OK) < 0, "nothing was written behind the link");
	bh_error_free(error);
	bh_output_destroy(output);
}

static void test_names(const struct bh_scenario *scenario)
{
	static const char *const names[] = {"../x", "a/../../x", "/x", "a//x", "./x", "a/", ""};
	int is_ok = 1;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct bh_output *output = create(scenario);

		bh_output_append(output, 1, names[i], "x", 1);
		struct bh_error *error = bh_output_flush(output, 1);

		is_ok &= error != NULL;
		bh_error_free(error);
		bh_output_destroy(output);
	}
	check(is_ok, "names that lead out of a node's folder, or to no file, are refused");
}

int main(void)
{
	struct bh_scenario_node nodes[] = {{.name = "a"}, {.name = "b"}};
	const struct bh_scenario scenario = {.nodes = nodes, .node_count = 2};
	char folder[] = "output-XXXXXX";
	struct bh_output *output = NULL;

	if (!mkdtemp(folder) || chdir(folder) < 0)
		return 1;
	struct bh_error *error = bh_output_create("out", &scenario, &output);

	check(error && error->code == BH_ERR_INPUT, "a folder that isn't there is bad input");
	bh_error_free(error);
	if (mkdir("out", 0777) < 0)
		return 1;
	test_contents(&scenario);
	test_earlier_run(&scenario);
	test_names(&scenario);
	test_links(&scenario);
	printf("1..%d\n", test_count);
	return failure_count > 0;
}
