/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding values in JSON text, also in text that is cut off or isn't JSON. */
#include "common/json_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_count, failure_count;

static void check(int is_ok, const char *text)
{
	printf("%s %d - %s\n", is_ok ? "ok" : "not ok", ++test_count, text);
	failure_count += !is_ok;
}

static int is_text(struct bh_json_span value, const char *wanted)
{
	char *text = bh_json_text(value);
	int is_equal = text && !strcmp(text, wanted);

	free(text);
	return is_equal;
}

int main(void)
{
	static const char json[] =
		" {\"a\": 1, \"b\" :[10,{\"c\":\"x\\\"]}y\"}, [ ] ],\"d\":\"\\u0041"
		"\\n\\u001b\\u20ac\", \"e\": {}, \"big\": 18446744073709551615,"
		"\"neg\": -1, \"t\": true}\n";
	struct bh_json_span object = bh_json_value(json, strlen(json));
	struct bh_json_span array = bh_json_member(object, "b");
	uint64_t number = 0;

	check(object.text && *object.text == '{', "the value between blanks");
	check(bh_json_number(bh_json_member(object, "a"), &number) && number == 1, "a number");
	check(bh_json_number(bh_json_element(array, 0), &number) && number == 10, "an element");
	check(is_text(bh_json_member(bh_json_element(array, 1), "c"), "x\"]}y"),
	      "a string with brackets and quotes inside");
	check(bh_json_element(array, 2).length == 3 && !bh_json_element(array, 3).text,
	      "the last element, and one too many");
	check(is_text(bh_json_member(object, "d"), "A\n??"), "escapes are safe for a terminal");
	check(bh_json_number(bh_json_member(object, "big"), &number) && number == UINT64_MAX,
	      "the largest number");
	check(!bh_json_number(bh_json_member(object, "neg"), &number) &&
		      !bh_json_number(bh_json_member(object, "e"), &number),
	      "what is no such number");
	check(bh_json_member(object, "t").length == 4, "the last member");
	check(!bh_json_member(object, "x").text && !bh_json_member(array, "a").text &&
		      !bh_json_element(object, 0).text,
	      "what is not there");

	int wrong = 0;
	for (size_t length = 0; length < strlen(json) - 2; length++) {
		char *copy = malloc(length + 1);

		memcpy(copy, json, length);
		struct bh_json_span cut = bh_json_value(copy, length);
		wrong += cut.text != NULL;
		cut = (struct bh_json_span){copy + 1, length ? length - 1 : 0};
		if (length > 1)
			bh_json_member(bh_json_element(bh_json_member(cut, "b"), 1), "c");
		free(copy);
	}
	check(!wrong, "text that is cut off is no value");
	printf("1..%d\n", test_count);
	return failure_count != 0;
}
