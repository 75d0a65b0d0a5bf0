// SPDX-License-Identifier: GPL-2.0
/*
 * bhfs: the file system below every node's root (root.c lays a writable layer over it). It is
 * read-only and has no data of its own: each question goes to the host (posix/files.c), which
 * answers with what the run's inputs say of the host's files. Nothing that could differ between two
 * runs is shown: owners and times are 0, inode numbers come from the path, directories are sorted.
 *
 * Also the file behind a program's standard output and error.
 */
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/uio.h>
#include <linux/version.h>

#include "user.h"

#define BHFS_MAGIC     0x62686673 /* "bhfs" */
#define BH_OUTPUT_SIZE PAGE_SIZE

static const struct inode_operations bhfs_directory_inode_ops;
static const struct inode_operations bhfs_link_inode_ops;
static const struct inode_operations bhfs_file_inode_ops;
static const struct file_operations bhfs_directory_ops;
static const struct file_operations bhfs_file_ops;
static const struct super_operations bhfs_super_ops;

const void *bh_file_handle(struct file *file)
{
	/* Through overlayfs to the file that has the bytes. */
	struct inode *inode = d_real_inode(file->f_path.dentry);

	return inode->i_sb->s_magic == BHFS_MAGIC && S_ISREG(inode->i_mode) ? inode->i_private
									    : NULL;
}

static int bhfs_content(struct inode *inode, const void **data_ret, unsigned long *size_ret)
{
	return bh_user_call(file_content, inode->i_private, data_ret, size_ret);
}

static struct inode *bhfs_inode(struct super_block *sb, const struct bh_user_stat *stat)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return ERR_PTR(-ENOMEM);
	inode->i_ino = stat->number;
	inode->i_private = (void *)stat->handle;
	inode->i_size = stat->size;
	inode->i_blocks = (stat->size + 511) >> 9;
	inode->i_mode = stat->mode & 07777;
	switch (stat->kind) {
	case BH_USER_DIRECTORY:
		inode->i_mode |= S_IFDIR;
		inode->i_op = &bhfs_directory_inode_ops;
		inode->i_fop = &bhfs_directory_ops;
		set_nlink(inode, 2);
		break;
	case BH_USER_SYMLINK:
		inode->i_mode |= S_IFLNK;
		inode->i_op = &bhfs_link_inode_ops;
		break;
	case BH_USER_FILE:
		inode->i_mode |= S_IFREG;
		inode->i_op = &bhfs_file_inode_ops;
		inode->i_fop = &bhfs_file_ops;
		break;
	default:
		inode->i_op = &bhfs_file_inode_ops;
		init_special_inode(inode, inode->i_mode | S_IFSOCK, 0);
	}
	return inode;
}

static struct dentry *bhfs_lookup(struct inode *directory, struct dentry *dentry,
				  unsigned int flags)
{
	char *page = (char *)__get_free_page(GFP_KERNEL);
	struct inode *inode = NULL;
	struct bh_user_stat stat;
	char *path;

	if (!page)
		return ERR_PTR(-ENOMEM);
	path = dentry_path_raw(dentry, page, PAGE_SIZE);
	if (IS_ERR(path))
		inode = ERR_CAST(path);
	else if (!bh_user_call(file_lookup, path, &stat))
		inode = bhfs_inode(directory->i_sb, &stat);
	free_page((unsigned long)page);
	return d_splice_alias(inode, dentry);
}

static const struct inode_operations bhfs_directory_inode_ops = {
	.lookup = bhfs_lookup,
};

static const struct inode_operations bhfs_file_inode_ops = {};

static const char *bhfs_get_link(struct dentry *dentry, struct inode *inode,
				 struct delayed_call *done)
{
	unsigned long size;
	const void *target;
	int ret = bhfs_content(inode, &target, &size);

	return ret ? ERR_PTR(ret) : target;
}

static const struct inode_operations bhfs_link_inode_ops = {
	.get_link = bhfs_get_link,
};

static unsigned int entry_type(char digit)
{
	switch (digit - '0') {
	case BH_USER_FILE:
		return DT_REG;
	case BH_USER_DIRECTORY:
		return DT_DIR;
	case BH_USER_SYMLINK:
		return DT_LNK;
	default:
		return DT_SOCK;
	}
}

/* The listing is "name\0digit\0" for each entry; position 2 is the first of them. */
static int bhfs_iterate(struct file *file, struct dir_context *context)
{
	struct inode *inode = file_inode(file);
	const char *entry, *end, *digit;
	unsigned long size;
	const void *listing;
	loff_t position = 2;
	int ret = bhfs_content(inode, &listing, &size);

	if (ret)
		return ret;
	if (!dir_emit_dots(file, context))
		return 0;
	end = listing + size;
	for (entry = listing; entry < end; entry = digit + 2, position++) {
		size_t len = strnlen(entry, end - entry);

		digit = entry + len + 1;
		if (digit >= end)
			break;
		if (position < context->pos)
			continue;
		if (!dir_emit(context, entry, len,
			      bh_user_call(file_number, inode->i_private, entry),
			      entry_type(*digit)))
			break;
		context->pos = position + 1;
	}
	return 0;
}

static const struct file_operations bhfs_directory_ops = {
	.read = generic_read_dir,
	.iterate_shared = bhfs_iterate,
	.llseek = generic_file_llseek,
};

static ssize_t bhfs_read(struct kiocb *iocb, struct iov_iter *to)
{
	unsigned long size, len;
	const void *data;
	size_t done;
	int ret = bhfs_content(file_inode(iocb->ki_filp), &data, &size);

	if (ret)
		return ret;
	if (iocb->ki_pos >= size || !iov_iter_count(to))
		return 0;
	len = min_t(unsigned long, size - iocb->ki_pos, iov_iter_count(to));
	done = copy_to_iter(data + iocb->ki_pos, len, to);
	iocb->ki_pos += done;
	return done ?: -EFAULT;
}

static const struct file_operations bhfs_file_ops = {
	.read_iter = bhfs_read,
	.llseek = generic_file_llseek,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	.splice_read = copy_splice_read,
#else
	.splice_read = generic_file_splice_read,
#endif
};

static const struct super_operations bhfs_super_ops = {
	.statfs = simple_statfs,
	.drop_inode = generic_delete_inode,
};

static int bhfs_fill_super(struct super_block *sb, struct fs_context *context)
{
	struct bh_user_stat stat;
	struct inode *inode;
	int ret = bh_user_call(file_lookup, "/", &stat);

	if (ret)
		return ret;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = BHFS_MAGIC;
	sb->s_op = &bhfs_super_ops;
	sb->s_time_gran = 1;
	sb->s_flags |= SB_RDONLY | SB_NOATIME;
	inode = bhfs_inode(sb, &stat);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	sb->s_root = d_make_root(inode);
	return sb->s_root ? 0 : -ENOMEM;
}

static int bhfs_get_tree(struct fs_context *context)
{
	return get_tree_single(context, bhfs_fill_super);
}

static const struct fs_context_operations bhfs_context_ops = {
	.get_tree = bhfs_get_tree,
};

static int bhfs_init_context(struct fs_context *context)
{
	context->ops = &bhfs_context_ops;
	return 0;
}

static struct file_system_type bhfs_type = {
	.name = "bhfs",
	.init_fs_context = bhfs_init_context,
	.kill_sb = kill_anon_super,
};

/* --- standard output and error --- */

static struct vfsmount *output_mount;

static ssize_t output_write(struct kiocb *iocb, struct iov_iter *from)
{
	/* From the inode: the file may have been opened again, through /dev/stdout. */
	int fd = file_inode(iocb->ki_filp)->i_ino;
	char *page = (char *)__get_free_page(GFP_KERNEL);
	ssize_t done = 0;

	if (!page)
		return -ENOMEM;
	while (iov_iter_count(from)) {
		size_t len = copy_from_iter(page, BH_OUTPUT_SIZE, from);

		if (!len) {
			done = done ?: -EFAULT;
			break;
		}
		bh_user_call(output, task_tgid_nr(current), fd, page, len);
		done += len;
	}
	free_page((unsigned long)page);
	return done;
}

static ssize_t output_read(struct kiocb *iocb, struct iov_iter *to)
{
	return 0;
}

static const struct file_operations output_ops = {
	.read_iter = output_read,
	.write_iter = output_write,
	.splice_write = iter_file_splice_write,
	.llseek = noop_llseek,
};

static int output_init_context(struct fs_context *context)
{
	return init_pseudo(context, BHFS_MAGIC + 1) ? 0 : -ENOMEM;
}

static struct file_system_type output_type = {
	.name = "bhoutput",
	.init_fs_context = output_init_context,
	.kill_sb = kill_anon_super,
};

struct file *bh_output_open(int fd)
{
	struct inode *inode = new_inode(output_mount->mnt_sb);
	struct file *file;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	inode->i_ino = fd;
	inode->i_mode = S_IFREG | 0666;
	inode->i_fop = &output_ops;
	file = alloc_file_pseudo(inode, output_mount, fd == 1 ? "stdout" : "stderr",
				 O_WRONLY | O_APPEND, &output_ops);
	if (IS_ERR(file))
		iput(inode);
	return file;
}

int bh_files_register(void)
{
	int ret = register_filesystem(&bhfs_type);

	if (ret)
		return ret;
	output_mount = kern_mount(&output_type);
	return IS_ERR(output_mount) ? PTR_ERR(output_mount) : 0;
}
