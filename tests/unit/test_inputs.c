/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of inputs, live and recorded: posix/inputs.c. TAP on stdout, exit status 1 on failure.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/inputs.h"

static int count, failures;
static char folder[] = "/tmp/backhop-inputs-XXXXXX";

static void check(int condition, const char *text)
{
	printf("%sok %d - %s\n", condition ? "" : "not ", ++count, text);
	failures += !condition;
}

static const char *in_folder(const char *name)
{
	static char path[4][256];
	static int next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", folder, name);
	return path[next];
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(in_folder(name), "w");

	if (!file || fputs(text, file) < 0 || fclose(file)) {
		perror(in_folder(name));
		exit(1);
	}
}

static void test_live(struct bh_inputs *inputs)
{
	const struct bh_input *file = bh_inputs_lookup(inputs, in_folder("b"));
	const struct bh_input *empty = bh_inputs_lookup(inputs, in_folder("a"));
	const struct bh_input *link = bh_inputs_lookup(inputs, in_folder("link"));
	const struct bh_input *directory = bh_inputs_lookup(inputs, folder);
	const struct bh_input *absent = bh_inputs_lookup(inputs, in_folder("none"));
	char byte;

	check(file->kind == BH_INPUT_FILE && file->size == 5 && file->mode == 0640,
	      "a file's kind, size and mode");
	check(!file->was_read && !bh_inputs_read(inputs, file) && file->was_read &&
		      !memcmp(file->data, "hello", 5),
	      "its contents, once they are asked for");
	check(!bh_inputs_read(inputs, empty) && empty->size == 0 && empty->data, "an empty file");
	check(link->kind == BH_INPUT_SYMLINK && !bh_inputs_read(inputs, link) &&
		      !strcmp(link->text, "b"),
	      "a link isn't followed, its target is its contents");
	check(directory->kind == BH_INPUT_DIRECTORY && !bh_inputs_read(inputs, directory) &&
		      directory->text_size == 4 + 4 + 7 &&
		      !memcmp(directory->text, "a\0001\0b\0001\0link\0003", 15),
	      "a directory's listing is sorted and has kinds");
	check(absent->kind == BH_INPUT_ABSENT && bh_inputs_read(inputs, absent) == -ENOENT,
	      "what isn't there is an input too");
	check(bh_inputs_lookup(inputs, in_folder("/b/")) == file, "slashes make no difference");

	int descriptor = bh_inputs_descriptor(inputs, file);

	check(descriptor >= 0 && pread(descriptor, &byte, 1, 1) == 1 && byte == 'e',
	      "a descriptor for mapping");
	write_file("none", "now it is");
	check(bh_inputs_lookup(inputs, in_folder("none"))->kind == BH_INPUT_ABSENT,
	      "the first look decides");
	check(bh_inputs_count(inputs) == 5 && bh_inputs_get(inputs, 0) == file,
	      "in order of the first question");
}

static void test_recorded(struct bh_inputs *live)
{
	struct bh_inputs *inputs;
	const struct bh_input *file;
	struct bh_input packed;

	if (bh_inputs_create_recorded(&inputs))
		exit(1);
	for (size_t i = 0; i < bh_inputs_count(live); i++) {
		packed = *bh_inputs_get(live, i);
		if (packed.kind == BH_INPUT_FILE)
			packed.data = NULL;
		check(!bh_inputs_add(inputs, &packed), "added");
	}
	check(bh_inputs_add(inputs, &packed) != NULL, "but not twice");

	file = bh_inputs_lookup(inputs, in_folder("b"));
	check(!bh_inputs_read(inputs, file) && !memcmp(file->data, "hello", 5),
	      "a file that is still the same");
	write_file("a", "changed");
	check(bh_inputs_read(inputs, bh_inputs_lookup(inputs, in_folder("a"))) == -ESTALE &&
		      !strcmp(bh_inputs_missing(inputs), in_folder("a")),
	      "a file that changed is refused and named");
	check(bh_inputs_lookup(inputs, "/")->kind == BH_INPUT_ABSENT,
	      "what wasn't recorded isn't there");
	bh_inputs_destroy(inputs);

	if (bh_inputs_create_recorded(&inputs))
		exit(1);
	packed = *bh_inputs_get(live, 0);
	bh_inputs_add(inputs, &packed);
	file = bh_inputs_lookup(inputs, packed.path);
	unlink(packed.path);
	char bytes[8];
	int descriptor = bh_inputs_descriptor(inputs, file);

	check(descriptor >= 0 && pread(descriptor, bytes, 8, 0) == 5 && !memcmp(bytes, "hello", 5),
	      "packed contents need no file on the host");
	check(!bh_inputs_missing(inputs), "and nothing is missing");
	bh_inputs_destroy(inputs);
}

static void test_hidden(void)
{
	struct bh_inputs *inputs;
	char below[64];

	if (chdir(folder) || bh_inputs_create_live(&inputs))
		exit(1);
	check(!bh_inputs_hide(inputs, "a") && !bh_inputs_hide(inputs, "no/such/folder") &&
		      !bh_inputs_hide(inputs, in_folder("link")),
	      "what a run writes is hidden, by any path");
	snprintf(below, sizeof(below), "%s/a/b", folder);
	check(bh_inputs_lookup(inputs, in_folder("a"))->kind == BH_INPUT_ABSENT &&
		      bh_inputs_lookup(inputs, below)->kind == BH_INPUT_ABSENT &&
		      bh_inputs_lookup(inputs, in_folder("b"))->kind == BH_INPUT_FILE,
	      "it isn't there for nodes, other files are");
	const struct bh_input *directory = bh_inputs_lookup(inputs, folder);
	check(!bh_inputs_read(inputs, directory) && directory->text_size == 4 &&
		      !memcmp(directory->text, "b\0001", 4),
	      "nor in the listing");
	bh_inputs_destroy(inputs);
}

int main(void)
{
	struct bh_inputs *inputs;

	if (!mkdtemp(folder) || bh_inputs_create_live(&inputs))
		return 1;
	write_file("b", "hello");
	write_file("a", "");
	if (chmod(in_folder("b"), 0640) || symlink("b", in_folder("link")))
		return 1;
	test_hidden();
	test_live(inputs);
	test_recorded(inputs);
	bh_inputs_destroy(inputs);
	const char *names[] = {"a", "link", "none"};

	for (int i = 0; i < 3; i++)
		unlink(in_folder(names[i]));
	rmdir(folder);
	printf("1..%d\n", count);
	return failures != 0;
}
