/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tries to see, change or signal something of the host or of another node, in the ways that a
 * program on Linux has for it. Run on a node by tests/net/escapes, which prepares the targets on
 *the host and looks afterwards whether they are unharmed:
 *
 *	escapes HOST-PID ABSTRACT-NAME HOST-TCP-PORT HOST-FILE
 *
 * Memory of the simulator that the program guesses the address of is not tried: programs lie in the
 * same process, and nothing keeps them from it (docs/programs.md).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define X32_BIT 0x40000000

static int failures;

static void check(int is_so, const char *text)
{
	printf("%s - %s\n", is_so ? "ok" : "not ok", text);
	failures += !is_so;
}

/* What is tried here would harm a real machine. */
static int is_on_node(void)
{
	char text[512] = "";
	FILE *file = fopen("/proc/cpuinfo", "r");
	size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (file)
		fclose(file);
	return length > 0 && strstr(text, "Backhop");
}

static int fails(long result, int error)
{
	if (result == -1 && errno == error)
		return 1;
	printf("# result %ld, errno %d (%s)\n", result, errno, strerror(errno));
	return 0;
}

static void try_processes(pid_t target)
{
	char path[64], byte;
	struct iovec local = {&byte, 1}, remote = {(void *)0x400000, 1};

	check(fails(kill(target, 0), ESRCH), "a process of the host can't be found");
	check(fails(kill(target, SIGKILL), ESRCH), "nor killed");
	check(fails(syscall(SYS_tgkill, target, target, SIGKILL), ESRCH), "nor a thread of it");
	check(fails(syscall(SYS_pidfd_open, target, 0), ESRCH), "nor be had as a descriptor");
	check(fails(syscall(SYS_rt_sigqueueinfo, target, SIGKILL, &(siginfo_t){.si_code = -1}),
		    ESRCH),
	      "nor be sent a signal with data");
	check(fails(setpgid(0, target), EPERM) || fails(setpgid(0, target), ESRCH),
	      "nor be joined in its group");
	check(ptrace(PTRACE_ATTACH, target, 0, 0) == -1, "nor be traced");
	check(syscall(SYS_process_vm_readv, target, &local, 1, &remote, 1, 0) == -1,
	      "its memory can't be read");
	check(syscall(SYS_process_vm_writev, target, &local, 1, &remote, 1, 0) == -1,
	      "nor written");
	snprintf(path, sizeof(path), "/proc/%d", target);
	check(fails(access(path, F_OK), ENOENT), "it isn't in /proc");
	check(getppid() <= 1 || kill(getppid(), 0) == 0, "the parent is one of the node");
}

static void try_files(const char *target)
{
	char path[4096] = "";
	struct stat root, other;
	int fd;

	check(fails(access(target, F_OK), ENOENT), "a file in the host's /tmp can't be seen");
	snprintf(path, sizeof(path), "/proc/1/root%s", target);
	check(fails(access(path, F_OK), ENOENT), "nor through process 1's root");
	snprintf(path, sizeof(path), "/proc/self/cwd/../../../../../..%s", target);
	check(fails(access(path, F_OK), ENOENT), "nor above the root");
	check(stat("/", &root) == 0 && mkdir("/tmp/jail", 0755) == 0 && chroot("/tmp/jail") == 0 &&
		      chdir("../../../../../../..") == 0 && chroot(".") == 0,
	      "leaving a chroot works, as for root on Linux");
	check(fails(access(target, F_OK), ENOENT), "... and leads to nothing of the host");
	check(stat("/", &other) == 0 && chdir("/") == 0, "... but to a root of the node");
	fd = open("/proc/self/mem", O_RDWR);
	check(fd < 0 || pread(fd, path, 8, 0xffffffffff600000) <= 0,
	      "/proc/self/mem has nothing of the host");
	check(fails(syscall(SYS_open_by_handle_at, AT_FDCWD, &(struct {
				    unsigned int size;
				    int type;
				    char bytes[8];
			    }){8, 1, ""},
			    0),
		    ESTALE) ||
		      errno == EOPNOTSUPP || errno == EINVAL || errno == EBADF,
	      "no file by its handle");
	for (int number = 3; number < 256; number++)
		if (fcntl(number, F_GETFD) >= 0 && number != fd)
			check(0, "no descriptor that the program hasn't opened");
	if (fd >= 0)
		close(fd);
}

static void try_mounts(void)
{
	check(mkdir("/tmp/mnt", 0755) == 0 && mount("/dev/sda1", "/tmp/mnt", "ext4", 0, "") == -1 &&
		      mount("/dev/vda1", "/tmp/mnt", "ext4", 0, "") == -1,
	      "disks of the host can't be mounted");
	check(mknod("/tmp/disk", S_IFBLK | 0600, 8 << 8) == 0 && open("/tmp/disk", O_RDONLY) == -1,
	      "nor opened");
	check(mknod("/tmp/memory", S_IFCHR | 0600, 1 << 8 | 1) == 0 &&
		      open("/tmp/memory", O_RDWR) == -1,
	      "nor its memory");
	check(mount("none", "/tmp/mnt", "proc", 0, "") == 0 &&
		      access("/tmp/mnt/1/stat", F_OK) == 0 && umount("/tmp/mnt") == 0,
	      "/proc, mounted again, is the node's");
	check(mount("none", "/tmp/mnt", "bhfs", 0, "") == 0 && access("/tmp/mnt/etc", F_OK) == 0,
	      "what the root is made of can be mounted");
	check(fails(open("/tmp/mnt/etc/backhop-escape", O_CREAT | O_WRONLY, 0600), EROFS),
	      "... and can't be written");
	umount2("/tmp/mnt", MNT_DETACH);
}

static void try_sockets(const char *name, int port)
{
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	struct sockaddr_in remote = {.sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct if_nameindex *devices = if_nameindex();
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), others = 0;

	strncpy(local.sun_path + 1, name, sizeof(local.sun_path) - 2);
	check(fails(connect(fd, (struct sockaddr *)&local,
			    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))),
		    ECONNREFUSED),
	      "an abstract socket of the host can't be connected to");
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	check(fails(connect(fd, (struct sockaddr *)&remote, sizeof(remote)), ECONNREFUSED),
	      "nor a TCP server of the host");
	close(fd);
	for (struct if_nameindex *at = devices; at && at->if_index; at++)
		others += strcmp(at->if_name, "eth0") == 0 || strncmp(at->if_name, "en", 2) == 0 ||
			  strncmp(at->if_name, "docker", 6) == 0;
	check(others == 0, "the host's network devices can't be seen");
	check(fails(socket(AF_VSOCK, SOCK_STREAM, 0), EAFNOSUPPORT), "no socket to a hypervisor");
}

static void try_calls(void)
{
	union bpf_attr id = {0};
	char buffer[256] = {0};
	long result;

	check(fails(syscall(SYS_io_uring_setup, 8, buffer), ENOSYS), "io_uring is refused");
	check(fails(syscall(SYS_userfaultfd, 0), ENOSYS), "userfaultfd is");
	check(fails(syscall(SYS_perf_event_open, buffer, 0, -1, -1, 0), ENOSYS),
	      "perf_event_open is");
	check(syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &id, sizeof(id)) == -1,
	      "no BPF program of the host can be seen");
	check(syscall(SYS_init_module, buffer, 0, "") == -1, "no module can be loaded");
	check(syscall(SYS_kexec_load, 0, 0, 0, 0) == -1, "no kernel");
	check(syscall(SYS_iopl, 3) == -1 && syscall(SYS_ioperm, 0x80, 1, 1) == -1,
	      "no ports of the machine");
	check(syscall(SYS_modify_ldt, 1, buffer, 16) == -1, "no segments");
	check(syscall(SYS_swapon, "/tmp/disk", 0) == -1, "no swap");
	check(syscall(SYS_getpid | X32_BIT) == -1, "x32 calls are refused");
	/* getpid() of 32-bit code. */
	asm volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	check(result == -ENOSYS, "32-bit calls are refused");
	check(syscall(SYS_sethostname, "escaped", 7) == 0, "the name of the node can be set");
	check(syscall(SYS_settimeofday, &(struct timeval){1000000000, 0}, NULL) == 0 &&
		      time(NULL) < 1000000010,
	      "its clock, too");
}

/* The page may be missing, as it is on newer hosts: then it faults, as it does there on Linux. */
static void try_vsyscall(void)
{
	long (*vsyscall_time)(long *) = (long (*)(long *))0xffffffffff600400;
	int (*vsyscall_clock)(struct timeval *, void *) =
		(int (*)(struct timeval *, void *))0xffffffffff600000;
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		struct timeval clock = {0};
		int result = vsyscall_clock(&clock, NULL);

		_exit(vsyscall_time(NULL) == time(NULL) && result == 0 && clock.tv_sec == time(NULL)
			      ? 0
			      : 1);
	}
	check(waitpid(child, &status, 0) == child &&
		      (status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)),
	      "the vsyscall page doesn't tell the host's time");
	printf("# it %s\n", status ? "isn't there" : "tells the node's");
}

int main(int argc, char **argv)
{
	if (argc != 5 || !is_on_node())
		return 2;
	try_processes(atoi(argv[1]));
	try_files(argv[4]);
	try_sockets(argv[2], atoi(argv[3]));
	try_mounts();
	try_calls();
	try_vsyscall();
	/* All processes but this one: of the node. */
	check(kill(-1, SIGTERM) == 0 || errno == ESRCH, "kill(-1) ends what the node has");
	return failures != 0;
}
