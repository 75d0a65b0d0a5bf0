// SPDX-License-Identifier: GPL-2.0
/*
 * Files in memory that programs share. Without an MMU the pages of such a file can be used where
 * they lie, by all programs at one address, if they lie in one piece; then what a program writes
 * there is in the file at once. Called by user.c and, through bh_user_image_ops, by posix/; the
 * system call memfd_create is here too.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/ipc_namespace.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/nsproxy.h>
#include <linux/pagemap.h>
#include <linux/shm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <uapi/linux/memfd.h>
#include <uapi/linux/shm.h>

#include "../../../ipc/util.h"
#include "user.h"

/* The largest piece that the page allocator gives, and how many more than necessary are taken to
 * find some that are neighbours. */
#define BH_PIECE_ORDER	10
#define BH_PIECE_PAGES	(1ul << BH_PIECE_ORDER)
#define BH_PIECE_MAX	(PAGE_SIZE << BH_PIECE_ORDER)
#define BH_PIECES_SPARE 64

/* Where files without a name lie; no program sees it mounted. */
static struct vfsmount *nameless;

static struct file *nameless_file(void)
{
	return file_open_root_mnt(nameless, ".", O_TMPFILE | O_RDWR | O_LARGEFILE, 0777);
}

struct file *bh_shared_file(const void *data, unsigned long size)
{
	struct file *file = nameless_file();
	loff_t position = 0;
	ssize_t written;

	if (IS_ERR(file))
		return file;
	written = kernel_write(file, data, size, &position);
	if (written == size)
		return file;
	fput(file);
	return ERR_PTR(written < 0 ? written : -ENOSPC);
}

/* --- mapping --- */

static bool is_piece(unsigned long address)
{
	return !IS_ERR_VALUE(address) && PAGE_ALIGNED(address);
}

/* Where the pages of a file are: for one of overlayfs, in the file of the layer that has it. */
static struct address_space *memory_of(const struct file *file)
{
	return d_real_inode(file->f_path.dentry)->i_mapping;
}

static unsigned long find_piece(struct file *file, unsigned long len, unsigned long offset)
{
	pgoff_t first = offset >> PAGE_SHIFT, count = PAGE_ALIGN(len) >> PAGE_SHIFT, i;
	unsigned long start = 0;

	for (i = 0; i < count; i++) {
		struct page *page = xa_load(&memory_of(file)->i_pages, first + i);

		if (!page || (i && (unsigned long)page_address(page) != start + i * PAGE_SIZE))
			return -ENODEV;
		if (!i)
			start = (unsigned long)page_address(page);
	}
	return start;
}

static bool is_in_memory(const struct file *file)
{
	unsigned long magic = memory_of(file)->host->i_sb->s_magic;

	return magic == RAMFS_MAGIC || magic == TMPFS_MAGIC;
}

static int compare_pages(const void *a, const void *b)
{
	const struct page *x = *(struct page *const *)a, *y = *(struct page *const *)b;

	return x < y ? -1 : x > y;
}

/* The first of so many neighbours, or -1. */
static int find_neighbours(struct page *const *pieces, int count, int wanted)
{
	int first = 0, i;

	for (i = 0; i < count; i++) {
		if (i && pieces[i] != pieces[i - 1] + BH_PIECE_PAGES)
			first = i;
		if (i - first + 1 == wanted)
			return first;
	}
	return -1;
}

/* So many pages that are neighbours, more than one piece of the allocator's; each has one user. */
static struct page *alloc_run(unsigned long count)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN | __GFP_NORETRY;
	int wanted = DIV_ROUND_UP(count, BH_PIECE_PAGES), room = wanted + BH_PIECES_SPARE;
	struct page **pieces = kmalloc_array(room, sizeof(*pieces), GFP_KERNEL);
	struct page *run = NULL;
	int taken = 0, first = -1, i;

	while (pieces && taken < room && first < 0) {
		pieces[taken] = alloc_pages(gfp, BH_PIECE_ORDER);
		if (!pieces[taken])
			break;
		if (++taken < wanted)
			continue;
		sort(pieces, taken, sizeof(*pieces), compare_pages, NULL);
		first = find_neighbours(pieces, taken, wanted);
	}
	if (first >= 0)
		run = pieces[first];
	for (i = 0; i < taken; i++) {
		if (run && i >= first && i < first + wanted)
			split_page(pieces[i], BH_PIECE_ORDER);
		else
			__free_pages(pieces[i], BH_PIECE_ORDER);
	}
	for (; run && count < wanted * BH_PIECE_PAGES; count++)
		__free_page(run + count);
	kfree(pieces);
	return run;
}

/* Gives the pages to an empty file, as ramfs_nommu_expand_for_mapping() does (6.1). */
static int insert_run(struct address_space *memory, struct page *run, unsigned long count)
{
	unsigned long i;
	int ret = 0;

	for (i = 0; i < count; i++) {
		struct page *page = run + i;

		if (!ret)
			ret = filemap_add_folio(memory, page_folio(page), i, GFP_KERNEL);
		if (!ret) {
			SetPageDirty(page);
			SetPageUptodate(page);
			unlock_page(page);
		}
		put_page(page);
	}
	return ret;
}

/* As make_piece(), for what is larger than the allocator's pieces. */
static int make_large_piece(struct file *file, int fd, size_t size)
{
	unsigned long count = PAGE_ALIGN(size) >> PAGE_SHIFT;
	struct page *run = alloc_run(count);
	loff_t position = 0;
	int ret = 0;

	if (!run)
		return -ENOMEM;
	if (kernel_read(file, page_address(run), size, &position) != size)
		ret = -EIO;
	if (!ret)
		ret = ksys_ftruncate(fd, 0);
	if (ret) {
		while (count)
			put_page(run + --count);
		return ret;
	}
	ret = insert_run(memory_of(file), run, count);
	if (!ret)
		i_size_write(memory_of(file)->host, size);
	/* The size of the file that overlayfs shows. */
	return ret ?: ksys_ftruncate(fd, size);
}

/* A file that grew by writing has its pages here and there: it is written anew, in one piece. */
static int make_piece(struct file *file, int fd)
{
	size_t size = i_size_read(file_inode(file));
	loff_t position = 0;
	void *copy;
	int ret = 0;

	if (!size || !(file->f_mode & FMODE_WRITE) || mapping_writably_mapped(memory_of(file)))
		return -ENODEV;
	if (size > BH_PIECE_MAX)
		return make_large_piece(file, fd, size);
	copy = kmalloc(size, GFP_KERNEL | __GFP_NOWARN);
	if (!copy)
		return -ENOMEM;
	if (kernel_read(file, copy, size, &position) != size)
		ret = -EIO;
	if (!ret)
		ret = ksys_ftruncate(fd, 0);
	if (!ret)
		ret = ksys_ftruncate(fd, size);
	position = 0;
	if (!ret && kernel_write(file, copy, size, &position) != size)
		ret = -EIO;
	kfree(copy);
	return ret;
}

long bh_shared_map(int fd, unsigned long len, unsigned long offset, void **file_ret)
{
	struct file *file = fget(fd);
	unsigned long address;
	int ret = -ENODEV;

	if (!file)
		return -EBADF;
	if (!S_ISREG(file_inode(file)->i_mode) || !is_in_memory(file))
		goto out;
	address = find_piece(file, len, offset);
	if (!is_piece(address)) {
		ret = make_piece(file, fd);
		if (ret)
			goto out;
		address = find_piece(file, len, offset);
	}
	ret = is_piece(address) ? mapping_map_writable(memory_of(file)) : -ENODEV;
	if (ret)
		goto out;
	*file_ret = file;
	return address;
out:
	fput(file);
	return ret;
}

void bh_shared_release(void *pointer)
{
	struct file *file = pointer;

	mapping_unmap_writable(memory_of(file));
	fput(file);
}

/* --- System V --- */

/* How struct shmid_kernel of ipc/shm.c begins (6.1, 6.12): its users are all in that file. */
struct segment {
	struct kern_ipc_perm permissions;
	struct file *file;
};

/*
 * shmat() of ipc/shm.c doesn't know how to map without an MMU. Everything else about segments is
 * its own, but for the number of those that have attached one, which stays 0: a segment that is
 * removed has no name any more, and its memory lasts as long as it is in use.
 */
long bh_shared_attach(int id, int flags, unsigned long *len_ret, void **file_ret)
{
	struct ipc_namespace *ns = current->nsproxy->ipc_ns;
	struct kern_ipc_perm *permissions;
	struct file *file;
	unsigned long address;
	int ret;

	rcu_read_lock();
	permissions = ipc_obtain_object_check(&ns->ids[IPC_SHM_IDS], id);
	ret = PTR_ERR_OR_ZERO(permissions);
	if (!ret && ipcperms(ns, permissions, flags & SHM_RDONLY ? S_IRUGO : S_IRUGO | S_IWUGO))
		ret = -EACCES;
	if (ret) {
		rcu_read_unlock();
		return ret;
	}
	file = get_file(container_of(permissions, struct segment, permissions)->file);
	rcu_read_unlock();
	*len_ret = PAGE_ALIGN(i_size_read(file_inode(file)));
	address = find_piece(file, *len_ret, 0);
	ret = is_piece(address) ? mapping_map_writable(memory_of(file)) : -ENOMEM;
	if (ret) {
		fput(file);
		return ret;
	}
	*file_ret = file;
	return address;
}

/* --- system calls --- */

#define MEMFD_KNOWN (MFD_CLOEXEC | MFD_ALLOW_SEALING)

/* The generic one wants tmpfs as it is with an MMU. There are no seals here. */
asmlinkage long sys_memfd_create(const char __user *name, unsigned int flags);
asmlinkage long sys_memfd_create(const char __user *name, unsigned int flags)
{
	struct file *file;
	long length = strnlen_user(name, NAME_MAX);
	int fd;

	if (flags & ~MEMFD_KNOWN || length > NAME_MAX)
		return -EINVAL;
	if (length <= 0)
		return -EFAULT;
	fd = get_unused_fd_flags(flags & MFD_CLOEXEC ? O_CLOEXEC : 0);
	if (fd < 0)
		return fd;
	file = nameless_file();
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}

static int __init shared_init(void)
{
	struct file_system_type *type = get_fs_type("tmpfs");

	if (!type)
		return -ENODEV;
	nameless = kern_mount(type);
	put_filesystem(type);
	return PTR_ERR_OR_ZERO(nameless);
}
late_initcall(shared_init);
