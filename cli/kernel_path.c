/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds what is installed or built with the program: see kernel_path.h. */
#include "cli/kernel_path.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *home;

void bh_installed_home(const char *folder)
{
	home = folder;
}

/* The folder of the executable, without a slash at the end; 0 or -1. */
static int program_folder(char folder_ret[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", folder_ret, PATH_MAX - 1);

	if (length <= 0)
		return -1;
	folder_ret[length] = '\0';
	char *slash = strrchr(folder_ret, '/');

	if (!slash)
		return -1;
	*slash = '\0';
	return 0;
}

/* "folder/middle/name" if that exists, else NULL. */
static char *existing(const char *folder, const char *middle, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s%s/%s", folder, middle, name) < 0)
		return NULL;
	if (access(path, R_OK) == 0)
		return path;
	free(path);
	return NULL;
}

char *bh_find_installed(const char *name)
{
	char folder[PATH_MAX];
	char *path;

	if (program_folder(folder) < 0)
		return NULL;
	path = existing(folder, "", name);
	if (!path)
		path = existing(folder, "/../lib/backhop", name);
	return path || !home ? path : existing(home, "", name);
}

/* Whether folder has a kernel-VERSION/image. */
static int has_kernels(const char *folder)
{
	DIR *stream = opendir(folder);
	const struct dirent *entry;
	int found = 0;

	while (stream && !found && (entry = readdir(stream)))
		found = strncmp(entry->d_name, "kernel-", 7) == 0;
	if (stream)
		closedir(stream);
	return found;
}

char *bh_kernel_folder(void)
{
	const char *chosen = getenv("BACKHOP_KERNEL_DIR");
	char folder[PATH_MAX], installed[PATH_MAX + 32];

	if (chosen && *chosen)
		return strdup(chosen);
	if (program_folder(folder) < 0)
		return NULL;
	snprintf(installed, sizeof(installed), "%s/../lib/backhop", folder);
	if (has_kernels(folder))
		return strdup(folder);
	if (has_kernels(installed))
		return strdup(installed);
	return home && has_kernels(home) ? strdup(home) : NULL;
}

/* A kernel given by its path: an image, or the folder with one. */
static struct bh_error *find_image_at(const char *place, char **path_ret)
{
	struct stat status;

	if (stat(place, &status) == 0 && S_ISDIR(status.st_mode))
		*path_ret = existing(place, "", "image");
	else
		*path_ret = access(place, R_OK) == 0 ? strdup(place) : NULL;
	if (*path_ret)
		return NULL;
	return bh_error_new(
		BH_ERR_MACHINE,
		"there is no kernel image at %s; give the path of an image or of a folder "
		"that holds one, such as build/kernel-6.1",
		place);
}

struct bh_error *bh_find_kernel(void *arg, const char *version, char **path_ret)
{
	const char *chosen = getenv("BACKHOP_KERNEL_DIR");
	char name[128];
	char *path;

	if (strchr(version, '/'))
		return find_image_at(version, path_ret);
	snprintf(name, sizeof(name), "kernel-%s/image", version);
	if (chosen && *chosen) {
		path = existing(chosen, "", name);
		if (!path)
			return bh_error_new(
				BH_ERR_MACHINE,
				"there is no kernel %s at %s/%s, where BACKHOP_KERNEL_DIR "
				"says; unset it or build one with: make KERNELS=%s kernels",
				version, chosen, name, version);
	} else {
		path = bh_find_installed(name);
		if (!path)
			return bh_error_new(BH_ERR_MACHINE,
					    "there is no image of kernel %s; build it with: make "
					    "KERNELS=%s kernels",
					    version, version);
	}
	*path_ret = path;
	return NULL;
}
