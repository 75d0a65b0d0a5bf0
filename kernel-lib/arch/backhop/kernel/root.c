// SPDX-License-Identifier: GPL-2.0
/*
 * The files of a node: overlayfs shows the host's files (bhfs) with a layer in memory over them
 * that takes all changes, and beside it are the mounts that are the node's kernel's own. Called
 * once, in process 1, by user.c.
 */
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/kernel.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/stat.h>
#include <linux/string.h>
#include <uapi/linux/mount.h>
#include <asm/unistd.h>

#include "user.h"

struct node_mount {
	const char *source, *path, *type, *options;
	unsigned long flags;
};

static const struct node_mount mounts[] = {
	{"proc", "/proc", "proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
	{"sysfs", "/sys", "sysfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
	{"dev", "/dev", "tmpfs", "mode=755", MS_NOSUID},
};

static const struct {
	const char *path;
	unsigned int major, minor;
} devices[] = {
	{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},	  {"/dev/full", 1, 7},
	{"/dev/random", 1, 8}, {"/dev/urandom", 1, 9},	  {"/dev/kmsg", 1, 11},
	{"/dev/tty", 5, 0},    {"/dev/net/tun", 10, 200},
};

static const struct {
	const char *target, *path;
} links[] = {
	{"/proc/self/fd", "/dev/fd"},	    {"/proc/self/fd/0", "/dev/stdin"},
	{"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"},
	{"pts/ptmx", "/dev/ptmx"},
};

static const struct {
	const char *path;
	unsigned int mode;
} directories[] = {
	{"/dev/shm", 01777},
	{"/dev/net", 0755},
	{"/dev/pts", 0755},
};

static const struct node_mount terminals = {"devpts", "/dev/pts", "devpts", "mode=620,ptmxmode=666",
					    MS_NOSUID | MS_NOEXEC};

static long mount_at(const struct node_mount *mount)
{
	return bh_user_system_call(__NR_mount, (unsigned long)mount->source,
				   (unsigned long)mount->path, (unsigned long)mount->type,
				   mount->flags, (unsigned long)mount->options);
}

static long call_with_path(unsigned int nr, const char *path, unsigned long argument)
{
	return bh_user_system_call(nr, (unsigned long)path, argument, 0, 0, 0);
}

/*
 * Inode numbers of both layers have their high bits free, so that overlayfs can tell the layers
 * apart by them (xino) and all files are on one device. A directory of the host that is renamed
 * would leave a reference in the layer (redirect_dir): without, programs copy it instead.
 */
static const char overlay_options[] = "lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work,"
				      "xino=on,redirect_dir=nofollow,index=off,metacopy=off";

/*
 * overlayfs says that it has access control lists even where the configuration has none; then
 * nobody would apply the umask to a new file that takes a deleted one's place.
 */
static int drop_access_lists(const char *root)
{
	struct path path;
	int ret = kern_path(root, LOOKUP_DIRECTORY, &path);

	if (ret)
		return ret;
	path.mnt->mnt_sb->s_flags &= ~SB_POSIXACL;
#ifdef SB_I_NOUMASK /* since 6.7 */
	path.mnt->mnt_sb->s_iflags &= ~SB_I_NOUMASK;
#endif
	path_put(&path);
	return 0;
}

/* Takes the place of the start-up's root, which stays below, empty. */
static long mount_root(void)
{
	static const struct node_mount host = {"host", "/host", "bhfs", NULL, MS_RDONLY};
	static const struct node_mount layer = {"layer", "/layer", "bhlayer", NULL, 0};
	static const struct node_mount root = {"overlay", "/root", "overlay", overlay_options, 0};
	static const struct node_mount move = {".", "/", NULL, NULL, MS_MOVE};
	static const char *const made[] = {"/host", "/layer", "/root"};
	static const char *const parts[] = {"/layer/upper", "/layer/work"};
	long ret = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(made); i++)
		call_with_path(__NR_mkdir, made[i], 0755);
	ret = mount_at(&host) ?: mount_at(&layer);
	for (i = 0; i < ARRAY_SIZE(parts) && !ret; i++)
		ret = call_with_path(__NR_mkdir, parts[i], 0755);
	ret = ret ?: bh_layer_remember("/layer/upper") ?: mount_at(&root) ?: drop_access_lists(root.path);
	/* overlayfs holds both by itself now. */
	ret = ret ?: call_with_path(__NR_umount2, "/host", MNT_DETACH)
		  ?: call_with_path(__NR_umount2, "/layer", MNT_DETACH);
	ret = ret ?: call_with_path(__NR_chdir, root.path, 0) ?: mount_at(&move);
	return ret ?: call_with_path(__NR_chroot, ".", 0) ?: call_with_path(__NR_chdir, "/", 0);
}

static long make_devices(void)
{
	long ret = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(directories) && !ret; i++)
		ret = call_with_path(__NR_mkdir, directories[i].path, directories[i].mode);
	for (i = 0; i < ARRAY_SIZE(devices) && !ret; i++)
		ret = bh_user_system_call(
			__NR_mknod, (unsigned long)devices[i].path, S_IFCHR | 0666,
			new_encode_dev(MKDEV(devices[i].major, devices[i].minor)), 0, 0);
	for (i = 0; i < ARRAY_SIZE(links) && !ret; i++)
		ret = call_with_path(__NR_symlink, links[i].target, (unsigned long)links[i].path);
	return ret ?: mount_at(&terminals);
}

/*
 * When memory gets fragmented, the allocator would keep 4 MiB more for itself until kswapd has made
 * room; but in a node nearly nothing can be reclaimed, so kswapd gives up, and then programs would
 * be killed while there is memory left.
 */
static long keep_watermarks(void)
{
	static const char path[] = "/proc/sys/vm/watermark_boost_factor", value[] = "0";
	long fd = call_with_path(__NR_open, path, O_WRONLY);
	long ret;

	if (fd < 0)
		return fd;
	ret = bh_user_system_call(__NR_write, fd, (unsigned long)value, strlen(value), 0, 0);
	bh_user_system_call(__NR_close, fd, 0, 0, 0, 0);
	bh_memory_settle();
	return ret < 0 ? ret : 0;
}

/* Mounted on themselves, these stay as they are whatever a program writes. */
static long protect_paths(void)
{
	struct node_mount protect = {.flags = MS_BIND | MS_REC};
	unsigned int index;
	long ret = 0;

	for (index = 0; !ret; index++) {
		protect.path = protect.source = bh_user_call(read_only_path, index);
		if (!protect.path)
			break;
		protect.flags = MS_BIND | MS_REC;
		ret = mount_at(&protect);
		protect.flags = MS_BIND | MS_REMOUNT | MS_RDONLY;
		ret = ret ?: mount_at(&protect);
	}
	return ret;
}

long bh_root_init(void)
{
	long ret;
	int i;

	bh_user_system_call(__NR_umask, 0, 0, 0, 0, 0);
	ret = mount_root();
	for (i = 0; i < ARRAY_SIZE(mounts) && !ret; i++)
		ret = mount_at(&mounts[i]);
	ret = ret ?: keep_watermarks() ?: make_devices() ?: protect_paths();
	bh_user_system_call(__NR_umask, 022, 0, 0, 0, 0);
	return ret;
}
