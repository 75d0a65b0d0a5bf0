/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals of the programs on the nodes: which of them stop a move (QPassSignals, which gdb's
 * `handle` sends), and what $_siginfo says at such a stop. Called by gdb_server.c and
 * gdb_server_resume.c.
 *
 * A signal is met where the node's kernel is about to deliver it: at the entry of user_signal()
 * (kernel-lib/arch/backhop/kernel/user.c), a tracepoint's function that every image has, in the
 * context of the task that gets it. As everywhere in a replay, what is delivered was recorded:
 * signals that gdb would send are not.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/symbols.h"
#include "replayer/gdb_server_state.h"

#define DELIVERY "user_signal"
/* What the kernel knows of a siginfo_t (struct kernel_siginfo); zeros follow. */
#define KERNEL_SIGINFO_BYTES 48
#define GDB_SIGNAL_UNKNOWN   143

/* gdb has its own numbers for signals; in its include/gdb/signals.def. */
static const uint8_t gdb_numbers[] = {
	[SIGHUP] = 1,	   [SIGINT] = 2,    [SIGQUIT] = 3,  [SIGILL] = 4,   [SIGTRAP] = 5,
	[SIGABRT] = 6,	   [SIGFPE] = 8,    [SIGKILL] = 9,  [SIGBUS] = 10,  [SIGSEGV] = 11,
	[SIGSYS] = 12,	   [SIGPIPE] = 13,  [SIGALRM] = 14, [SIGTERM] = 15, [SIGURG] = 16,
	[SIGSTOP] = 17,	   [SIGTSTP] = 18,  [SIGCONT] = 19, [SIGCHLD] = 20, [SIGTTIN] = 21,
	[SIGTTOU] = 22,	   [SIGIO] = 23,    [SIGXCPU] = 24, [SIGXFSZ] = 25, [SIGVTALRM] = 26,
	[SIGPROF] = 27,	   [SIGWINCH] = 28, [SIGUSR1] = 30, [SIGUSR2] = 31, [SIGPWR] = 32,
	[SIGSTKFLT] = 143,
};
#define FIRST_REALTIME 32
#define LAST_REALTIME  64

unsigned int bh_gdb_signal(int number)
{
	if (number == FIRST_REALTIME)
		return 77;
	if (number == LAST_REALTIME)
		return 78;
	if (number > FIRST_REALTIME && number < LAST_REALTIME)
		return (unsigned int)number + 12;
	if (number > 0 && number < (int)sizeof(gdb_numbers))
		return gdb_numbers[number];
	return number ? GDB_SIGNAL_UNKNOWN : 0;
}

/* The way back; 0: no signal of a program has this number. */
static int linux_signal(uint64_t gdb_number)
{
	for (int number = 1; number <= LAST_REALTIME; number++) {
		if (bh_gdb_signal(number) == gdb_number)
			return number;
	}
	return 0;
}

/* --- the places where signals are delivered --- */

static const struct bh_gdb_signal_place *find_place(const struct bh_gdb_server *server,
						    uint64_t address)
{
	for (size_t i = 0; i < server->signal_place_count; i++) {
		if (server->signal_places[i].address == address)
			return &server->signal_places[i];
	}
	return NULL;
}

/*
 * At a place, before its function has done anything, rsi is the signal and rdx its siginfo. But a
 * signal that does no more than end its process is a SIGKILL without one to each of its threads,
 * and stands in the process' exit code (complete_signal() in kernel/signal.c, 6.1). 0: unknown.
 */
static int read_signal(struct bh_gdb_server *server, uint64_t thread, uint64_t *info_ret)
{
	struct user_regs_struct registers;
	struct bh_error *error = bh_replay_registers(server->replay, thread, &registers);
	const struct bh_gdb_signal_place *place;
	uint64_t signal = 0;
	uint32_t code = 0;

	if (error) {
		bh_error_free(error);
		return 0;
	}
	*info_ret = registers.rdx;
	place = find_place(server, registers.rip);
	if (registers.rsi == SIGKILL && !registers.rdx && place) {
		bh_replay_read(server->replay,
			       bh_replay_task(server->replay, thread) + place->task_signal, &signal,
			       sizeof(signal));
		bh_replay_read(server->replay, signal + place->group_exit_code, &code,
			       sizeof(code));
		return code & 0x7f;
	}
	return registers.rsi <= LAST_REALTIME ? (int)registers.rsi : 0;
}

static int signal_is_wanted(void *arg, struct bh_replay *replay)
{
	struct bh_gdb_server *server = arg;
	uint64_t thread = bh_replay_thread(replay), info;
	int signal;

	if (server->only_thread && (uint64_t)server->only_thread != thread)
		return 0;
	signal = read_signal(server, thread, &info);
	return signal && server->stop_signals >> (signal - 1) & 1;
}

struct bh_error *bh_gdb_signal_place_restore(struct bh_gdb_server *server, uint64_t address)
{
	/* A breakpoint of the user's at the very place goes before. */
	if (!find_place(server, address) || bh_gdb_breakpoint_find(server, address))
		return NULL;
	return bh_replay_breakpoint_insert(server->replay, address, signal_is_wanted, server);
}

static struct bh_error *add_place(struct bh_gdb_server *server, struct bh_gdb_signal_place place)
{
	struct bh_gdb_signal_place *grown =
		realloc(server->signal_places, (server->signal_place_count + 1) * sizeof(*grown));

	if (!grown)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	server->signal_places = grown;
	grown[server->signal_place_count++] = place;
	return bh_gdb_signal_place_restore(server, place.address);
}

/* The address is relative to the image; 0: it isn't known. */
static struct bh_gdb_signal_place describe_place(const char *image)
{
	struct bh_symbols *symbols = bh_symbols_open_image(image);
	struct bh_gdb_signal_place place = {
		.address = symbols ? bh_symbols_address(symbols, DELIVERY) : 0};

	if (place.address && (!bh_symbols_member(symbols, place.address, "task_struct", "signal",
						 &place.task_signal) ||
			      !bh_symbols_member(symbols, place.address, "signal_struct",
						 "group_exit_code", &place.group_exit_code)))
		place.address = 0;
	bh_symbols_close(symbols);
	return place;
}

static struct bh_error *add_places(struct bh_gdb_server *server)
{
	const struct bh_replay_image *images;
	struct bh_gdb_signal_place place = {0}, of_node;
	const char *former = NULL;
	size_t count;

	BH_TRY(bh_replay_images(server->replay, &images, &count));
	for (size_t i = 0; i < count; i++) {
		if (!images[i].is_kernel)
			continue;
		/* Nodes mostly have the same image. */
		if (!former || strcmp(former, images[i].path))
			place = describe_place(images[i].path);
		former = images[i].path;
		if (!place.address)
			return bh_error_new(BH_ERR_INPUT,
					    "programs' signals can't be stopped at: %s has no "
					    "debug information (image.debug) beside it that knows "
					    "%s()",
					    images[i].path, DELIVERY);
		of_node = place;
		of_node.address += images[i].base;
		BH_TRY(add_place(server, of_node));
	}
	return NULL;
}

void bh_gdb_signals_free(struct bh_gdb_server *server)
{
	free(server->signal_fault);
	server->signal_fault = NULL;
	for (size_t i = 0; i < server->signal_place_count; i++)
		bh_replay_breakpoint_remove(server->replay, server->signal_places[i].address);
	free(server->signal_places);
	server->signal_places = NULL;
	server->signal_place_count = 0;
}

/* --- packets --- */

/* The signals, by gdb's numbers, that are not to be told of; all others are. SIGINT and SIGTRAP,
 * which gdb's own stops look like, never are. */
void bh_gdb_pass_signals(struct bh_gdb_server *server, struct bh_rsp_scan *scan)
{
	uint64_t wanted = ~(1ull << (SIGINT - 1) | 1ull << (SIGTRAP - 1));
	struct bh_error *error = NULL;

	while (bh_rsp_scan_left(scan) && !scan->failed) {
		int number = linux_signal(bh_rsp_scan_hex(scan));

		if (number)
			wanted &= ~(1ull << (number - 1));
		if (bh_rsp_scan_left(scan))
			bh_rsp_scan_expect(scan, ";");
	}
	if (scan->failed) {
		bh_gdb_refuse(server, "QPassSignals has numbers with semicolons between them");
		return;
	}
	server->stop_signals = wanted;
	if (!wanted)
		bh_gdb_signals_free(server);
	else if (!server->signal_place_count)
		error = add_places(server);
	free(server->signal_fault);
	server->signal_fault = error ? strdup(error->message) : NULL;
	bh_error_free(error);
	/* gdb wouldn't tell of a refusal. */
	bh_rsp_text(&server->reply, "OK");
}

void bh_gdb_signal_met(struct bh_gdb_server *server)
{
	uint64_t address = 0;
	int signal;

	if (server->stop.reason == BH_STOP_BREAKPOINT && find_place(server, server->stop.address) &&
	    !bh_gdb_breakpoint_find(server, server->stop.address)) {
		signal = read_signal(server, server->stop.thread, &address);
		server->stop.reason = BH_STOP_SIGNAL;
		server->stop.signal = signal;
	}
	server->siginfo = (siginfo_t){0};
	if (address)
		bh_replay_read(server->replay, address, &server->siginfo, KERNEL_SIGINFO_BYTES);
	if (server->stop.reason == BH_STOP_SIGNAL)
		server->siginfo.si_signo = server->stop.signal;
}

/* Of the signal that the last stop was for; zeros if it was for none. */
struct bh_error *bh_gdb_siginfo(struct bh_gdb_server *server, struct bh_buffer *document)
{
	bh_buffer_bytes(document, &server->siginfo, sizeof(server->siginfo));
	return NULL;
}

void bh_gdb_signal_sent(struct bh_gdb_server *server, uint64_t gdb_number)
{
	int number = linux_signal(gdb_number);

	if (server->signal_fault) {
		bh_gdb_print(server, server->signal_fault);
		bh_gdb_print(server, "\n");
		free(server->signal_fault);
		server->signal_fault = NULL;
	}
	/* The one that it stopped for is delivered, because it was. */
	if (!gdb_number || server->has_told_signal ||
	    (server->stop.reason == BH_STOP_SIGNAL && server->stop.signal == number))
		return;
	server->has_told_signal = 1;
	bh_gdb_print(server, "A replay delivers the signals that were recorded: ");
	bh_gdb_print(server, number ? strsignal(number) : "this one");
	bh_gdb_print(server, " isn't sent.\n");
}
