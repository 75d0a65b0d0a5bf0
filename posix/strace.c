/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System calls as lines of text, much as strace writes them: virtual time, name, arguments, result.
 * A line is written when the call has ended; what doesn't come back (exit, a successful execve) has
 * one when it begins. Called by syscalls.c for tasks that are traced, on the task's kernel stack.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "posix/internal.h"

#define LINE_MAX_BYTES 512u
#define SHOWN_BYTES    32u /* of a buffer */
#define SHOWN_STRING   120u
#define NAME_COUNT     512u

static const char *const names[NAME_COUNT] = {
#include "posix/syscall_names.h"
};

const char *bh_posix_call_name(uint64_t number)
{
	return number < NAME_COUNT ? names[number] : NULL;
}

/*
 * How arguments are shown, a letter each: d number, u unsigned number, x hexadecimal, p address,
 * o octal, s string, w bytes that the next argument counts, r bytes that the result counts, v the
 * array of strings of execve. Calls that aren't here show three words.
 */
static const struct {
	uint16_t nr;
	const char *arguments;
} signatures[] = {
	{SYS_read, "dru"},
	{SYS_write, "dwu"},
	{SYS_open, "sxo"},
	{SYS_close, "d"},
	{SYS_stat, "sp"},
	{SYS_fstat, "dp"},
	{SYS_lstat, "sp"},
	{SYS_poll, "pud"},
	{SYS_lseek, "ddd"},
	{SYS_mmap, "puxxdx"},
	{SYS_mprotect, "pux"},
	{SYS_munmap, "pu"},
	{SYS_brk, "p"},
	{SYS_rt_sigaction, "dppu"},
	{SYS_rt_sigprocmask, "dppu"},
	{SYS_rt_sigreturn, ""},
	{SYS_ioctl, "dxp"},
	{SYS_pread64, "druu"},
	{SYS_pwrite64, "dwuu"},
	{SYS_readv, "dpu"},
	{SYS_writev, "dpu"},
	{SYS_access, "so"},
	{SYS_pipe, "p"},
	{SYS_select, "dpppp"},
	{SYS_sched_yield, ""},
	{SYS_mremap, "puuxp"},
	{SYS_madvise, "pud"},
	{SYS_dup, "d"},
	{SYS_dup2, "dd"},
	{SYS_pause, ""},
	{SYS_nanosleep, "pp"},
	{SYS_getpid, ""},
	{SYS_sendfile, "ddpu"},
	{SYS_socket, "dxd"},
	{SYS_connect, "dwu"},
	{SYS_accept, "dpp"},
	{SYS_sendto, "dwuxpu"},
	{SYS_recvfrom, "druxpp"},
	{SYS_sendmsg, "dpx"},
	{SYS_recvmsg, "dpx"},
	{SYS_shutdown, "dd"},
	{SYS_bind, "dwu"},
	{SYS_listen, "dd"},
	{SYS_getsockname, "dpp"},
	{SYS_getpeername, "dpp"},
	{SYS_socketpair, "dxdp"},
	{SYS_setsockopt, "dddwu"},
	{SYS_getsockopt, "dddpp"},
	{SYS_clone, "xppp"},
	{SYS_fork, ""},
	{SYS_vfork, ""},
	{SYS_execve, "sv"},
	{SYS_exit, "d"},
	{SYS_wait4, "dpxp"},
	{SYS_kill, "dd"},
	{SYS_uname, "p"},
	{SYS_fcntl, "dxx"},
	{SYS_flock, "dx"},
	{SYS_fsync, "d"},
	{SYS_truncate, "su"},
	{SYS_ftruncate, "du"},
	{SYS_getcwd, "pu"},
	{SYS_chdir, "s"},
	{SYS_fchdir, "d"},
	{SYS_rename, "ss"},
	{SYS_mkdir, "so"},
	{SYS_rmdir, "s"},
	{SYS_link, "ss"},
	{SYS_unlink, "s"},
	{SYS_symlink, "ss"},
	{SYS_readlink, "sru"},
	{SYS_chmod, "so"},
	{SYS_chown, "sdd"},
	{SYS_umask, "o"},
	{SYS_gettimeofday, "pp"},
	{SYS_getuid, ""},
	{SYS_getgid, ""},
	{SYS_setuid, "d"},
	{SYS_setgid, "d"},
	{SYS_geteuid, ""},
	{SYS_getegid, ""},
	{SYS_getppid, ""},
	{SYS_setsid, ""},
	{SYS_sigaltstack, "pp"},
	{SYS_mount, "sssxp"},
	{SYS_umount2, "sx"},
	{SYS_gettid, ""},
	{SYS_futex, "pxuppu"},
	{SYS_getdents64, "dpu"},
	{SYS_set_tid_address, "p"},
	{SYS_clock_gettime, "dp"},
	{SYS_clock_nanosleep, "dxpp"},
	{SYS_exit_group, "d"},
	{SYS_epoll_wait, "dpdd"},
	{SYS_epoll_ctl, "dddp"},
	{SYS_tgkill, "ddd"},
	{SYS_waitid, "ddpx"},
	{SYS_openat, "dsxo"},
	{SYS_mkdirat, "dso"},
	{SYS_newfstatat, "dspx"},
	{SYS_unlinkat, "dsx"},
	{SYS_readlinkat, "dsru"},
	{SYS_faccessat, "dso"},
	{SYS_pselect6, "dppppp"},
	{SYS_ppoll, "puppu"},
	{SYS_set_robust_list, "pu"},
	{SYS_unshare, "x"},
	{SYS_accept4, "dppx"},
	{SYS_signalfd4, "dpux"},
	{SYS_eventfd2, "ux"},
	{SYS_epoll_create1, "x"},
	{SYS_epoll_pwait, "dpddp"},
	{SYS_dup3, "ddx"},
	{SYS_pipe2, "px"},
	{SYS_prlimit64, "dupp"},
	{SYS_setns, "dx"},
	{SYS_getrandom, "pux"},
	{SYS_memfd_create, "sx"},
	{SYS_statx, "dsxxp"},
	{SYS_clone3, "pu"},
	{SYS_faccessat2, "dsox"},
};

/* What cuts a line short is its length; nothing else can fail. */
struct line {
	char text[LINE_MAX_BYTES];
	size_t length;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *line, const char *format, ...)
{
	size_t room = sizeof(line->text) - line->length;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line->text + line->length, room, format, args);
	va_end(args);
	if (length > 0)
		line->length += (size_t)length < room ? (size_t)length : room - 1;
}

static void add_bytes(struct line *line, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		uint8_t byte = bytes[i];

		if (byte == '\n')
			add(line, "\\n");
		else if (byte == '"' || byte == '\\')
			add(line, "\\%c", byte);
		else if (byte >= 0x20 && byte < 0x7f)
			add(line, "%c", byte);
		else
			add(line, "\\x%02x", byte);
	}
}

static void add_buffer(struct line *line, const struct bh_task *task, uint64_t address,
		       uint64_t length)
{
	size_t shown = length < SHOWN_BYTES ? (size_t)length : SHOWN_BYTES;

	if (!address || bh_memory_readable(task, address, shown) < shown) {
		add(line, "0x%" PRIx64, address);
		return;
	}
	add(line, "\"");
	add_bytes(line, (const uint8_t *)address, shown);
	add(line, shown < length ? "\"..." : "\"");
}

static void add_string(struct line *line, const struct bh_task *task, uint64_t address)
{
	size_t room = bh_memory_readable(task, address, SHOWN_STRING), length;

	if (!address || !room) {
		add(line, address ? "0x%" PRIx64 : "NULL", address);
		return;
	}
	length = strnlen((const char *)address, room);
	add(line, "\"");
	add_bytes(line, (const uint8_t *)address, length);
	add(line, length == room ? "\"..." : "\"");
}

static void add_vector(struct line *line, const struct bh_task *task, uint64_t address)
{
	add(line, "[");
	for (int i = 0; i < 16 && bh_memory_readable(task, address, 8) == 8; i++, address += 8) {
		uint64_t string = *(const uint64_t *)address;

		if (!string)
			break;
		add(line, i ? ", " : "");
		add_string(line, task, string);
	}
	add(line, "]");
}

static void add_argument(struct line *line, const struct bh_task *task, char kind,
			 const uint64_t *value, int64_t result)
{
	switch (kind) {
	case 'd':
		add(line, "%d", (int)*value);
		break;
	case 'u':
		add(line, "%" PRIu64, *value);
		break;
	case 'o':
		add(line, "0%" PRIo64, *value);
		break;
	case 's':
		add_string(line, task, *value);
		break;
	case 'w':
		add_buffer(line, task, *value, value[1]);
		break;
	case 'r':
		if (result >= 0) {
			add_buffer(line, task, *value, (uint64_t)result);
			break;
		}
		/* fall through */
	case 'p':
		add(line, *value ? "0x%" PRIx64 : "NULL", *value);
		break;
	case 'v':
		add_vector(line, task, *value);
		break;
	default:
		add(line, "0x%" PRIx64, *value);
	}
}

static const char *signature(uint64_t nr)
{
	for (size_t i = 0; i < sizeof(signatures) / sizeof(*signatures); i++)
		if (signatures[i].nr == nr)
			return signatures[i].arguments;
	return "xxx";
}

static void add_call(struct line *line, const struct bh_task *task, const struct pt_regs *regs)
{
	/* One more, for a buffer whose length would be the seventh. */
	const uint64_t values[7] = {regs->di, regs->si, regs->dx, regs->r10, regs->r8, regs->r9};
	uint64_t nr = regs->orig_ax, now = bh_posix_node_clock_ns(task->node);
	const char *arguments = signature(nr);

	add(line, "%" PRIu64 ".%09" PRIu64 " ", now / 1000000000, now % 1000000000);
	if (nr < NAME_COUNT && names[nr])
		add(line, "%s(", names[nr]);
	else
		add(line, "syscall_%" PRIu64 "(", nr);
	for (size_t i = 0; arguments[i]; i++) {
		add(line, i ? ", " : "");
		add_argument(line, task, arguments[i], &values[i], (int64_t)regs->ax);
	}
	add(line, ")");
}

static void add_result(struct line *line, int64_t result)
{
	const char *error = result < 0 && result > -4096 ? strerrorname_np((int)-result) : NULL;

	if (error)
		add(line, " = -1 %s", error);
	else if (result < 0 && result > -4096)
		add(line, " = ? (interrupted)"); /* a restart, not yet decided */
	else if (result > 0xffff || result < 0)
		add(line, " = 0x%" PRIx64, (uint64_t)result);
	else
		add(line, " = %" PRId64, result);
}

static void tell(const struct bh_task *task, struct line *line)
{
	struct bh_posix_node *node = task->node;

	if (line->length > sizeof(line->text) - 2)
		line->length = sizeof(line->text) - 2;
	line->text[line->length++] = '\n';
	if (node->callbacks.call)
		node->callbacks.call(node->arg, bh_posix_node_image(node)->pid(), line->text,
				     line->length);
}

void bh_strace_call(struct bh_task *task, const struct pt_regs *regs, int has_ended)
{
	uint64_t nr = regs->orig_ax;
	struct line line = {.length = 0};
	int is_exec = nr == SYS_execve || nr == SYS_execveat;

	if (!has_ended) {
		if (!is_exec && nr != SYS_exit && nr != SYS_exit_group)
			return;
		add_call(&line, task, regs);
		if (!is_exec)
			add(&line, " = ?");
	} else if (is_exec && (int64_t)regs->ax < 0) {
		add(&line, "  execve failed:");
		add_result(&line, (int64_t)regs->ax);
	} else if (is_exec || (int64_t)nr < 0) {
		return; /* a program that has begun, or a return from a handler */
	} else {
		add_call(&line, task, regs);
		add_result(&line, (int64_t)regs->ax);
	}
	tell(task, &line);
}
