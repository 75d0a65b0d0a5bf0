// SPDX-License-Identifier: GPL-2.0
/*
 * bhlayer: the file system in memory that takes what programs change. root.c lays it over the
 * host's files with overlayfs, so it has what overlayfs wants of an upper layer: extended
 * attributes, whiteouts by rename, temporary files. (tmpfs needs an MMU, ramfs has none of these.)
 *
 * At the end of a run, or of a node, the host walks the layer and copies it out: bh_layer_walk() is
 * called on the host's own stack while the node stands still, also when its kernel has panicked, so
 * it takes no locks and changes nothing.
 */
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/ramfs.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/string.h>
#include <linux/xattr.h>
#include <linux/version.h>

#include "../../../fs/ramfs/internal.h"
#include "user.h"

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
typedef struct mnt_idmap layer_idmap;
#else
typedef struct user_namespace layer_idmap;
#endif

static struct address_space_operations layer_aops;
static const struct inode_operations layer_directory_ops;
static struct inode_operations layer_file_inode_ops;
static const struct inode_operations layer_link_ops;

/* --- contents --- */

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
static int layer_write_begin(struct file *file, struct address_space *mapping, loff_t position,
			     unsigned int length, struct folio **folio_ret, void **data_ret)
{
	return !bh_memory_left()
		       ? -ENOSPC
		       : simple_write_begin(file, mapping, position, length, folio_ret, data_ret);
}
#else
static int layer_write_begin(struct file *file, struct address_space *mapping, loff_t position,
			     unsigned int length, struct page **page_ret, void **data_ret)
{
	return !bh_memory_left()
		       ? -ENOSPC
		       : simple_write_begin(file, mapping, position, length, page_ret, data_ret);
}
#endif

/* --- extended attributes: in i_private, which is NULL as long as there are none --- */

static int attributes_of(struct inode *inode, struct simple_xattrs **attributes_ret)
{
	struct simple_xattrs *attributes = inode->i_private;

	if (!attributes) {
		attributes = kzalloc(sizeof(*attributes), GFP_KERNEL);
		if (!attributes)
			return -ENOMEM;
		simple_xattrs_init(attributes);
		inode->i_private = attributes;
	}
	*attributes_ret = attributes;
	return 0;
}

static int layer_xattr_get(const struct xattr_handler *handler, struct dentry *dentry,
			   struct inode *inode, const char *name, void *value, size_t size)
{
	if (!inode->i_private)
		return -ENODATA;
	return simple_xattr_get(inode->i_private, xattr_full_name(handler, name), value, size);
}

static int layer_xattr_set(const struct xattr_handler *handler, layer_idmap *idmap,
			   struct dentry *dentry, struct inode *inode, const char *name,
			   const void *value, size_t size, int flags)
{
	struct simple_xattrs *attributes;
	int ret = attributes_of(inode, &attributes);

	name = xattr_full_name(handler, name);
	if (ret)
		return ret;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	struct simple_xattr *old = simple_xattr_set(attributes, name, value, size, flags);

	if (IS_ERR(old))
		return PTR_ERR(old);
	simple_xattr_free(old);
	return 0;
#else
	return simple_xattr_set(attributes, name, value, size, flags, NULL);
#endif
}

static ssize_t layer_xattr_list(struct dentry *dentry, char *buffer, size_t size)
{
	struct simple_xattrs *attributes;
	int ret = attributes_of(d_inode(dentry), &attributes);

	return ret ?: simple_xattr_list(d_inode(dentry), attributes, buffer, size);
}

static const struct xattr_handler trusted_handler = {
	.prefix = XATTR_TRUSTED_PREFIX,
	.get = layer_xattr_get,
	.set = layer_xattr_set,
};

static const struct xattr_handler user_handler = {
	.prefix = XATTR_USER_PREFIX,
	.get = layer_xattr_get,
	.set = layer_xattr_set,
};

static const struct xattr_handler security_handler = {
	.prefix = XATTR_SECURITY_PREFIX,
	.get = layer_xattr_get,
	.set = layer_xattr_set,
};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
static const struct xattr_handler *const layer_xattr_handlers[] = {
#else
static const struct xattr_handler *layer_xattr_handlers[] = {
#endif
	&trusted_handler,
	&user_handler,
	&security_handler,
	NULL,
};

/* --- inodes --- */

static void touch(struct inode *inode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
#else
	inode->i_mtime = inode->i_ctime = current_time(inode);
#endif
}

static struct inode *layer_inode(struct super_block *sb, layer_idmap *idmap,
				 const struct inode *directory, umode_t mode, dev_t device)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = get_next_ino();
	if (idmap)
		inode_init_owner(idmap, inode, directory, mode);
	else
		inode->i_mode = mode;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	simple_inode_init_ts(inode);
#else
	inode->i_atime = inode->i_mtime = inode->i_ctime = current_time(inode);
#endif
	inode->i_mapping->a_ops = &layer_aops;
	mapping_set_gfp_mask(inode->i_mapping, GFP_USER);
	mapping_set_unevictable(inode->i_mapping);
	inode->i_op = &layer_file_inode_ops;
	switch (mode & S_IFMT) {
	case S_IFREG:
		inode->i_fop = &ramfs_file_operations;
		break;
	case S_IFDIR:
		inode->i_op = &layer_directory_ops;
		inode->i_fop = &simple_dir_operations;
		inc_nlink(inode);
		break;
	case S_IFLNK:
		inode->i_op = &layer_link_ops;
		break;
	default:
		init_special_inode(inode, mode, device);
	}
	return inode;
}

/* Nothing but the directory entry holds a file: so it has a reference. */
static void layer_add(struct inode *directory, struct dentry *dentry, struct inode *inode)
{
	d_instantiate(dentry, inode);
	dget(dentry);
	touch(directory);
}

static int layer_mknod(layer_idmap *idmap, struct inode *directory, struct dentry *dentry,
		       umode_t mode, dev_t device)
{
	struct inode *inode = layer_inode(directory->i_sb, idmap, directory, mode, device);

	if (!inode)
		return -ENOSPC;
	layer_add(directory, dentry, inode);
	return 0;
}

static int layer_create(layer_idmap *idmap, struct inode *directory, struct dentry *dentry,
			umode_t mode, bool is_exclusive)
{
	return layer_mknod(idmap, directory, dentry, mode | S_IFREG, 0);
}

static int layer_mkdir(layer_idmap *idmap, struct inode *directory, struct dentry *dentry,
		       umode_t mode)
{
	int ret = layer_mknod(idmap, directory, dentry, mode | S_IFDIR, 0);

	if (!ret)
		inc_nlink(directory);
	return ret;
}

static int layer_symlink(layer_idmap *idmap, struct inode *directory, struct dentry *dentry,
			 const char *target)
{
	struct inode *inode = layer_inode(directory->i_sb, idmap, directory, S_IFLNK | 0777, 0);

	if (!inode)
		return -ENOSPC;
	inode->i_link = kstrdup(target, GFP_KERNEL);
	if (!inode->i_link) {
		iput(inode);
		return -ENOMEM;
	}
	inode->i_size = strlen(target);
	layer_add(directory, dentry, inode);
	return 0;
}

static int layer_tmpfile(layer_idmap *idmap, struct inode *directory, struct file *file,
			 umode_t mode)
{
	struct inode *inode = layer_inode(directory->i_sb, idmap, directory, mode, 0);

	if (!inode)
		return -ENOSPC;
	d_tmpfile(file, inode);
	return finish_open_simple(file, 0);
}

/* What takes the old name's place is hashed first, so that there is no moment without either. */
static int leave_whiteout(layer_idmap *idmap, struct inode *directory, struct dentry *old)
{
	struct dentry *whiteout = d_alloc(old->d_parent, &old->d_name);
	int ret;

	if (!whiteout)
		return -ENOMEM;
	ret = layer_mknod(idmap, directory, whiteout, S_IFCHR | WHITEOUT_MODE, WHITEOUT_DEV);
	if (!ret)
		d_rehash(whiteout);
	dput(whiteout);
	return ret;
}

static int layer_rename(layer_idmap *idmap, struct inode *from_directory, struct dentry *from,
			struct inode *to_directory, struct dentry *to, unsigned int flags)
{
	int ret;

	if (flags & RENAME_WHITEOUT) {
		if (!simple_empty(to))
			return -ENOTEMPTY;
		ret = leave_whiteout(idmap, from_directory, from);
		if (ret)
			return ret;
	}
	return simple_rename(idmap, from_directory, from, to_directory, to,
			     flags & ~RENAME_WHITEOUT);
}

static const struct inode_operations layer_directory_ops = {
	.create = layer_create,
	.lookup = simple_lookup,
	.link = simple_link,
	.unlink = simple_unlink,
	.symlink = layer_symlink,
	.mkdir = layer_mkdir,
	.rmdir = simple_rmdir,
	.mknod = layer_mknod,
	.rename = layer_rename,
	.tmpfile = layer_tmpfile,
	.setattr = simple_setattr,
	.getattr = simple_getattr,
	.listxattr = layer_xattr_list,
};

static const struct inode_operations layer_link_ops = {
	.get_link = simple_get_link,
	.setattr = simple_setattr,
	.getattr = simple_getattr,
	.listxattr = layer_xattr_list,
};

static void layer_evict(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (inode->i_private) {
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
		simple_xattrs_free(inode->i_private, NULL);
#else
		simple_xattrs_free(inode->i_private);
#endif
		kfree(inode->i_private);
	}
}

static void layer_free_inode(struct inode *inode)
{
	if (S_ISLNK(inode->i_mode))
		kfree(inode->i_link);
	free_inode_nonrcu(inode);
}

static int layer_statfs(struct dentry *dentry, struct kstatfs *stat)
{
	stat->f_type = TMPFS_MAGIC;
	stat->f_bsize = PAGE_SIZE;
	stat->f_blocks = totalram_pages();
	stat->f_bfree = stat->f_bavail = bh_memory_left();
	stat->f_files = stat->f_ffree = totalram_pages();
	stat->f_namelen = NAME_MAX;
	return 0;
}

static const struct super_operations layer_super_ops = {
	.statfs = layer_statfs,
	.drop_inode = generic_delete_inode,
	.evict_inode = layer_evict,
	.free_inode = layer_free_inode,
};

static int layer_fill_super(struct super_block *sb, struct fs_context *context)
{
	struct inode *inode;

	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = TMPFS_MAGIC;
	sb->s_op = &layer_super_ops;
	sb->s_xattr = layer_xattr_handlers;
	sb->s_time_gran = 1;
	inode = layer_inode(sb, NULL, NULL, S_IFDIR | 0755, 0);
	if (!inode)
		return -ENOMEM;
	sb->s_root = d_make_root(inode);
	return sb->s_root ? 0 : -ENOMEM;
}

static int layer_get_tree(struct fs_context *context)
{
	return get_tree_nodev(context, layer_fill_super);
}

static const struct fs_context_operations layer_context_ops = {
	.get_tree = layer_get_tree,
};

static int layer_init_context(struct fs_context *context)
{
	context->ops = &layer_context_ops;
	return 0;
}

static struct file_system_type layer_type = {
	.name = "bhlayer",
	.init_fs_context = layer_init_context,
	.kill_sb = kill_litter_super,
};

int bh_layer_register(void)
{
	/* As ramfs has it, but for the limit and attributes. A file that is made longer before it
	 * has contents lies in one piece there, so that programs can map it to share it. */
	layer_aops = ram_aops;
	layer_aops.write_begin = layer_write_begin;
	layer_file_inode_ops = ramfs_file_inode_operations;
	layer_file_inode_ops.listxattr = layer_xattr_list;
	return register_filesystem(&layer_type);
}

/* --- the walk --- */

static struct dentry *layer_upper;

int bh_layer_remember(const char *upper)
{
	struct path path;
	int ret = kern_path(upper, LOOKUP_DIRECTORY, &path);

	if (ret)
		return ret;
	layer_upper = dget(path.dentry);
	path_put(&path);
	return 0;
}

/* A directory's entries are all in the dentry cache, beside the cursors of those who read it and
 * files that are open without a name. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
static struct dentry *entry_or_next(struct hlist_node *node)
{
	for (; node; node = node->next) {
		struct dentry *dentry = hlist_entry(node, struct dentry, d_sib);

		if (dentry->d_inode && !d_unhashed(dentry))
			return dentry;
	}
	return NULL;
}

static struct dentry *first_entry(struct dentry *directory)
{
	return entry_or_next(directory->d_children.first);
}

static struct dentry *next_entry(struct dentry *dentry)
{
	return entry_or_next(dentry->d_sib.next);
}
#else
static struct dentry *entry_or_next(struct dentry *directory, struct list_head *node)
{
	for (; node != &directory->d_subdirs; node = node->next) {
		struct dentry *dentry = list_entry(node, struct dentry, d_child);

		if (dentry->d_inode && !d_unhashed(dentry))
			return dentry;
	}
	return NULL;
}

static struct dentry *first_entry(struct dentry *directory)
{
	return entry_or_next(directory, directory->d_subdirs.next);
}

static struct dentry *next_entry(struct dentry *dentry)
{
	return entry_or_next(dentry->d_parent, dentry->d_child.next);
}
#endif

static bool is_opaque(struct inode *inode)
{
	char value = 0;

	return inode->i_private &&
	       simple_xattr_get(inode->i_private, XATTR_TRUSTED_PREFIX "overlay.opaque", &value,
				1) == 1 &&
	       value == 'y';
}

static void describe(struct dentry *dentry, char *room, struct bh_layer_entry *entry_ret)
{
	struct inode *inode = dentry->d_inode;
	char *path = dentry_path_raw(dentry, room, PATH_MAX);

	memset(entry_ret, 0, sizeof(*entry_ret));
	/* Below "/upper". */
	entry_ret->path = IS_ERR(path) ? "" : path + 1 + layer_upper->d_name.len + 1;
	entry_ret->handle = inode;
	entry_ret->mode = inode->i_mode & 07777;
	entry_ret->size = i_size_read(inode);
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		entry_ret->kind = BH_USER_FILE;
		break;
	case S_IFDIR:
		entry_ret->kind = BH_USER_DIRECTORY;
		entry_ret->is_opaque = is_opaque(inode);
		break;
	case S_IFLNK:
		entry_ret->kind = BH_USER_SYMLINK;
		entry_ret->target = inode->i_link;
		break;
	default:
		entry_ret->kind = S_ISCHR(inode->i_mode) && inode->i_rdev == WHITEOUT_DEV
					  ? BH_USER_ABSENT
					  : BH_USER_SPECIAL;
	}
}

void bh_layer_walk(void (*found)(void *arg, const struct bh_layer_entry *entry), void *arg)
{
	static char room[PATH_MAX];
	struct dentry *dentry = layer_upper ? first_entry(layer_upper) : NULL;

	while (dentry) {
		struct bh_layer_entry entry;
		struct dentry *next;

		describe(dentry, room, &entry);
		found(arg, &entry);
		next = S_ISDIR(dentry->d_inode->i_mode) ? first_entry(dentry) : NULL;
		while (!next && dentry != layer_upper) {
			next = next_entry(dentry);
			dentry = dentry->d_parent;
			if (dentry == layer_upper)
				break;
		}
		dentry = next;
	}
}

const void *bh_layer_page(const void *handle, unsigned long *offset)
{
	const struct inode *inode = handle;
	unsigned long index = *offset >> PAGE_SHIFT;
	struct page *page = xa_find(&inode->i_mapping->i_pages, &index, ULONG_MAX, XA_PRESENT);

	if (!page || xa_is_value(page))
		return NULL;
	*offset = index << PAGE_SHIFT;
	return page_address(page);
}
