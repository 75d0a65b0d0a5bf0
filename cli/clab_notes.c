/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a containerlab topology has no counterpart, each thing once: see clab_internal.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/clab_internal.h"

#define NODES_NAMED_MAX 6u

static struct bh_clab_note *find(struct bh_clab *clab, const char *sentence,
				 const struct bh_yaml_node *place)
{
	for (size_t i = 0; i < clab->note_count; i++)
		if (strcmp(clab->notes[i].sentence, sentence) == 0 &&
		    clab->notes[i].line == place->line && clab->notes[i].column == place->column)
			return &clab->notes[i];
	struct bh_clab_note *larger =
		realloc(clab->notes, (clab->note_count + 1) * sizeof(*clab->notes));
	char *copy = strdup(sentence);

	if (larger)
		clab->notes = larger;
	if (!larger || !copy) {
		free(copy);
		return NULL;
	}
	larger[clab->note_count] = (struct bh_clab_note){
		.sentence = copy, .line = place->line, .column = place->column};
	return &larger[clab->note_count++];
}

void bh_clab_note(struct bh_clab *clab, const struct bh_yaml_node *place,
		  const struct bh_clab_node *node, const char *format, ...)
{
	char sentence[400];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	struct bh_clab_note *note = find(clab, sentence, place);

	if (!note || !node)
		return;
	if (note->node_count++ < NODES_NAMED_MAX)
		bh_text_add(&note->nodes, "%s%s", note->nodes.length ? ", " : "", node->name);
}

void bh_clab_notes_tell(struct bh_clab *clab)
{
	for (size_t i = 0; i < clab->note_count; i++) {
		struct bh_clab_note *note = &clab->notes[i];
		struct bh_text text = {0};

		bh_text_add(&text, "%s:%u:%u: ", clab->filename, note->line, note->column);
		if (note->nodes.length)
			bh_text_add(&text, "%s%s: ", note->nodes.bytes,
				    note->node_count > NODES_NAMED_MAX ? ", …" : "");
		bh_text_add(&text, "%s", note->sentence);
		if (text.bytes)
			clab->options.note(clab->options.arg, text.bytes);
		bh_text_free(&text);
		bh_text_free(&note->nodes);
		free(note->sentence);
	}
	free(clab->notes);
	clab->notes = NULL;
	clab->note_count = 0;
}
