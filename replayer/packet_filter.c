/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters of packets: see packets.h. The words that pcap-filter(7) doesn't know are taken out of
 * the text, what remains is libpcap's.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/frame_filter.h"
#include "common/suggest.h"
#include "replayer/packet_walk.h"
#include "replayer/packets.h"

#define TERMS_MAX 32u
#define WORDS_MAX 1024u

enum term_kind { TERM_END, TERM_AT, TERM_FROM, TERM_TO, TERM_REACHING };

struct term {
	enum term_kind kind;
	int is_not;
	uint32_t value; /* a node, or enum bh_packet_end_kind */
};

struct bh_packet_filter {
	struct term terms[TERMS_MAX];
	size_t term_count;
	struct bh_frame_filter *frame; /* NULL: any */
};

struct word {
	const char *text;
	size_t length;
	int is_ours;
};

struct parser {
	const struct bh_trace *trace;
	const char *text;
	struct word words[WORDS_MAX];
	size_t count;
	struct bh_packet_filter *filter;
};

static int is_word(const struct word *word, const char *text)
{
	return word->length == strlen(text) && !strncmp(word->text, text, word->length);
}

static int is_and(const struct word *word)
{
	return is_word(word, "and") || is_word(word, "&&");
}

static int is_not(const struct word *word)
{
	return is_word(word, "not") || is_word(word, "!");
}

static size_t column(const struct parser *parser, const struct word *word)
{
	return (size_t)(word->text - parser->text) + 1;
}

/* --- nodes --- */

static struct bh_error *no_node(const struct parser *parser, const struct word *word)
{
	size_t count = bh_trace_node_count(parser->trace);
	const char **names = calloc(count + 1, sizeof(*names));
	char name[128];

	snprintf(name, sizeof(name), "%.*s", (int)word->length, word->text);
	for (size_t i = 0; names && i < count; i++)
		names[i] = bh_trace_node_name(parser->trace, i);
	const char *nearest = names ? bh_suggest(name, names, count) : NULL;
	char place[64] = "";

	if (parser->count)
		snprintf(place, sizeof(place), "column %zu of the filter: ", column(parser, word));
	struct bh_error *error = bh_error_new(BH_ERR_USAGE, "%sno node \"%s\"; %s%s%s", place, name,
					      nearest ? "did you mean \"" : "",
					      nearest ? nearest : "`backhop info` lists the nodes",
					      nearest ? "\"?" : "");

	free(names);
	return error;
}

static struct bh_error *find_node(const struct parser *parser, const struct word *word,
				  uint32_t *node_ret)
{
	size_t count = bh_trace_node_count(parser->trace);
	char *end;

	for (size_t i = 0; i < count; i++) {
		if (is_word(word, bh_trace_node_name(parser->trace, i))) {
			*node_ret = (uint32_t)i;
			return NULL;
		}
	}
	unsigned long number = strtoul(word->text, &end, 10);

	if (!isdigit((unsigned char)*word->text) || end != word->text + word->length ||
	    number >= count)
		return no_node(parser, word);
	*node_ret = (uint32_t)number;
	return NULL;
}

struct bh_error *bh_packet_node_parse(const struct bh_trace *trace, const char *text,
				      uint32_t *node_ret)
{
	const struct parser parser = {.trace = trace, .text = text};
	const struct word word = {.text = text, .length = strlen(text)};

	return find_node(&parser, &word, node_ret);
}

/* --- our words --- */

static void split(struct parser *parser)
{
	const char *at = parser->text;

	while (parser->count < WORDS_MAX) {
		while (isspace((unsigned char)*at))
			at++;
		if (!*at)
			return;
		struct word *word = &parser->words[parser->count++];

		word->text = at;
		/* A bracket is a word of its own, so that it isn't taken for part of a name. */
		if (*at == '(' || *at == ')')
			at++;
		else
			while (*at && !isspace((unsigned char)*at) && *at != '(' && *at != ')')
				at++;
		word->length = (size_t)(at - word->text);
	}
}

/* Non-zero if the word is one of ours. has_node_ret: a node's name follows. */
static int term_of(const struct word *word, struct term *term_ret, int *has_node_ret)
{
	static const struct {
		const char *text;
		enum term_kind kind;
	} places[] = {
		{"at", TERM_AT},
		{"from", TERM_FROM},
		{"to", TERM_TO},
		{"reaching", TERM_REACHING},
	};

	for (unsigned int i = 0; i < BH_PACKET_END_COUNT; i++) {
		if (is_word(word, bh_packet_end_name(i))) {
			*term_ret = (struct term){.kind = TERM_END, .value = i};
			*has_node_ret = 0;
			return 1;
		}
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (is_word(word, places[i].text)) {
			*term_ret = (struct term){.kind = places[i].kind};
			*has_node_ret = 1;
			return 1;
		}
	}
	return 0;
}

/* `icmp at r1`: what stands before is whole, and the node's term needs no `and`. */
static int is_whole(const struct word *word)
{
	static const char *const open[] = {"or", "||", "not", "!", "("};

	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		if (is_word(word, open[i]))
			return 0;
	return 1;
}

static int begins_term(const struct parser *parser, size_t index)
{
	struct term term;
	int has_node;

	while (index < parser->count && is_not(&parser->words[index]))
		index++;
	return index < parser->count && term_of(&parser->words[index], &term, &has_node);
}

static struct bh_error *bad_joint(const struct parser *parser, size_t first, size_t last,
				  const struct word *bad)
{
	const struct word *begin = &parser->words[first], *end = &parser->words[last];

	return bh_error_new(BH_ERR_USAGE,
			    "column %zu of the filter: \"%.*s\" is joined to other terms "
			    "by `and` only, not by \"%.*s\"",
			    column(parser, begin), (int)(end->text + end->length - begin->text),
			    begin->text, (int)bad->length, bad->text);
}

/* What stands beside a term: nothing, another one, or `and`, which belongs to it then unless it
 * joins what remains. */
static struct bh_error *take_joint(struct parser *parser, size_t first, size_t last)
{
	struct word *before = first ? &parser->words[first - 1] : NULL;
	struct word *after = last + 1 < parser->count ? &parser->words[last + 1] : NULL;
	int is_beside = before && !before->is_ours && !is_and(before);

	if (is_beside && !is_whole(before))
		return bad_joint(parser, first, last, before);
	if (after && !is_and(after) && !begins_term(parser, last + 1))
		return bad_joint(parser, first, last, after);
	if (before && is_and(before) && !before->is_ours)
		before->is_ours = 1;
	else if (after && is_and(after) && !is_beside)
		after->is_ours = 1;
	if (after && is_and(after) && last + 2 == parser->count)
		return bh_error_new(BH_ERR_USAGE, "column %zu of the filter: it ends with \"%.*s\"",
				    column(parser, after), (int)after->length, after->text);
	return NULL;
}

static struct bh_error *take_term(struct parser *parser, size_t *index)
{
	struct bh_packet_filter *filter = parser->filter;
	size_t first = *index, last = *index;
	struct term term;
	int has_node;

	if (!term_of(&parser->words[*index], &term, &has_node))
		return NULL;
	if (filter->term_count == TERMS_MAX)
		return bh_error_new(BH_ERR_USAGE, "the filter has more than %u terms", TERMS_MAX);
	if (has_node) {
		last++;
		if (last == parser->count)
			return bh_error_new(
				BH_ERR_USAGE, "column %zu of the filter: \"%.*s\" wants a node",
				column(parser, &parser->words[first]),
				(int)parser->words[first].length, parser->words[first].text);
		BH_TRY(find_node(parser, &parser->words[last], &term.value));
	}
	while (first > 0 && is_not(&parser->words[first - 1])) {
		first--;
		term.is_not = !term.is_not;
	}
	BH_TRY(take_joint(parser, first, last));
	for (size_t i = first; i <= last; i++)
		parser->words[i].is_ours = 1;
	filter->terms[filter->term_count++] = term;
	*index = last;
	return NULL;
}

/* --- libpcap's words --- */

/* What makes an unfinished filter whole, so that one can tell where a wrong one goes wrong. */
static const char *const completions[] = {
	"",
	" ip",
	" 1",
	" 10.0.0.1",
	" net 10.0.0.0",
	" = 1",
	" ]",
	") = 1",
	" 1 ] = 1",
	" :: ",
	" 02:00:00:00:00:00",
	")",
	" ip)",
	" 1)",
	" 10.0.0.1)",
	"))",
	" ip))",
};

static int can_begin(const char *text, size_t length)
{
	for (size_t i = 0; i < sizeof(completions) / sizeof(completions[0]); i++) {
		struct bh_frame_filter *filter;
		char *whole = NULL;

		if (asprintf(&whole, "%.*s%s", (int)length, text, completions[i]) < 0)
			return 1;
		struct bh_error *error = bh_frame_filter_create(whole, &filter);

		free(whole);
		if (!error) {
			bh_frame_filter_destroy(filter);
			return 1;
		}
		bh_error_free(error);
	}
	return 0;
}

/* The word after which nothing can make it right any more. text has blanks where our words were, so
 * columns are those of the whole filter. */
static const struct word *find_fault(const struct parser *parser, const char *text)
{
	const struct word *last = NULL;

	for (size_t i = 0; i < parser->count; i++) {
		const struct word *word = &parser->words[i];

		if (word->is_ours)
			continue;
		last = word;
		if (!can_begin(text, (size_t)(word->text + word->length - parser->text)))
			return word;
	}
	return last;
}

static struct bh_error *compile_rest(struct parser *parser)
{
	char *text = strdup(parser->text);
	int is_empty = 1;

	if (!text)
		return bh_error_new(BH_ERR_NOMEM, "out of memory for a filter");
	for (size_t i = 0; i < parser->count; i++) {
		if (parser->words[i].is_ours)
			memset(text + (parser->words[i].text - parser->text), ' ',
			       parser->words[i].length);
		else
			is_empty = 0;
	}
	struct bh_error *error =
		is_empty ? NULL : bh_frame_filter_create(text, &parser->filter->frame);

	if (error) {
		const struct word *fault = find_fault(parser, text);
		const char *words = strstr(error->message, " is no filter: ");
		struct bh_error *better =
			bh_error_new(BH_ERR_USAGE, "column %zu of the filter, at \"%.*s\": %s",
				     fault ? column(parser, fault) : 1,
				     fault ? (int)fault->length : 0, fault ? fault->text : "",
				     words ? words + strlen(" is no filter: ") : error->message);

		bh_error_free(error);
		error = better;
	}
	free(text);
	return error;
}

struct bh_error *bh_packet_filter_create(const struct bh_trace *trace, const char *text,
					 struct bh_packet_filter **filter_ret)
{
	struct parser *parser = calloc(1, sizeof(*parser));
	struct bh_packet_filter *filter = calloc(1, sizeof(*filter));
	struct bh_error *error = NULL;

	if (!parser || !filter) {
		free(parser);
		free(filter);
		return bh_error_new(BH_ERR_NOMEM, "out of memory for a filter");
	}
	parser->trace = trace;
	parser->text = text ? text : "";
	parser->filter = filter;
	split(parser);
	if (parser->count == WORDS_MAX)
		error = bh_error_new(BH_ERR_USAGE, "the filter has %u words or more", WORDS_MAX);
	for (size_t i = 0; !error && i < parser->count; i++)
		error = take_term(parser, &i);
	if (!error)
		error = compile_rest(parser);
	free(parser);
	if (error) {
		bh_packet_filter_destroy(filter);
		return error;
	}
	*filter_ret = filter;
	return NULL;
}

void bh_packet_filter_destroy(struct bh_packet_filter *filter)
{
	if (!filter)
		return;
	bh_frame_filter_destroy(filter->frame);
	free(filter);
}

/* --- matching --- */

static int was_at(const struct bh_packet *packet, uint32_t node)
{
	for (size_t i = 0; i < packet->hop_count; i++)
		if (packet->hops[i].node == node)
			return 1;
	return packet->from == node;
}

static int ended(const struct bh_packet *packet, enum term_kind kind, uint32_t value)
{
	for (size_t i = 0; i < packet->end_count; i++) {
		const struct bh_packet_end *end = &packet->ends[i];

		if (kind == TERM_END ? end->kind == value
				     : end->node == value && end->kind != BH_PACKET_LOST)
			return 1;
	}
	return 0;
}

static int term_matches(const struct term *term, const struct bh_packets *packets,
			const struct bh_packet *packet)
{
	int matches = 0;

	switch (term->kind) {
	case TERM_AT:
		matches = was_at(packet, term->value);
		break;
	case TERM_FROM:
		matches = packet->from == term->value;
		break;
	case TERM_TO:
	case TERM_END:
		matches = ended(packet, term->kind, term->value);
		break;
	case TERM_REACHING:
		matches = bh_packet_reaches(packets, packet, term->value);
		break;
	}
	return matches != term->is_not;
}

int bh_packet_filter_admits(const struct bh_packet_filter *filter, uint32_t node)
{
	int is_admitted = 1;

	for (size_t i = 0; i < filter->term_count; i++) {
		const struct term *term = &filter->terms[i];

		if (term->kind != TERM_AT || term->is_not)
			continue;
		if (term->value == node)
			return 1;
		is_admitted = 0;
	}
	return is_admitted;
}

int bh_packet_filter_matches(const struct bh_packet_filter *filter,
			     const struct bh_packets *packets, const struct bh_packet *packet)
{
	const uint8_t *before = NULL;

	for (size_t i = 0; i < filter->term_count; i++)
		if (!term_matches(&filter->terms[i], packets, packet))
			return 0;
	if (!filter->frame)
		return 1;
	if (!packet->hop_count)
		return packet->captured &&
		       bh_frame_filter_matches_begin(filter->frame, packet->frame, packet->captured,
						     packet->length);
	for (size_t i = 0; i < packet->hop_count; i++) {
		const struct bh_packet_hop *hop = &packet->hops[i];

		if (hop->frame != before &&
		    bh_frame_filter_matches_begin(filter->frame, hop->frame, hop->captured,
						  hop->length))
			return 1;
		before = hop->frame;
	}
	return 0;
}
