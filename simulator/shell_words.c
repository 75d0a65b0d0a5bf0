/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines to words: see shell_words.h; the rules are those of POSIX.1-2017, XCU 2.2. */
#include "simulator/shell_words.h"

#include <stdlib.h>
#include <string.h>

void bh_words_free(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

int bh_words_append(char ***words, size_t *count, const char *bytes, size_t length)
{
	/* Room for a power of two of pointers, the NULL included. */
	if (*count == 0 || ((*count + 1) & *count) == 0) {
		char **larger = realloc(*words, (*count + 1) * 2 * sizeof(**words));

		if (!larger)
			return -1;
		*words = larger;
		larger[*count] = NULL;
	}
	char *word = malloc(length + 1);

	if (!word)
		return -1;
	memcpy(word, bytes, length);
	word[length] = '\0';
	(*words)[(*count)++] = word;
	(*words)[*count] = NULL;
	return 0;
}

struct splitter {
	const char *at;
	char *word; /* as long as the whole text */
	size_t length;
	int has_word; /* also when it is empty: '' */
};

static void put(struct splitter *splitter, char c)
{
	splitter->word[splitter->length++] = c;
	splitter->has_word = 1;
}

static struct bh_error *needs_shell(char c)
{
	return bh_error_new(BH_ERR_INPUT,
			    "no shell reads this line, so '%c' has no meaning in it; quote it with "
			    "'…', or run: sh -c '…'",
			    c);
}

/* From behind the opening quote to behind the closing one. */
static struct bh_error *take_single_quoted(struct splitter *splitter)
{
	splitter->has_word = 1;
	while (*splitter->at && *splitter->at != '\'')
		put(splitter, *splitter->at++);
	if (!*splitter->at++)
		return bh_error_new(BH_ERR_INPUT, "the quote ' isn't closed");
	return NULL;
}

static struct bh_error *take_double_quoted(struct splitter *splitter)
{
	splitter->has_word = 1;
	for (; *splitter->at && *splitter->at != '"'; splitter->at++) {
		if (*splitter->at == '$' || *splitter->at == '`')
			return needs_shell(*splitter->at);
		if (*splitter->at == '\\' && splitter->at[1] && strchr("$`\"\\", splitter->at[1]))
			splitter->at++;
		put(splitter, *splitter->at);
	}
	if (!*splitter->at++)
		return bh_error_new(BH_ERR_INPUT, "the quote \" isn't closed");
	return NULL;
}

/* Up to the blank behind the word. */
static struct bh_error *take_word(struct splitter *splitter)
{
	splitter->length = 0;
	splitter->has_word = 0;
	while (*splitter->at && !strchr(" \t\n", *splitter->at)) {
		char c = *splitter->at++;

		if (c == '\'')
			BH_TRY(take_single_quoted(splitter));
		else if (c == '"')
			BH_TRY(take_double_quoted(splitter));
		else if (c == '\\' && *splitter->at)
			put(splitter, *splitter->at++);
		else if (c == '\\')
			return bh_error_new(BH_ERR_INPUT,
					    "nothing follows the backslash at the end");
		else if (strchr("|&;<>$`", c))
			return needs_shell(c);
		else
			put(splitter, c);
	}
	return NULL;
}

struct bh_error *bh_shell_split(const char *text, char ***words_ret, size_t *count_ret)
{
	struct splitter splitter = {.at = text, .word = malloc(strlen(text) + 1)};
	struct bh_error *error = NULL;
	char **words = calloc(2, sizeof(*words));
	size_t count = 0;

	if (!words || !splitter.word)
		error = bh_error_new(BH_ERR_NOMEM, "out of memory");
	while (!error) {
		splitter.at += strspn(splitter.at, " \t\n");
		if (!*splitter.at)
			break;
		error = take_word(&splitter);
		if (!error && splitter.has_word &&
		    bh_words_append(&words, &count, splitter.word, splitter.length) < 0)
			error = bh_error_new(BH_ERR_NOMEM, "out of memory");
	}
	free(splitter.word);
	if (error) {
		bh_words_free(words);
		return error;
	}
	*words_ret = words;
	*count_ret = count;
	return NULL;
}
