/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints whatever a program can learn that might come from the host: addresses, clocks, random
 * bytes, the CPU, file times, directory order, the environment. Run on a node by
 * tests/determinism: two runs must print the same bytes, wherever and whenever they are made.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

extern char **environ;

static void show_bytes(const char *name, const void *bytes, size_t length)
{
	printf("%s ", name);
	for (size_t i = 0; i < length; i++)
		printf("%02x", ((const unsigned char *)bytes)[i]);
	putchar('\n');
}

static void show_addresses(void)
{
	int local;
	void *small = malloc(10), *large = malloc(1 << 20);
	void *mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	printf("addresses %p %p %p %p %p %p %p %p\n", (void *)&local, small, large, mapped,
	       (void *)show_addresses, (void *)printf, sbrk(0), (void *)environ);
	printf("thread %lx, sysconf cpus %ld %ld, page %ld, pages %ld %ld\n",
	       (unsigned long)pthread_self(), sysconf(_SC_NPROCESSORS_ONLN),
	       sysconf(_SC_NPROCESSORS_CONF), sysconf(_SC_PAGESIZE), sysconf(_SC_PHYS_PAGES),
	       sysconf(_SC_AVPHYS_PAGES));
	free(small);
	free(large);
}

static void show_auxv(void)
{
	static const unsigned long types[] = {
		AT_PHDR,   AT_PHNUM,  AT_BASE,	       AT_FLAGS,      AT_ENTRY,	   AT_UID,
		AT_EUID,   AT_HWCAP,  AT_HWCAP2,       AT_CLKTCK,     AT_PLATFORM, AT_SECURE,
		AT_EXECFN, AT_RANDOM, AT_SYSINFO_EHDR, AT_MINSIGSTKSZ};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		printf("auxv %lu %lx\n", types[i], getauxval(types[i]));
	if (getauxval(AT_RANDOM))
		show_bytes("random", (void *)getauxval(AT_RANDOM), 16);
	if (getauxval(AT_PLATFORM))
		printf("platform %s\n", (char *)getauxval(AT_PLATFORM));
}

static void show_clocks(void)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME,
					   CLOCK_MONOTONIC,
					   CLOCK_BOOTTIME,
					   CLOCK_MONOTONIC_RAW,
					   CLOCK_TAI,
					   CLOCK_REALTIME_COARSE,
					   CLOCK_PROCESS_CPUTIME_ID,
					   CLOCK_THREAD_CPUTIME_ID};
	struct timeval now = {0};
	struct rusage usage = {0};
	struct tms times_now = {0};

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		struct timespec time = {0};
		int status = clock_gettime(clocks[i], &time);

		printf("clock %d: %d %ld.%09ld\n", (int)clocks[i], status, (long)time.tv_sec,
		       time.tv_nsec);
	}
	gettimeofday(&now, NULL);
	getrusage(RUSAGE_SELF, &usage);
	printf("time %ld %ld.%06ld rusage %ld.%06ld %ld faults %ld %ld times %ld\n",
	       (long)time(NULL), (long)now.tv_sec, (long)now.tv_usec, (long)usage.ru_utime.tv_sec,
	       (long)usage.ru_utime.tv_usec, usage.ru_maxrss, usage.ru_minflt, usage.ru_majflt,
	       (long)times(&times_now));
}

static void show_cpu(void)
{
	unsigned int a, b, c, d, aux;

	for (unsigned int leaf = 0; leaf <= 0x16; leaf++) {
		__cpuid_count(leaf, 0, a, b, c, d);
		printf("cpuid %x: %x %x %x %x\n", leaf, a, b, c, d);
	}
	for (unsigned int leaf = 0x80000000; leaf <= 0x80000008; leaf++) {
		__cpuid_count(leaf, 0, a, b, c, d);
		printf("cpuid %x: %x %x %x %x\n", leaf, a, b, c, d);
	}
	printf("rdtsc %llu ", (unsigned long long)__rdtsc());
	printf("%llu\n", (unsigned long long)__rdtscp(&aux));
	printf("cpu %d\n", sched_getcpu());
}

static void show_random(void)
{
	unsigned char bytes[16] = {0};

	printf("getrandom %zd\n", getrandom(bytes, sizeof(bytes), 0));
	show_bytes("getrandom", bytes, sizeof(bytes));
	int fd = open("/dev/urandom", O_RDONLY);
	if (fd >= 0 && read(fd, bytes, sizeof(bytes)) == sizeof(bytes))
		show_bytes("urandom", bytes, sizeof(bytes));
	if (fd >= 0)
		close(fd);
}

static void show_file(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		printf("file %s: %s\n", path, strerror(errno));
		return;
	}
	for (ssize_t size; (size = read(fd, text, sizeof(text))) > 0;)
		show_bytes(path, text, (size_t)size);
	close(fd);
}

static void show_status(const char *path)
{
	struct stat status;

	if (stat(path, &status)) {
		printf("stat %s: %s\n", path, strerror(errno));
		return;
	}
	printf("stat %s: dev %lx ino %lu mode %o links %lu uid %u gid %u size %ld blocks %ld "
	       "times %ld.%09ld %ld.%09ld %ld.%09ld\n",
	       path, (long)status.st_dev, (long)status.st_ino, status.st_mode,
	       (long)status.st_nlink, status.st_uid, status.st_gid, (long)status.st_size,
	       (long)status.st_blocks, (long)status.st_atim.tv_sec, status.st_atim.tv_nsec,
	       (long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec, (long)status.st_ctim.tv_sec,
	       status.st_ctim.tv_nsec);
}

static void show_folder(const char *path)
{
	DIR *folder = opendir(path);

	if (!folder) {
		printf("folder %s: %s\n", path, strerror(errno));
		return;
	}
	for (struct dirent *entry; (entry = readdir(folder));)
		printf("folder %s: %s %lu %d\n", path, entry->d_name, (long)entry->d_ino,
		       entry->d_type);
	closedir(folder);
}

static void show_system(void)
{
	struct utsname name = {0};
	struct sysinfo info = {0};
	struct rlimit limit = {0};
	char folder[4096] = "", host[256] = "";

	uname(&name);
	printf("uname %s %s %s %s %s\n", name.sysname, name.nodename, name.release, name.version,
	       name.machine);
	sysinfo(&info);
	printf("sysinfo %ld %lu %lu %lu %u\n", info.uptime, info.totalram, info.freeram,
	       info.loads[0], info.procs);
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		getrlimit(i, &limit);
		printf("limit %d %lx %lx\n", i, (long)limit.rlim_cur, (long)limit.rlim_max);
	}
	gethostname(host, sizeof(host));
	printf("ids %d %d %d %d %d %d, umask %o, cwd %s, host %s, nice %d\n", getpid(), getppid(),
	       getpgrp(), getsid(0), getuid(), getgid(), umask(022), getcwd(folder, sizeof(folder)),
	       host, getpriority(PRIO_PROCESS, 0));
	for (char **at = environ; *at; at++)
		printf("environment %s\n", *at);
}

static void show_signals(void)
{
	sigset_t mask;
	struct sigaction action;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	show_bytes("mask", &mask, 8);
	for (int i = 1; i < 32; i++)
		if (!sigaction(i, NULL, &action) && action.sa_handler != SIG_DFL)
			printf("signal %d is not default\n", i);
	for (int fd = 0; fd < 20; fd++)
		if (fcntl(fd, F_GETFL) >= 0)
			printf("descriptor %d: %x\n", fd, fcntl(fd, F_GETFL));
}

int main(void)
{
	static const char *const files[] = {
		"/proc/self/maps",
		"/proc/self/stat",
		"/proc/self/status",
		"/proc/self/auxv",
		"/proc/cpuinfo",
		"/proc/meminfo",
		"/proc/uptime",
		"/proc/stat",
		"/proc/version",
		"/proc/loadavg",
		"/proc/interrupts",
		"/proc/mounts",
		"/proc/sys/kernel/random/boot_id",
		"/proc/sys/kernel/random/uuid",
		"/proc/net/dev",
		"/proc/net/tcp",
		"/proc/net/unix",
		"/proc/slabinfo",
		"/proc/timer_list",
		"/proc/self/cmdline",
	};

	show_addresses();
	show_auxv();
	show_clocks();
	show_cpu();
	show_random();
	show_system();
	show_signals();
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		show_file(files[i]);
	show_status("/");
	show_status("/etc");
	show_status("/etc/passwd");
	show_status("/bin/sh");
	show_status("/tmp");
	show_status("/root");
	show_status("/proc/self/exe");
	show_folder("/");
	show_folder("/etc");
	show_folder("/tmp");
	show_folder("/proc/self/fd");
	return 0;
}
