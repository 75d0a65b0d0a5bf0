/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads or hashes a whole file. Used for traces, kernel images and other inputs. */
#ifndef BH_COMMON_FILE_H
#define BH_COMMON_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/*
 * Reads an ordinary file of at most max bytes; anything else is BH_ERR_INPUT, one sentence that
 * names path and what was wanted ("a trace"). A zero byte follows the contents (not counted in
 * *length_ret). The caller frees *bytes_ret.
 */
struct bh_error *bh_file_read(const char *path, const char *wanted, size_t max, uint8_t **bytes_ret,
			      size_t *length_ret);
/* The same checks and errors; leaves the XXH3-128 of the contents, as bh_hash128() gives it, and
 * their length, without holding them in memory. */
struct bh_error *bh_file_hash(const char *path, const char *wanted, size_t max,
			      uint8_t hash_ret[16], size_t *length_ret);

#endif
