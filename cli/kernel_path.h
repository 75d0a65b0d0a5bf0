/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a kernel image of a version is: $BACKHOP_KERNEL_DIR/kernel-VERSION/image, then beside the
 * executable (the build folder), then PREFIX/lib/backhop; for a scenario's program, which may lie
 * anywhere, also where its library was installed. Used by every command that runs nodes.
 */
#ifndef BH_CLI_KERNEL_PATH_H
#define BH_CLI_KERNEL_PATH_H

#include "common/error.h"

/* Where the library was installed. */
void bh_installed_home(const char *folder);

/* For bh_sim_config.find_kernel: version is a name, or a path with a slash in it; arg is not used.
 * The caller frees *path_ret. A version that isn't built is BH_ERR_MACHINE with the command that
 * builds it. */
struct bh_error *bh_find_kernel(void *arg, const char *version, char **path_ret);

/* The folder that has kernel-VERSION/ for the versions that are there; NULL if there is none. The
 * caller frees it. */
char *bh_kernel_folder(void);

/* The same for any file beside the executable or in PREFIX/lib/backhop ("gdb-plugin"); NULL if it
 * isn't there. The caller frees it. */
char *bh_find_installed(const char *name);

#endif
