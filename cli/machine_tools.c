/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is installed beside backhop, for `backhop doctor`: gdb, kernel images, rr. See machine.h. */
#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/kernel_path.h"
#include "cli/machine.h"
#include "common/error.h"
#include "kernel-lib/image.h"

#define KERNELS_MAX    16u
#define GDB_OLDEST     13
#define INSTALL_GDB    "apt-get install gdb"
#define BUILD_KERNELS  "make kernels"
#define KERNEL_PREFIX  "kernel-"
#define BUILD_ID_BYTES 64u

/* --- gdb --- */

/* The first line that the command prints; 0 if there is one. */
static int first_line(const char *command, char *line_ret, size_t size)
{
	FILE *stream = popen(command, "re");
	int is_read = stream && fgets(line_ret, (int)size, stream);

	if (stream)
		pclose(stream);
	if (!is_read)
		return -1;
	line_ret[strcspn(line_ret, "\n")] = '\0';
	return 0;
}

/* "GNU gdb (Debian 13.1-3) 13.1": what is behind the last blank. */
static int gdb_version(const char *line)
{
	const char *blank = strrchr(line, ' ');

	return blank ? atoi(blank + 1) : 0;
}

void bh_checks_gdb(struct bh_checks *checks)
{
	char line[128], python[64];
	char *plugin = bh_find_installed("gdb-plugin/load.py");

	if (first_line("gdb --version 2>/dev/null", line, sizeof(line)) < 0)
		bh_check_add(checks, "gdb", BH_CHECK_MISSING, INSTALL_GDB, "not in PATH");
	else
		bh_check_add(checks, "gdb",
			     gdb_version(line) >= GDB_OLDEST ? BH_CHECK_OK : BH_CHECK_MISSING,
			     "install gdb 13 or later", "%s", line);
	if (first_line("gdb -nx -batch -ex 'python import sys; print(sys.version.split()[0])' "
		       "2>/dev/null",
		       python, sizeof(python)) < 0)
		bh_check_add(checks, "gdb's Python", BH_CHECK_MISSING,
			     INSTALL_GDB " (not gdb-minimal)", "this gdb has none");
	else
		bh_check_add(checks, "gdb's Python", BH_CHECK_OK, "", "%s", python);
	if (plugin)
		bh_check_add(checks, "gdb plugin", BH_CHECK_OK, "", "%s", plugin);
	else
		bh_check_add(checks, "gdb plugin", BH_CHECK_MISSING, "make install",
			     "not beside the program nor in ../lib/backhop");
	free(plugin);
}

/* --- kernel images --- */

static void check_kernel(struct bh_checks *checks, const char *version)
{
	char name[40], hex[2 * BUILD_ID_BYTES + 1] = "without a build-id";
	struct bh_image *image;
	size_t length;
	char *path;

	snprintf(name, sizeof(name), "kernel %.30s", version);
	struct bh_error *error = bh_find_kernel(NULL, version, &path);

	if (!error) {
		error = bh_image_open(path, &image);
		free(path);
	}
	if (error) {
		bh_check_add(checks, name, BH_CHECK_MISSING, BUILD_KERNELS, "%s", error->message);
		bh_error_free(error);
		return;
	}
	const uint8_t *id = bh_image_build_id(image, &length);

	for (size_t i = 0; id && i < length && i < BUILD_ID_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	bh_check_add(checks, name, BH_CHECK_OK, "", "build-id %s", hex);
	bh_image_close(image);
}

static int is_image_folder(const struct dirent *entry)
{
	return strncmp(entry->d_name, KERNEL_PREFIX, strlen(KERNEL_PREFIX)) == 0;
}

void bh_checks_kernels(struct bh_checks *checks)
{
	struct dirent **entries = NULL;
	char *folder = bh_kernel_folder();
	int count = folder ? scandir(folder, &entries, is_image_folder, alphasort) : 0;

	if (count <= 0)
		bh_check_add(checks, "kernel images", BH_CHECK_MISSING, BUILD_KERNELS, "none in %s",
			     folder ? folder : "the program's folder");
	for (int i = 0; i < count; i++) {
		if ((size_t)i < KERNELS_MAX)
			check_kernel(checks, entries[i]->d_name + strlen(KERNEL_PREFIX));
		free(entries[i]);
	}
	free(entries);
	free(folder);
}

/* --- rr --- */

/* rr counts retired conditional branches of the thread that it records. */
static int open_counter(void)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attributes),
		.config = PERF_COUNT_HW_BRANCH_INSTRUCTIONS,
		.exclude_kernel = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
}

void bh_checks_rr(struct bh_checks *checks)
{
	static const char advice[] = "not needed: backhop replays without hardware counters";
	char version[64];
	int counter = open_counter(), fault = errno;

	if (counter >= 0)
		close(counter);
	if (counter < 0 && (fault == EACCES || fault == EPERM))
		bh_check_add(checks, "rr", BH_CHECK_ABSENT, advice,
			     "not usable: this user may not use the processor's counters (sysctl "
			     "kernel.perf_event_paranoid=1)");
	else if (counter < 0)
		bh_check_add(checks, "rr", BH_CHECK_ABSENT, advice,
			     "not usable: no hardware counters here (%s), as in most virtual "
			     "machines",
			     strerror(fault));
	else if (first_line("rr --version 2>/dev/null", version, sizeof(version)) < 0)
		bh_check_add(checks, "rr", BH_CHECK_ABSENT, advice,
			     "not installed; this machine has the counters that it needs");
	else
		bh_check_add(checks, "rr", BH_CHECK_OK, "", "usable: %s", version);
}
