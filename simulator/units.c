/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers with units, exactly: see units.h. */
#include "simulator/units.h"

#include <inttypes.h>
#include <string.h>

#include "common/suggest.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct unit {
	const char *name;
	uint64_t factor;
};

struct quantity {
	const char *noun;    /* "a time" */
	const char *example; /* "5ms" */
	const char *finest;  /* "1 ns" */
	const struct unit *units;
	size_t unit_count;
	uint64_t maximum;
	const char *maximum_text;
};

/* digits[.digits] at the start of text: its value is value / 10^decimals. */
struct number {
	uint64_t value;
	unsigned int decimals;
	const char *end;
};

/* Cuts what a message quotes. */
#define QUOTE "\"%.40s\""

static int parse_number(const char *text, struct number *number_ret)
{
	struct number number = {0, 0, text};
	int has_digit = 0, is_fraction = 0;

	for (;; number.end++) {
		char c = *number.end;

		if (c == '.' && !is_fraction && has_digit) {
			is_fraction = 1;
			continue;
		}
		if (c < '0' || c > '9')
			break;
		if (__builtin_mul_overflow(number.value, 10u, &number.value) ||
		    __builtin_add_overflow(number.value, (uint64_t)(c - '0'), &number.value))
			return -1;
		has_digit = 1;
		number.decimals += (unsigned int)is_fraction;
	}
	if (!has_digit || number.end[-1] == '.')
		return -1;
	/* "1.500" is "1.5": trailing zeros need no resolution. */
	while (number.decimals > 0 && number.value % 10 == 0) {
		number.value /= 10;
		number.decimals--;
	}
	*number_ret = number;
	return 0;
}

static struct bh_error *unknown_unit(const struct quantity *quantity, const char *text,
				     const char *unit)
{
	const char *names[16];

	for (size_t i = 0; i < quantity->unit_count; i++)
		names[i] = quantity->units[i].name;
	const char *nearest = bh_suggest(unit, names, quantity->unit_count);

	if (!*unit)
		return bh_error_new(BH_ERR_INPUT, QUOTE " has no unit; write %s such as %s", text,
				    quantity->noun, quantity->example);
	if (nearest)
		return bh_error_new(BH_ERR_INPUT,
				    QUOTE " isn't %s: unknown unit \"%.20s\"; did you mean \"%s\"?",
				    text, quantity->noun, unit, nearest);
	return bh_error_new(BH_ERR_INPUT,
			    QUOTE " isn't %s: unknown unit \"%.20s\"; write it such as %s", text,
			    quantity->noun, unit, quantity->example);
}

static struct bh_error *parse_quantity(const struct quantity *quantity, const char *text,
				       uint64_t *value_ret)
{
	struct number number;
	const struct unit *unit = NULL;
	uint64_t divisor = 1, product;

	if (parse_number(text, &number) < 0)
		return bh_error_new(BH_ERR_INPUT, QUOTE " isn't %s; write it such as %s", text,
				    quantity->noun, quantity->example);
	for (size_t i = 0; i < quantity->unit_count; i++)
		if (strcmp(number.end, quantity->units[i].name) == 0)
			unit = &quantity->units[i];
	/* Nothing is nothing in every unit. */
	if (!unit && !*number.end && number.value == 0)
		unit = &quantity->units[0];
	if (!unit)
		return unknown_unit(quantity, text, number.end);
	for (unsigned int i = 0; i < number.decimals; i++)
		if (__builtin_mul_overflow(divisor, 10u, &divisor))
			divisor = 0;
	/* 128 bits: the product of two 64-bit numbers. */
	unsigned __int128 wide = (unsigned __int128)number.value * unit->factor;

	if (divisor == 0 || (uint64_t)(wide % divisor) != 0)
		return bh_error_new(BH_ERR_INPUT, QUOTE " is finer than %s; round it", text,
				    quantity->finest);
	wide /= divisor;
	product = (uint64_t)wide;
	if (product != wide || product > quantity->maximum)
		return bh_error_new(BH_ERR_INPUT, QUOTE " is too much; the most is %s", text,
				    quantity->maximum_text);
	*value_ret = product;
	return NULL;
}

struct bh_error *bh_parse_duration(const char *text, uint64_t *ns_ret)
{
	static const struct unit units[] = {
		{"ns", 1},
		{"us", 1000},
		{"ms", 1000000},
		{"s", 1000000000},
		{"m", 60ull * 1000000000},
		{"h", 3600ull * 1000000000},
	};
	static const struct quantity duration = {"a time",	  "5ms",	   "1 ns",    units,
						 COUNT_OF(units), BH_DURATION_MAX, "36 years"};

	return parse_quantity(&duration, text, ns_ret);
}

struct bh_error *bh_parse_rate(const char *text, uint64_t *bps_ret)
{
	static const struct unit units[] = {
		{"bit", 1},	      {"kbit", 1000},	       {"mbit", 1000000},
		{"gbit", 1000000000}, {"tbit", 1000000000000},
	};
	static const struct quantity rate = {"a rate", "100mbit",	"1 bit a second",
					     units,    COUNT_OF(units), 100000000000000,
					     "100tbit"};

	return parse_quantity(&rate, text, bps_ret);
}

struct bh_error *bh_parse_percentage(const char *text, uint64_t *ppb_ret)
{
	static const struct unit units[] = {{"%", 10000000}};
	static const struct quantity percentage = {"a percentage",  "0.1%",	"0.0000001%", units,
						   COUNT_OF(units), 1000000000, "100%"};

	return parse_quantity(&percentage, text, ppb_ret);
}

struct bh_error *bh_parse_size(const char *text, uint64_t *bytes_ret)
{
	static const struct unit units[] = {
		{"B", 1},	   {"kB", 1000},      {"MB", 1000000},	 {"GB", 1000000000},
		{"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30},
	};
	static const struct quantity size = {"a size",	      "64MiB",	  "1 byte", units,
					     COUNT_OF(units), 1ull << 40, "1024GiB"};

	return parse_quantity(&size, text, bytes_ret);
}

struct bh_error *bh_parse_integer(const char *text, uint64_t minimum, uint64_t maximum,
				  uint64_t *value_ret)
{
	uint64_t value = 0;
	int is_too_large = 0;

	if (!*text || strspn(text, "0123456789") != strlen(text))
		return bh_error_new(BH_ERR_INPUT, QUOTE " isn't a whole number", text);
	for (const char *at = text; *at; at++)
		is_too_large |= __builtin_mul_overflow(value, 10u, &value) ||
				__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
	if (is_too_large || value < minimum || value > maximum)
		return bh_error_new(BH_ERR_INPUT, QUOTE " isn't from %" PRIu64 " to %" PRIu64, text,
				    minimum, maximum);
	*value_ret = value;
	return NULL;
}
