/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files for a gdb that runs elsewhere and reads symbols through the connection (vFile, with `set
 * sysroot target:`). Only files that the replay runs are served, and the debug information beside
 * them; the person at the other end may be a stranger. Read-only. Called by gdb_server.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replayer/gdb_server_state.h"

/* Errors have their own numbers in gdb's protocol (File-I/O, "Errno Values"). */
static unsigned int protocol_errno(int number)
{
	static const struct {
		int host;
		unsigned int protocol;
	} map[] = {{EPERM, 1},	 {ENOENT, 2},  {EINTR, 4},   {EBADF, 9},  {EACCES, 13},
		   {EISDIR, 21}, {EINVAL, 22}, {ENFILE, 23}, {EMFILE, 24}};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].host == number)
			return map[i].protocol;
	return 9999;
}

static void reply_errno(struct bh_gdb_server *server, int number)
{
	bh_rsp_text(&server->reply, "F-1,%x", protocol_errno(number));
}

/* path is image, or image with .debug behind it. */
static int is_file_of(const char *path, const char *image)
{
	size_t length = strlen(image);

	return !strncmp(path, image, length) && (!path[length] || !strcmp(path + length, ".debug"));
}

static int is_served(struct bh_gdb_server *server, const char *path)
{
	const struct bh_replay_image *images;
	struct bh_error *error;
	size_t count;

	if (server->executable && is_file_of(path, server->executable))
		return 1;
	error = bh_replay_images(server->replay, &images, &count);
	if (error) {
		bh_error_free(error);
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		if (is_file_of(path, images[i].path))
			return 1;
	return 0;
}

/* hexadecimal path "," flags "," mode */
static void open_file(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	size_t length, slot = 0;
	char *path = (char *)bh_rsp_scan_bytes(scan, &length);
	uint64_t flags;

	bh_rsp_scan_expect(scan, ",");
	flags = bh_rsp_scan_hex(scan);
	while (slot < BH_GDB_MAX_FILES && server->files[slot] >= 0)
		slot++;
	if (scan->failed) {
		reply_errno(server, EINVAL);
	} else if (flags) { /* 0 is read-only */
		reply_errno(server, EPERM);
	} else if (!is_served(server, path)) {
		reply_errno(server, ENOENT);
	} else if (slot == BH_GDB_MAX_FILES) {
		reply_errno(server, EMFILE);
	} else {
		server->files[slot] = open(path, O_RDONLY | O_CLOEXEC);
		if (server->files[slot] < 0)
			reply_errno(server, errno);
		else
			bh_rsp_text(&server->reply, "F%zx", slot);
	}
	free(path);
}

/* The host descriptor for the number at scan's front; -1 with a reply if there is none. */
static int scan_file(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	uint64_t slot = bh_rsp_scan_hex(scan);

	if (scan->failed || slot >= BH_GDB_MAX_FILES || server->files[slot] < 0) {
		reply_errno(server, EBADF);
		return -1;
	}
	return server->files[slot];
}

/* file "," count "," offset */
static void read_file(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	int file = scan_file(server, scan);
	uint64_t count, offset;
	uint8_t *bytes;
	ssize_t got;

	if (file < 0)
		return;
	bh_rsp_scan_expect(scan, ",");
	count = bh_rsp_scan_hex(scan);
	bh_rsp_scan_expect(scan, ",");
	offset = bh_rsp_scan_hex(scan);
	if (count > BH_RSP_PACKET_MAX / 2 - 32) /* escapes may double it */
		count = BH_RSP_PACKET_MAX / 2 - 32;
	bytes = malloc(count + 1);
	if (scan->failed || !bytes) {
		free(bytes);
		reply_errno(server, EINVAL);
		return;
	}
	got = pread(file, bytes, count, (off_t)offset);
	if (got < 0) {
		reply_errno(server, errno);
	} else {
		bh_rsp_text(&server->reply, "F%zx;", (size_t)got);
		bh_rsp_binary(&server->reply, bytes, (size_t)got);
	}
	free(bytes);
}

static void put_big_endian(uint8_t *to, uint64_t value, size_t size)
{
	while (size--) {
		to[size] = (uint8_t)value;
		value >>= 8;
	}
}

/* The structure of gdb's manual, File-I/O, "struct stat": 64 bytes, big-endian. */
static void stat_file(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	int file = scan_file(server, scan);
	uint8_t bytes[64] = {0};
	struct stat status;

	if (file < 0)
		return;
	if (fstat(file, &status)) {
		reply_errno(server, errno);
		return;
	}
	put_big_endian(bytes + 8, (status.st_mode & 0777) | 0100000, 4); /* a regular file */
	put_big_endian(bytes + 12, 1, 4);
	put_big_endian(bytes + 28, (uint64_t)status.st_size, 8);
	put_big_endian(bytes + 36, 4096, 8);
	put_big_endian(bytes + 44, (uint64_t)(status.st_size + 511) / 512, 8);
	bh_rsp_text(&server->reply, "F%zx;", sizeof(bytes));
	bh_rsp_binary(&server->reply, bytes, sizeof(bytes));
}

static void close_file(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	struct bh_rsp_scan number = *scan;
	int file = scan_file(server, scan);

	if (file < 0)
		return;
	close(file);
	server->files[bh_rsp_scan_hex(&number)] = -1;
	bh_rsp_text(&server->reply, "F0");
}

void bh_gdb_file(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	if (bh_rsp_scan_accept(scan, "setfs:"))
		bh_rsp_text(&server->reply, "F0"); /* there is one file system */
	else if (bh_rsp_scan_accept(scan, "open:"))
		open_file(server, scan);
	else if (bh_rsp_scan_accept(scan, "pread:"))
		read_file(server, scan);
	else if (bh_rsp_scan_accept(scan, "fstat:"))
		stat_file(server, scan);
	else if (bh_rsp_scan_accept(scan, "close:"))
		close_file(server, scan);
}

void bh_gdb_files_close(struct bh_gdb_server *server)
{
	for (size_t i = 0; i < BH_GDB_MAX_FILES; i++) {
		if (server->files[i] >= 0)
			close(server->files[i]);
		server->files[i] = -1;
	}
}
