/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The progress line and Ctrl-C: see progress.h. */
#include "cli/progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/host_time.h"
#include "common/last_words.h"
#include "simulator/gate.h"

/* The clock is read once in so many calls, the line drawn at most so often. */
#define CALLS_PER_LOOK 1024u
#define REDRAW_NS      200000000u

/* Signals handed to the process: a handler can't be given an instance. */
static volatile sig_atomic_t interrupt_count;

/* May run while a program has the CPU, with its thread pointer: see posix/posix.h. */
static void handle_interrupt(int signal_number)
{
	/* A second one means that waiting for the end of this event takes too long. */
	if (interrupt_count++ > 0) {
		bh_last_words_say();
		_exit(128 + signal_number);
	}
}

void bh_progress_begin(struct bh_progress *progress, uint64_t stop_ns, size_t node_count,
		       int is_quiet)
{
	struct sigaction action = {.sa_handler = handle_interrupt,
				   .sa_flags = SA_ONSTACK | SA_RESTART};

	memset(progress, 0, sizeof(*progress));
	progress->is_shown = !is_quiet && isatty(STDERR_FILENO);
	progress->stop_ns = stop_ns;
	progress->node_count = node_count;
	progress->last_host_ns = bh_host_time_ns();
	interrupt_count = 0;
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void draw(struct bh_progress *progress, uint64_t host_ns)
{
	uint64_t events = bh_gate.event;
	uint64_t elapsed_ns = host_ns - progress->last_host_ns;
	uint64_t rate =
		elapsed_ns ? (events - progress->last_event) * 1000000 / (elapsed_ns / 1000 + 1)
			   : 0;
	char line[128], whole[32] = "";

	if (progress->stop_ns)
		snprintf(whole, sizeof(whole), " of %" PRIu64, progress->stop_ns / 1000000000);
	int length =
		snprintf(line, sizeof(line),
			 "\r%" PRIu64 ".%03" PRIu64 "%s"
			 " s, %zu node%s, event %" PRIu64 ", %" PRIu64 " events/s\033[K",
			 bh_gate.vtime_ns / 1000000000, bh_gate.vtime_ns / 1000000 % 1000, whole,
			 progress->node_count, progress->node_count == 1 ? "" : "s", events, rate);

	progress->last_host_ns = host_ns;
	progress->last_event = events;
	/* Without stdio: nothing of it is left half-written in a fork. */
	if (length > 0 && write(STDERR_FILENO, line, (size_t)length) < 0)
		progress->is_shown = 0;
}

int bh_progress_update(struct bh_progress *progress)
{
	if (progress->is_shown && ++progress->calls % CALLS_PER_LOOK == 0) {
		uint64_t host_ns = bh_host_time_ns();

		if (host_ns - progress->last_host_ns >= REDRAW_NS)
			draw(progress, host_ns);
	}
	return interrupt_count > 0;
}

void bh_progress_end(struct bh_progress *progress)
{
	if (progress->is_shown && progress->last_event > 0 &&
	    write(STDERR_FILENO, "\r\033[K", 4) < 0)
		progress->is_shown = 0;
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}

int bh_progress_was_interrupted(const struct bh_progress *progress)
{
	return interrupt_count > 0;
}
