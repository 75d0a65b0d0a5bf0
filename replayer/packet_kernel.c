/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fields of socket buffers and entries of functions: see packet_kernel.h. */
#include "replayer/packet_kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel-lib/image.h"

#define ETHERNET_HEADER 14u
/* mac_header of a buffer that has none (include/linux/skbuff.h, 6.1 and 6.12). */
#define NO_HEADER 0xffffu

int bh_skb_layout_read(const struct bh_symbols *symbols, struct bh_skb_layout *layout_ret)
{
	const struct {
		const char *structure, *member;
		uint64_t *offset;
	} fields[] = {
		{"sk_buff", "kcov_handle", &layout_ret->kcov_handle},
		{"sk_buff", "head", &layout_ret->head},
		{"sk_buff", "data", &layout_ret->data},
		{"sk_buff", "tail", &layout_ret->tail},
		{"sk_buff", "len", &layout_ret->len},
		{"sk_buff", "sk", &layout_ret->sk},
		{"sk_buff", "dev", &layout_ret->dev},
		{"sk_buff", "protocol", &layout_ret->protocol},
		{"sk_buff", "mac_header", &layout_ret->mac_header},
		{"sk_buff", "network_header", &layout_ret->network_header},
		{"sock_common", "skc_family", &layout_ret->sock_family},
	};
	/* A function of net/core/skbuff.c, which sees both structures whole. */
	uint64_t function = bh_symbols_address(symbols, "__alloc_skb");

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!function || !bh_symbols_member(symbols, function, fields[i].structure,
						    fields[i].member, fields[i].offset))
			return 0;
	return 1;
}

/* --- functions --- */

struct function_list {
	const uint32_t *entries; /* of the image */
	size_t entry_count;
	struct bh_skb_function *functions;
	size_t count, room;
	int failed;
};

static int is_entry(const struct function_list *list, uint64_t address)
{
	size_t low = 0, high = list->entry_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (list->entries[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < list->entry_count && list->entries[low] == address;
}

static void add_function(void *arg, uint64_t address, const char *name, unsigned int arguments)
{
	struct function_list *list = arg;

	if (!is_entry(list, address))
		return;
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 4096;
		void *grown = realloc(list->functions, room * sizeof(*list->functions));

		if (!grown) {
			list->failed = 1;
			return;
		}
		list->functions = grown;
		list->room = room;
	}
	struct bh_skb_function *function = &list->functions[list->count++];

	function->entry = (uint32_t)address;
	function->arguments = arguments;
	snprintf(function->name, sizeof(function->name), "%s", name);
}

static int compare_entries(const void *left, const void *right)
{
	const struct bh_skb_function *a = left, *b = right;

	return (a->entry > b->entry) - (a->entry < b->entry);
}

static void sort_functions(struct function_list *list)
{
	size_t kept = 0;

	if (list->count)
		qsort(list->functions, list->count, sizeof(*list->functions), compare_entries);
	for (size_t i = 0; i < list->count; i++) {
		if (kept && list->functions[kept - 1].entry == list->functions[i].entry)
			list->functions[kept - 1].arguments |= list->functions[i].arguments;
		else
			list->functions[kept++] = list->functions[i];
	}
	list->count = kept;
}

/* A line is an offset, the bits of the arguments, both hexadecimal, and the name; the last line is
 * "end", so that a file which was cut is seen. */
static int read_functions(struct function_list *list, const char *path)
{
	FILE *file = fopen(path, "r");
	char line[128], name[64];
	unsigned int arguments;
	unsigned long entry;
	int is_whole = 0;

	while (file && !is_whole && fgets(line, sizeof(line), file)) {
		if (!strcmp(line, "end\n"))
			is_whole = 1;
		else if (sscanf(line, "%lx %x %63[A-Za-z0-9_]", &entry, &arguments, name) != 3 ||
			 !is_entry(list, entry) || !arguments || arguments >= 64)
			break;
		else
			add_function(list, entry, name, arguments);
	}
	if (file)
		fclose(file);
	if (!is_whole)
		list->count = 0;
	return is_whole;
}

static void write_functions(const struct function_list *list, const char *path)
{
	char *temporary = NULL;
	int fd = asprintf(&temporary, "%s.XXXXXX", path) < 0 ? -1 : mkstemp(temporary);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	for (size_t i = 0; file && i < list->count; i++)
		fprintf(file, "%x %x %s\n", list->functions[i].entry, list->functions[i].arguments,
			list->functions[i].name);
	if (file) {
		fputs("end\n", file);
		if (fclose(file) || rename(temporary, path))
			unlink(temporary);
	}
	free(temporary);
}

static char *functions_path(const struct bh_image *image, const char *folder)
{
	size_t length = 0;
	const uint8_t *id = bh_image_build_id(image, &length);
	char hex[129] = "", *path = NULL;

	for (size_t i = 0; id && i < length && i < 64; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	if (!folder || !*hex || asprintf(&path, "%s/%s.functions", folder, hex) < 0)
		return NULL;
	return path;
}

struct bh_skb_function *bh_skb_functions(const struct bh_image *image,
					 const struct bh_symbols *symbols, const char *folder,
					 size_t *count_ret)
{
	struct function_list list = {0};
	char *path = functions_path(image, folder);

	list.entries = bh_image_patchable_entries(image, &list.entry_count);
	if (!path || !read_functions(&list, path)) {
		bh_symbols_takers(symbols, "sk_buff", add_function, &list);
		sort_functions(&list);
		if (path && !list.failed)
			write_functions(&list, path);
	}
	free(path);
	if (list.failed) {
		free(list.functions);
		return NULL;
	}
	sort_functions(&list);
	*count_ret = list.count;
	return list.functions ? list.functions : calloc(1, sizeof(*list.functions));
}

/* --- buffers --- */

static uint64_t read_word(uint64_t address)
{
	uint64_t word;

	memcpy(&word, (const void *)address, sizeof(word));
	return word;
}

static uint32_t read_half(uint64_t address)
{
	uint32_t half;

	memcpy(&half, (const void *)address, sizeof(half));
	return half;
}

static uint16_t read_short(uint64_t address)
{
	uint16_t value;

	memcpy(&value, (const void *)address, sizeof(value));
	return value;
}

size_t bh_skb_copy_frame(const struct bh_skb_layout *layout, uint64_t skb, uint8_t *frame_ret,
			 size_t size, size_t *length_ret)
{
	uint64_t head = read_word(skb + layout->head), data = read_word(skb + layout->data);
	/* 64-bit kernels keep the tail as an offset (NET_SKBUFF_DATA_USES_OFFSET). */
	uint64_t tail = head + read_half(skb + layout->tail);
	uint64_t mac = head + read_short(skb + layout->mac_header);
	uint64_t network = head + read_short(skb + layout->network_header);
	uint64_t from = mac, used = 0;

	if (!head || tail < data)
		return 0;
	if (read_short(skb + layout->mac_header) == NO_HEADER || mac + ETHERNET_HEADER > tail ||
	    network < mac + ETHERNET_HEADER) {
		from = network > head && network < tail ? network : data;
		memset(frame_ret, 0, ETHERNET_HEADER);
		memcpy(frame_ret + 12, (const void *)(skb + layout->protocol), 2);
		/* It is set late on the way out. */
		if (!frame_ret[12] && !frame_ret[13] && from < tail)
			memcpy(frame_ret + 12,
			       *(const uint8_t *)from >> 4 == 6 ? "\x86\xdd" : "\x08", 2);
		used = ETHERNET_HEADER;
	}
	uint64_t linear = tail > from ? tail - from : 0;
	uint64_t whole = read_half(skb + layout->len) + data - from;

	if (linear > size - used)
		linear = size - used;
	memcpy(frame_ret + used, (const void *)from, linear);
	*length_ret = used + whole;
	return used + linear;
}

int bh_skb_is_captured(const struct bh_skb_layout *layout, uint64_t skb)
{
	uint64_t sock = read_word(skb + layout->sk);

	return sock && read_short(sock + layout->sock_family) == AF_PACKET;
}

uint32_t bh_kernel_entry(const struct bh_image *image, const struct bh_symbols *symbols,
			 const char *function)
{
	uint64_t address = bh_symbols_address(symbols, function);
	size_t count = 0;
	const uint32_t *entries = bh_image_patchable_entries(image, &count);

	for (size_t i = 0; address && i < count; i++)
		if (entries[i] == address)
			return entries[i];
	return 0;
}
