/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Documents that gdb reads in pieces (qXfer): the target description, the auxiliary vector, the
 * executable's name, the threads and the libraries. Called by gdb_server.c.
 *
 * Every node's kernel image is a library of the same name: gdb then loads its symbols once and
 * shares them, while each copy keeps its own addresses.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replayer/gdb_server_state.h"

/* At most this many program headers are looked at. */
#define MAX_HEADERS 64

static void add_xml(struct bh_buffer *document, const char *text)
{
	for (; *text; text++) {
		if (strchr("&<>\"'", *text) || (unsigned char)*text < ' ')
			bh_rsp_text(document, "&#%u;", (unsigned char)*text);
		else
			bh_buffer_u8(document, (uint8_t)*text);
	}
}

/* --- the documents --- */

static struct bh_error *build_features(struct bh_gdb_server *server, struct bh_buffer *document)
{
	bh_rsp_text(document, "%s", bh_gdb_target_xml);
	return NULL;
}

/*
 * The replayed process is a fork of this one, so its auxiliary vector is ours; from it gdb learns
 * where the executable lies. The vDSO is left out: nothing replayed may call it.
 */
static struct bh_error *build_auxv(struct bh_gdb_server *server, struct bh_buffer *document)
{
	int file = open("/proc/self/auxv", O_RDONLY | O_CLOEXEC);
	Elf64_auxv_t entry;

	if (file < 0)
		return bh_error_new(BH_ERR_MACHINE, "/proc/self/auxv can't be read; mount /proc");
	while (read(file, &entry, sizeof(entry)) == sizeof(entry)) {
		if (entry.a_type != AT_SYSINFO_EHDR)
			bh_buffer_bytes(document, &entry, sizeof(entry));
		if (entry.a_type == AT_NULL)
			break;
	}
	close(file);
	return NULL;
}

static struct bh_error *build_executable(struct bh_gdb_server *server, struct bh_buffer *document)
{
	bh_rsp_text(document, "%s", server->executable ? server->executable : "");
	return NULL;
}

static struct bh_error *build_threads(struct bh_gdb_server *server, struct bh_buffer *document)
{
	const struct bh_replay_thread *threads;
	size_t count;

	BH_TRY(bh_replay_threads(server->replay, &threads, &count));
	bh_rsp_text(document, "<?xml version=\"1.0\"?>\n<threads>\n");
	for (size_t i = 0; i < count; i++) {
		if (!bh_gdb_is_listed(server, &threads[i], count))
			continue;
		bh_rsp_text(document, "<thread id=\"p1.%lx\" name=\"", threads[i].id);
		add_xml(document, threads[i].name);
		bh_rsp_text(document, "\">%s</thread>\n", threads[i].is_running ? "running" : "");
	}
	bh_rsp_text(document, "</threads>\n");
	return NULL;
}

/* By how much the image was moved from the addresses in its file: its base, unless the file asks
 * for a fixed place. */
static uint64_t load_bias(struct bh_replay *replay, uint64_t base)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;

	if (bh_replay_read(replay, base, &header, sizeof(header)) != sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_phentsize != sizeof(segment))
		return base;
	for (unsigned int i = 0; i < header.e_phnum && i < MAX_HEADERS; i++) {
		uint64_t at = base + header.e_phoff + i * sizeof(segment);

		if (bh_replay_read(replay, at, &segment, sizeof(segment)) != sizeof(segment))
			return base;
		if (segment.p_type == PT_LOAD)
			return base - (segment.p_vaddr & ~0xffful);
	}
	return base;
}

/*
 * The file from which gdb takes an image's symbols. For a kernel image that is image.debug itself
 * rather than image with its debug link: gdb looks for a global variable in the copy that the frame
 * runs in only if that file says DT_SYMBOLIC and has the symbols too (gdb 13, solib-svr4.c,
 * svr4_iterate_over_objfiles_in_search_order); else it silently takes the first node's.
 */
static void add_symbol_file(struct bh_buffer *document, const struct bh_replay_image *image)
{
	char debug[4096];
	int length = snprintf(debug, sizeof(debug), "%s.debug", image->path);
	int has_debug = image->is_kernel && length < (int)sizeof(debug) && !access(debug, R_OK);

	add_xml(document, has_debug ? debug : image->path);
}

static struct bh_error *build_libraries(struct bh_gdb_server *server, struct bh_buffer *document)
{
	const struct bh_replay_image *images;
	size_t count;

	BH_TRY(bh_replay_images(server->replay, &images, &count));
	bh_rsp_text(document, "<library-list-svr4 version=\"1.0\">\n");
	for (size_t i = 0; i < count; i++) {
		bh_rsp_text(document, "<library name=\"");
		add_symbol_file(document, &images[i]);
		bh_rsp_text(document,
			    "\" lm=\"0x%lx\" l_addr=\"0x%lx\" l_ld=\"0x%lx\" lmid=\"0x0\"/>\n",
			    images[i].base, load_bias(server->replay, images[i].base),
			    images[i].dynamic);
	}
	bh_rsp_text(document, "</library-list-svr4>\n");
	return NULL;
}

/* FNV-1a: only told apart from the list before it, on one machine. */
uint64_t bh_gdb_library_digest(struct bh_gdb_server *server)
{
	const struct bh_replay_image *images;
	uint64_t digest = 0xcbf29ce484222325ul;
	struct bh_error *error;
	size_t count;

	error = bh_replay_images(server->replay, &images, &count);
	if (error) {
		bh_error_free(error);
		return server->library_digest;
	}
	for (size_t i = 0; i < count; i++) {
		for (const char *at = images[i].path; *at; at++)
			digest = (digest ^ (unsigned char)*at) * 0x100000001b3ul;
		digest = (digest ^ images[i].base) * 0x100000001b3ul;
	}
	return digest ? digest : 1;
}

/* --- the packet --- */

static const struct document {
	const char *prefix; /* object ":read:", and the annex where only one will do */
	struct bh_error *(*build)(struct bh_gdb_server *server, struct bh_buffer *document);
	int has_any_annex;
} documents[] = {
	{"features:read:target.xml:", build_features, 0}, {"auxv:read::", build_auxv, 0},
	{"exec-file:read:", build_executable, 1},	  {"threads:read::", build_threads, 0},
	{"libraries-svr4:read:", build_libraries, 1},	  {"siginfo:read::", bh_gdb_siginfo, 0},
};

/* offset "," length */
static void send_slice(struct bh_gdb_server *server, struct bh_rsp_scan *scan,
		       const struct bh_buffer *document)
{
	uint64_t offset = bh_rsp_scan_hex(scan), length, left;

	bh_rsp_scan_expect(scan, ",");
	length = bh_rsp_scan_hex(scan);
	if (scan->failed || offset > document->length) {
		bh_gdb_refuse(server, "a document is read from an offset within it");
		return;
	}
	left = document->length - offset;
	/* Escapes may double the length. */
	if (length > BH_RSP_PACKET_MAX / 2 - 8)
		length = BH_RSP_PACKET_MAX / 2 - 8;
	bh_rsp_text(&server->reply, "%s", left <= length ? "l" : "m");
	bh_rsp_binary(&server->reply, document->bytes + offset, left < length ? left : length);
}

void bh_gdb_xfer(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	const struct document *kind = NULL;
	struct bh_buffer document = {0};
	struct bh_error *error;

	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]) && !kind; i++)
		if (bh_rsp_scan_accept(scan, documents[i].prefix))
			kind = &documents[i];
	if (!kind)
		return;
	if (kind->has_any_annex) {
		while (bh_rsp_scan_left(scan) && *scan->at != ':')
			scan->at++;
		bh_rsp_scan_expect(scan, ":");
	}
	error = kind->build(server, &document);
	if (error)
		bh_gdb_refuse_error(server, error);
	else if (document.failed)
		bh_gdb_refuse(server, "out of memory");
	else
		send_slice(server, scan, &document);
	bh_buffer_free(&document);
	if (kind->build == build_libraries)
		server->library_digest = bh_gdb_library_digest(server);
}
