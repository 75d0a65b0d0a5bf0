/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quantities with units as scenarios and the command line write them: "5ms", "1.5s", "100mbit",
 * "0.1%", "64MiB". Whole-number arithmetic only: a value that the resolution can't hold exactly is
 * refused, and the locale doesn't matter. The messages say what is wrong with the text, not where.
 */
#ifndef BH_SIMULATOR_UNITS_H
#define BH_SIMULATOR_UNITS_H

#include <stdint.h>

#include "common/error.h"

/* ns, us, ms, s, m, h; in nanoseconds. At most BH_DURATION_MAX. */
#define BH_DURATION_MAX (1ull << 60) /* 36 years */
struct bh_error *bh_parse_duration(const char *text, uint64_t *ns_ret);
/* bit, kbit, mbit, gbit, tbit (powers of 1000, a second); in bits per second. */
struct bh_error *bh_parse_rate(const char *text, uint64_t *bps_ret);
/* "0.1%": parts in 10^9. At most 100%. */
struct bh_error *bh_parse_percentage(const char *text, uint64_t *ppb_ret);
/* B, kB, MB, GB (powers of 1000), KiB, MiB, GiB (powers of 1024). */
struct bh_error *bh_parse_size(const char *text, uint64_t *bytes_ret);
/* A decimal number from minimum to maximum. */
struct bh_error *bh_parse_integer(const char *text, uint64_t minimum, uint64_t maximum,
				  uint64_t *value_ret);

#endif
