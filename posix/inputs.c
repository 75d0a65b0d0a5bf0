/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of a run's inputs: see inputs.h. A live table looks at the host, a recorded one only at
 * what was added to it, and at the bytes of files whose contents the trace doesn't hold.
 */
#include "posix/inputs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"
#include "posix/internal.h"

/* A table entry: what others see, and how its bytes are held. */
struct entry {
	struct bh_input input; /* first: bh_inputs_read() gets it back from its address */
	uint64_t path_hash;
	int descriptor;		 /* -1: none */
	int data_is_mapped;	 /* data is a mapping of size bytes of the file; else malloc'ed */
	struct stat identity;	 /* of the file, when data_is_mapped */
	int content_is_recorded; /* the trace holds the hash, which must be met */
	int read_error;		 /* 0, or the -errno that reading gave: it gives the same again */
};

/* Files that are open at a time. The host limits descriptors, and a run must not depend on it. */
#define OPEN_MAX_FILES 16u

struct bh_inputs {
	int is_recorded;
	struct entry **entries; /* in order of first question */
	size_t count, capacity;
	uint32_t *buckets;   /* index + 1 into entries; 0 is empty */
	size_t bucket_count; /* a power of two, more than twice count */
	char *missing;
	char *folder;  /* of the scenario; NULL: not known */
	char **hidden; /* absolute paths */
	size_t hidden_count;
	struct entry *open[OPEN_MAX_FILES]; /* whose descriptor is open; NULL: none */
	size_t open_next;		    /* the one opened longest ago */
};

static struct bh_error *table_create(int is_recorded, struct bh_inputs **inputs_ret)
{
	struct bh_inputs *inputs = calloc(1, sizeof(*inputs));

	if (!inputs)
		return bh_error_new(BH_ERR_NOMEM, "no memory for the table of inputs");
	inputs->is_recorded = is_recorded;
	inputs->bucket_count = 1024;
	inputs->buckets = calloc(inputs->bucket_count, sizeof(*inputs->buckets));
	if (!inputs->buckets) {
		free(inputs);
		return bh_error_new(BH_ERR_NOMEM, "no memory for the table of inputs");
	}
	*inputs_ret = inputs;
	return NULL;
}

struct bh_error *bh_inputs_create_live(struct bh_inputs **inputs_ret)
{
	return table_create(0, inputs_ret);
}

struct bh_error *bh_inputs_create_recorded(struct bh_inputs **inputs_ret)
{
	return table_create(1, inputs_ret);
}

static void entry_destroy(struct entry *entry)
{
	if (entry->descriptor >= 0)
		close(entry->descriptor);
	if (entry->data_is_mapped)
		munmap((void *)entry->input.data, entry->input.size);
	else
		free((void *)entry->input.data);
	free(entry->input.text);
	free(entry->input.path);
	free(entry);
}

void bh_inputs_destroy(struct bh_inputs *inputs)
{
	if (!inputs)
		return;
	for (size_t i = 0; i < inputs->count; i++)
		entry_destroy(inputs->entries[i]);
	free(inputs->entries);
	free(inputs->buckets);
	free(inputs->missing);
	free(inputs->folder);
	for (size_t i = 0; i < inputs->hidden_count; i++)
		free(inputs->hidden[i]);
	free(inputs->hidden);
	free(inputs);
}

static size_t bucket_of(const struct bh_inputs *inputs, uint64_t hash, const char *path)
{
	size_t mask = inputs->bucket_count - 1, bucket = hash & mask;

	for (; inputs->buckets[bucket]; bucket = (bucket + 1) & mask) {
		const struct entry *entry = inputs->entries[inputs->buckets[bucket] - 1];

		if (entry->path_hash == hash && !strcmp(entry->input.path, path))
			break;
	}
	return bucket;
}

static int buckets_grow(struct bh_inputs *inputs)
{
	size_t count = inputs->bucket_count * 2;
	uint32_t *buckets = calloc(count, sizeof(*buckets));

	if (!buckets)
		return -ENOMEM;
	free(inputs->buckets);
	inputs->buckets = buckets;
	inputs->bucket_count = count;
	for (size_t i = 0; i < inputs->count; i++) {
		const struct entry *entry = inputs->entries[i];

		buckets[bucket_of(inputs, entry->path_hash, entry->input.path)] = (uint32_t)i + 1;
	}
	return 0;
}

/* NULL when there is no memory. path is not in the table yet. */
static struct entry *table_add(struct bh_inputs *inputs, uint64_t hash, const char *path)
{
	struct entry *entry;

	if (inputs->count == inputs->capacity) {
		size_t capacity = inputs->capacity ? inputs->capacity * 2 : 256;
		struct entry **entries = realloc(inputs->entries, capacity * sizeof(*entries));

		if (!entries)
			return NULL;
		inputs->entries = entries;
		inputs->capacity = capacity;
	}
	if ((inputs->count + 1) * 2 >= inputs->bucket_count && buckets_grow(inputs))
		return NULL;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->input.path = strdup(path);
	if (!entry->input.path) {
		free(entry);
		return NULL;
	}
	entry->path_hash = hash;
	entry->descriptor = -1;
	/* Programs take an inode number of 0 for a deleted file. */
	entry->input.number = hash ? hash : 1;
	inputs->entries[inputs->count++] = entry;
	inputs->buckets[bucket_of(inputs, hash, path)] = (uint32_t)inputs->count;
	return entry;
}

static void note_missing(struct bh_inputs *inputs, const char *path)
{
	if (!inputs->missing)
		inputs->missing = strdup(path);
}

static uint8_t kind_of_mode(mode_t mode)
{
	if (S_ISREG(mode))
		return BH_INPUT_FILE;
	if (S_ISDIR(mode))
		return BH_INPUT_DIRECTORY;
	return S_ISLNK(mode) ? BH_INPUT_SYMLINK : BH_INPUT_SPECIAL;
}

/* Is folder/name, or what lies at folder if there is no name, kept from nodes? */
static int is_hidden(const struct bh_inputs *inputs, const char *folder, const char *name)
{
	char path[4096];

	if (!inputs->hidden_count ||
	    snprintf(path, sizeof(path), "%s%s%s", folder, name && folder[1] ? "/" : "",
		     name ? name : "") >= (int)sizeof(path))
		return 0;
	for (size_t i = 0; i < inputs->hidden_count; i++) {
		size_t length = strlen(inputs->hidden[i]);

		if (!strncmp(path, inputs->hidden[i], length) &&
		    (!path[length] || path[length] == '/'))
			return 1;
	}
	return 0;
}

static void look_at_host(struct bh_input *input)
{
	struct stat stat;

	if (lstat(input->path, &stat))
		return; /* absent */
	input->kind = kind_of_mode(stat.st_mode);
	input->mode = stat.st_mode & 07777;
	/* The size of a directory and of a link depends on the host's file system or is known when
	 * it is read. */
	input->size = input->kind == BH_INPUT_FILE ? (uint64_t)stat.st_size : 0;
}

/* Removes double and final slashes. to has room for strlen(path) + 1 bytes. */
static void normalise(char *to, const char *path)
{
	char *start = to;

	for (; *path; path++)
		if (*path != '/' || (path[1] != '/' && path[1]))
			*to++ = *path;
	if (to == start)
		*to++ = '/';
	*to = '\0';
}

static const struct bh_input no_memory = {.path = (char *)"(no memory)"};

const struct bh_input *bh_inputs_lookup(struct bh_inputs *inputs, const char *path)
{
	char normal[4096];
	struct entry *entry;
	uint64_t hash;
	size_t bucket;

	if (strlen(path) >= sizeof(normal))
		return &no_memory;
	normalise(normal, path);
	hash = bh_hash64(normal, strlen(normal));
	bucket = bucket_of(inputs, hash, normal);
	if (inputs->buckets[bucket])
		return &inputs->entries[inputs->buckets[bucket] - 1]->input;
	entry = table_add(inputs, hash, normal);
	if (!entry)
		return &no_memory;
	if (inputs->is_recorded)
		note_missing(inputs, normal);
	else if (!is_hidden(inputs, normal, NULL))
		look_at_host(&entry->input);
	return &entry->input;
}

/* --- contents --- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct name_list {
	char **names; /* each: name, NUL, kind's digit, NUL */
	size_t count, capacity, bytes;
};

static int name_list_add(struct name_list *list, int directory, const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	struct stat stat;
	char *name;
	int kind;

	if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
		return 0;
	if (entry->d_type != DT_UNKNOWN)
		kind = kind_of_mode(DTTOIF(entry->d_type));
	else if (fstatat(directory, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW))
		return 0;
	else
		kind = kind_of_mode(stat.st_mode);
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 64;
		char **names = realloc(list->names, capacity * sizeof(*names));

		if (!names)
			return -ENOMEM;
		list->names = names;
		list->capacity = capacity;
	}
	name = malloc(length + 3);
	if (!name)
		return -ENOMEM;
	memcpy(name, entry->d_name, length + 1);
	name[length + 1] = (char)('0' + kind);
	name[length + 2] = '\0';
	list->names[list->count++] = name;
	list->bytes += length + 3;
	return 0;
}

static int name_list_join(struct name_list *list, struct bh_input *input)
{
	char *to = malloc(list->bytes + 1);

	if (!to)
		return -ENOMEM;
	input->text = to;
	input->text_size = list->bytes;
	qsort(list->names, list->count, sizeof(*list->names), compare_names);
	for (size_t i = 0; i < list->count; i++) {
		size_t length = strlen(list->names[i]) + 3;

		memcpy(to, list->names[i], length);
		to += length;
	}
	*to = '\0';
	return 0;
}

static int read_directory(const struct bh_inputs *inputs, struct bh_input *input)
{
	struct name_list list = {0};
	DIR *directory = opendir(input->path);
	struct dirent *entry;
	int ret = 0;

	if (!directory)
		return -errno;
	while (!ret && (entry = readdir(directory)))
		if (!is_hidden(inputs, input->path, entry->d_name))
			ret = name_list_add(&list, dirfd(directory), entry);
	closedir(directory);
	if (!ret)
		ret = name_list_join(&list, input);
	for (size_t i = 0; i < list.count; i++)
		free(list.names[i]);
	free(list.names);
	return ret;
}

static int read_link(struct bh_input *input)
{
	char target[4096];
	ssize_t length = readlink(input->path, target, sizeof(target));

	if (length < 0)
		return -errno;
	input->text = malloc((size_t)length + 1);
	if (!input->text)
		return -ENOMEM;
	memcpy(input->text, target, (size_t)length);
	input->text[length] = '\0';
	input->text_size = (size_t)length;
	return 0;
}

/* Opens the file again or for the first time: a descriptor, or -errno. */
static int open_file(struct entry *entry, struct stat *stat_ret)
{
	struct bh_input *input = &entry->input;
	int descriptor = open(input->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (descriptor < 0)
		return -errno;
	if (fstat(descriptor, stat_ret) || !S_ISREG(stat_ret->st_mode) ||
	    (uint64_t)stat_ret->st_size != input->size) {
		close(descriptor);
		return -ESTALE;
	}
	return descriptor;
}

static void read_build_id(struct bh_input *input)
{
	const uint8_t *id;
	size_t length = bh_elf_build_id(input->data, input->size, &id);

	if (!length || length > BH_BUILD_ID_MAX)
		return;
	memcpy(input->build_id, id, length);
	input->build_id_length = (uint8_t)length;
}

static int read_file(struct entry *entry)
{
	struct bh_input *input = &entry->input;
	int descriptor = open_file(entry, &entry->identity), ret = 0;
	void *data;

	if (descriptor < 0)
		return descriptor;
	if (!input->size) {
		input->data = calloc(1, 1);
		ret = input->data ? 0 : -ENOMEM;
	} else {
		data = mmap(NULL, input->size, PROT_READ, MAP_PRIVATE, descriptor, 0);
		ret = data == MAP_FAILED ? -errno : 0;
		input->data = ret ? NULL : data;
		entry->data_is_mapped = !ret;
	}
	close(descriptor);
	if (!ret)
		read_build_id(input);
	return ret;
}

static int read_contents(const struct bh_inputs *inputs, struct entry *entry)
{
	struct bh_input *input = &entry->input;

	switch (input->kind) {
	case BH_INPUT_FILE:
		return input->data ? 0 : read_file(entry);
	case BH_INPUT_DIRECTORY:
		return input->text ? 0 : read_directory(inputs, input);
	case BH_INPUT_SYMLINK:
		return input->text ? 0 : read_link(input);
	default:
		return input->kind == BH_INPUT_ABSENT ? -ENOENT : -ENXIO;
	}
}

static void forget_contents(struct entry *entry)
{
	struct bh_input *input = &entry->input;

	if (entry->data_is_mapped)
		munmap((void *)input->data, input->size);
	else
		free((void *)input->data);
	free(input->text);
	if (entry->descriptor >= 0)
		close(entry->descriptor);
	entry->descriptor = -1;
	entry->data_is_mapped = 0;
	input->data = NULL;
	input->text = NULL;
	input->text_size = 0;
}

int bh_inputs_read(struct bh_inputs *inputs, const struct bh_input *input)
{
	struct entry *entry = (struct entry *)input;
	struct bh_input *own = &entry->input;
	uint8_t hash[16];
	int ret;

	if (input == &no_memory)
		return -ENOMEM;
	if (entry->read_error || (own->was_read && (own->data || own->text)))
		return entry->read_error;
	ret = inputs->is_recorded && !own->was_read ? -ESTALE : read_contents(inputs, entry);
	if (!ret) {
		if (own->kind == BH_INPUT_FILE)
			bh_hash128(own->data, own->size, hash);
		else
			bh_hash128(own->text, own->text_size, hash);
		if (entry->content_is_recorded && memcmp(hash, own->hash, sizeof(hash)))
			ret = -ESTALE;
	}
	if (ret) {
		forget_contents(entry);
		entry->read_error = ret;
		if (inputs->is_recorded)
			note_missing(inputs, own->path);
		return ret;
	}
	memcpy(own->hash, hash, sizeof(hash));
	own->was_read = 1;
	return 0;
}

/* A recorded file's bytes come from the trace: an unnamed file makes them mappable. */
static int descriptor_from_data(struct entry *entry)
{
	struct bh_input *input = &entry->input;
	int descriptor = memfd_create("backhop-input", MFD_CLOEXEC);
	uint64_t done = 0;

	if (descriptor < 0)
		return -errno;
	while (done < input->size) {
		ssize_t written = write(descriptor, input->data + done, input->size - done);

		if (written <= 0) {
			int error = written < 0 ? -errno : -EIO;

			close(descriptor);
			return error;
		}
		done += (uint64_t)written;
	}
	entry->descriptor = descriptor;
	return 0;
}

/* What is mapped into a program must be the file that was hashed. -ESTALE if it has changed; any
 * other error: its path leads elsewhere by now, but what was read is still there. */
static int descriptor_from_file(struct entry *entry)
{
	const struct stat *was = &entry->identity;
	struct stat is;
	int descriptor = open_file(entry, &is);

	if (descriptor < 0)
		return -ENOENT;
	if (is.st_dev == was->st_dev && is.st_ino == was->st_ino &&
	    is.st_mtim.tv_sec == was->st_mtim.tv_sec &&
	    is.st_mtim.tv_nsec == was->st_mtim.tv_nsec) {
		entry->descriptor = descriptor;
		return 0;
	}
	close(descriptor);
	return is.st_dev == was->st_dev && is.st_ino == was->st_ino ? -ESTALE : -ENOENT;
}

static void keep_open(struct bh_inputs *inputs, struct entry *entry)
{
	struct entry **place = &inputs->open[inputs->open_next++ % OPEN_MAX_FILES];

	if (*place && *place != entry && (*place)->descriptor >= 0) {
		close((*place)->descriptor);
		(*place)->descriptor = -1;
	}
	*place = entry;
}

int bh_inputs_descriptor(struct bh_inputs *inputs, const struct bh_input *input)
{
	struct entry *entry = (struct entry *)input;
	int ret = bh_inputs_read(inputs, input);

	if (!ret && input->kind != BH_INPUT_FILE)
		ret = -EISDIR;
	if (ret || entry->descriptor >= 0)
		return ret ? ret : entry->descriptor;
	ret = entry->data_is_mapped ? descriptor_from_file(entry) : -ENOENT;
	if (ret && ret != -ESTALE)
		ret = descriptor_from_data(entry);
	if (ret)
		return ret;
	keep_open(inputs, entry);
	return entry->descriptor;
}

/* --- the scenario's folder --- */

void bh_inputs_set_scenario(struct bh_inputs *inputs, const char *scenario_path)
{
	char *slash;

	free(inputs->folder);
	/* NULL if the path leads nowhere. */
	inputs->folder = realpath(scenario_path, NULL);
	slash = inputs->folder ? strrchr(inputs->folder, '/') : NULL;
	if (slash)
		slash[slash == inputs->folder] = '\0';
}

const char *bh_inputs_folder(struct bh_inputs *inputs)
{
	uint64_t hash = bh_hash64(BH_INPUTS_FOLDER, strlen(BH_INPUTS_FOLDER));
	size_t bucket = bucket_of(inputs, hash, BH_INPUTS_FOLDER);
	struct entry *entry;

	if (inputs->buckets[bucket])
		return inputs->entries[inputs->buckets[bucket] - 1]->input.text;
	if (inputs->is_recorded || !inputs->folder)
		return NULL;
	entry = table_add(inputs, hash, BH_INPUTS_FOLDER);
	if (!entry)
		return NULL;
	entry->input.text = strdup(inputs->folder);
	if (!entry->input.text)
		return NULL;
	entry->input.kind = BH_INPUT_SYMLINK;
	entry->input.mode = 0777;
	entry->input.text_size = strlen(inputs->folder);
	bh_hash128(entry->input.text, entry->input.text_size, entry->input.hash);
	entry->input.was_read = 1;
	return entry->input.text;
}

/* --- what the run writes --- */

struct bh_error *bh_inputs_hide(struct bh_inputs *inputs, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	char *real = folder ? realpath(folder, NULL) : NULL;
	char **hidden = reallocarray(inputs->hidden, inputs->hidden_count + 1, sizeof(*hidden));
	int status = 0;

	inputs->hidden = hidden ? hidden : inputs->hidden;
	/* In a folder that isn't there is nothing to hide; who writes there says so. */
	if (hidden && real) {
		status = asprintf(&hidden[inputs->hidden_count], "%s/%s", real[1] ? real : "",
				  slash ? slash + 1 : path);
		inputs->hidden_count += status >= 0;
	}
	free(folder);
	free(real);
	return hidden && folder && status >= 0
		       ? NULL
		       : bh_error_new(BH_ERR_NOMEM, "no memory for the table of inputs");
}

/* --- recording --- */

static void *copy_bytes(const void *bytes, size_t size)
{
	char *copy = malloc(size + 1);

	if (copy) {
		memcpy(copy, bytes, size);
		copy[size] = '\0';
	}
	return copy;
}

struct bh_error *bh_inputs_add(struct bh_inputs *inputs, const struct bh_input *recorded)
{
	uint64_t hash = bh_hash64(recorded->path, strlen(recorded->path));
	struct entry *entry;

	if (inputs->buckets[bucket_of(inputs, hash, recorded->path)])
		return bh_error_new(BH_ERR_INPUT, "%s is twice in the table of inputs",
				    recorded->path);
	if (recorded->path[0] != '/' || recorded->kind > BH_INPUT_SPECIAL)
		return bh_error_new(BH_ERR_INPUT, "\"%s\" of kind %u can't be an input of a run",
				    recorded->path, recorded->kind);
	entry = table_add(inputs, hash, recorded->path);
	if (!entry)
		return bh_error_new(BH_ERR_NOMEM, "no memory for the table of inputs");
	entry->input.kind = recorded->kind;
	entry->input.mode = recorded->mode & 07777;
	entry->input.size = recorded->size;
	entry->input.number = recorded->number;
	entry->input.was_read = recorded->was_read;
	memcpy(entry->input.hash, recorded->hash, sizeof(entry->input.hash));
	entry->content_is_recorded = recorded->was_read;
	if (recorded->text) {
		entry->input.text = copy_bytes(recorded->text, recorded->text_size);
		entry->input.text_size = recorded->text_size;
	}
	if (recorded->data)
		entry->input.data = copy_bytes(recorded->data, recorded->size);
	if ((recorded->text && !entry->input.text) || (recorded->data && !entry->input.data))
		return bh_error_new(BH_ERR_NOMEM, "no memory for the input %s", recorded->path);
	return NULL;
}

/* What was looked at, and is read only later in the recorded run. */
static struct bh_error *learn_contents(struct entry *entry, const struct bh_input *recorded)
{
	if (!recorded->was_read || entry->input.was_read)
		return NULL;
	entry->input.was_read = 1;
	entry->content_is_recorded = 1;
	memcpy(entry->input.hash, recorded->hash, sizeof(entry->input.hash));
	if (recorded->text) {
		entry->input.text = copy_bytes(recorded->text, recorded->text_size);
		entry->input.text_size = recorded->text_size;
	}
	return recorded->text && !entry->input.text
		       ? bh_error_new(BH_ERR_NOMEM, "no memory for the input %s", recorded->path)
		       : NULL;
}

struct bh_error *bh_inputs_add_rest(struct bh_inputs *inputs, const struct bh_input *recorded)
{
	uint64_t hash = bh_hash64(recorded->path, strlen(recorded->path));
	size_t bucket = bucket_of(inputs, hash, recorded->path);

	if (inputs->buckets[bucket])
		return learn_contents(inputs->entries[inputs->buckets[bucket] - 1], recorded);
	return bh_inputs_add(inputs, recorded);
}

void bh_inputs_become_recorded(struct bh_inputs *inputs)
{
	inputs->is_recorded = 1;
	for (size_t i = 0; i < inputs->count; i++)
		inputs->entries[i]->descriptor = -1;
	memset(inputs->open, 0, sizeof(inputs->open));
}

size_t bh_inputs_count(const struct bh_inputs *inputs)
{
	return inputs->count;
}

const struct bh_input *bh_inputs_get(const struct bh_inputs *inputs, size_t index)
{
	return &inputs->entries[index]->input;
}

const char *bh_inputs_missing(const struct bh_inputs *inputs)
{
	return inputs->missing;
}
