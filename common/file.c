/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads or hashes a whole file: see file.h. Called by traces/, recorder/, replayer/. */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"

static struct bh_error *file_check(const char *path, const char *wanted, size_t max, int fd,
				   size_t *size_ret)
{
	struct stat status;

	if (fstat(fd, &status))
		return bh_error_new(BH_ERR_INPUT, "%s: cannot read %s: %s", path, wanted,
				    strerror(errno));
	if (S_ISDIR(status.st_mode))
		return bh_error_new(BH_ERR_INPUT, "%s: is a folder, give %s", path, wanted);
	if (!S_ISREG(status.st_mode))
		return bh_error_new(BH_ERR_INPUT, "%s: is not an ordinary file, give %s", path,
				    wanted);
	if ((uint64_t)status.st_size > max)
		return bh_error_new(BH_ERR_INPUT, "%s: %lld bytes are too many for %s", path,
				    (long long)status.st_size, wanted);
	*size_ret = (size_t)status.st_size;
	return NULL;
}

static struct bh_error *descriptor_read(const char *path, const char *wanted, size_t max, int fd,
					uint8_t **bytes_ret, size_t *length_ret)
{
	size_t size = 0, length = 0;

	BH_TRY(file_check(path, wanted, max, fd, &size));
	uint8_t *bytes = malloc(size + 1);
	if (!bytes)
		return bh_error_new(BH_ERR_NOMEM, "%s: out of memory", path);
	while (length < size) {
		ssize_t done = read(fd, bytes + length, size - length);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			free(bytes);
			return bh_error_new(BH_ERR_INPUT, "%s: cannot read %s: %s", path, wanted,
					    strerror(errno));
		}
		if (!done)
			break;
		length += (size_t)done;
	}
	bytes[length] = 0;
	*bytes_ret = bytes;
	*length_ret = length;
	return NULL;
}

static struct bh_error *descriptor_hash(const char *path, const char *wanted, size_t max, int fd,
					uint8_t hash_ret[16], size_t *length_ret)
{
	static const uint8_t nothing;
	size_t size = 0;

	BH_TRY(file_check(path, wanted, max, fd, &size));
	*length_ret = size;
	if (!size) {
		bh_hash128(&nothing, 0, hash_ret);
		return NULL;
	}
	void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (bytes == MAP_FAILED)
		return bh_error_new(BH_ERR_INPUT, "%s: cannot read %s: %s", path, wanted,
				    strerror(errno));
	bh_hash128(bytes, size, hash_ret);
	munmap(bytes, size);
	return NULL;
}

static struct bh_error *file_open(const char *path, const char *wanted, int *fd_ret)
{
	/* Not blocking, so that a fifo is refused instead of waited for. */
	*fd_ret = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*fd_ret >= 0)
		return NULL;
	return bh_error_new(BH_ERR_INPUT, "%s: cannot open %s: %s", path, wanted, strerror(errno));
}

struct bh_error *bh_file_read(const char *path, const char *wanted, size_t max, uint8_t **bytes_ret,
			      size_t *length_ret)
{
	int fd;

	BH_TRY(file_open(path, wanted, &fd));
	struct bh_error *error = descriptor_read(path, wanted, max, fd, bytes_ret, length_ret);
	close(fd);
	return error;
}

struct bh_error *bh_file_hash(const char *path, const char *wanted, size_t max,
			      uint8_t hash_ret[16], size_t *length_ret)
{
	int fd;

	BH_TRY(file_open(path, wanted, &fd));
	struct bh_error *error = descriptor_hash(path, wanted, max, fd, hash_ret, length_ret);
	close(fd);
	return error;
}
