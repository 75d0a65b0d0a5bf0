/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The person's side of a shell on a node: see shell.h. The host's terminal is raw, because the
 * node's kernel does the line editing; bytes go both ways as they are. How virtual time passes:
 *
 *   wall   as on the wall: the run waits until an event's time has come
 *   still  not at all while a program on the node waits for input, else as fast as it can
 *
 * If standard input is no terminal, its lines are typed one by one, each when it is waited for, so
 * that the same file always makes the same run.
 */
#include "cli/shell.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/host_time.h"
#include "common/suggest.h"
#include "simulator/units.h"

#define LEAVE_KEY     0x1d /* Ctrl-] */
#define END_OF_INPUT  0x04 /* Ctrl-D */
#define INPUT_SIZE    4096u
#define ENDS_MAX      20u
#define POLL_EVERY_NS 1000000u /* look for input so often while the run goes on */

struct bh_shell {
	struct bh_terminal terminal;
	char *argv[3], *environment[3];
	int is_wall, is_tty, is_raw, is_begun, is_at_end;
	struct termios saved;
	/* Wall mode: this host time is that virtual time. */
	uint64_t host_zero_ns, virtual_zero_ns;
	uint64_t polled_ns;
	unsigned int end_count; /* how often the end of the input was typed */
	/* Read, and not typed yet. */
	char input[INPUT_SIZE];
	size_t input_length, input_used;
	/* Shown by the node, and not written yet. */
	char *output;
	size_t output_length, output_room;
};

/* Signals handed to the process: a handler can't be given an instance. */
static volatile sig_atomic_t is_resized;

static void handle_resize(int signal_number)
{
	is_resized = 1;
}

/* --- output --- */

static void show(void *arg, const void *data, size_t length)
{
	struct bh_shell *shell = arg;

	if (shell->output_room - shell->output_length < length) {
		size_t room = 2 * (shell->output_length + length) + INPUT_SIZE;
		char *larger = realloc(shell->output, room);

		if (!larger)
			return;
		shell->output = larger;
		shell->output_room = room;
	}
	memcpy(shell->output + shell->output_length, data, length);
	shell->output_length += length;
}

static void flush_output(struct bh_shell *shell)
{
	size_t done = 0;

	while (done < shell->output_length) {
		ssize_t written =
			write(STDERR_FILENO, shell->output + done, shell->output_length - done);

		if (written < 0 && errno != EINTR)
			break;
		done += written > 0 ? (size_t)written : 0;
	}
	shell->output_length = 0;
}

/* --- input --- */

/* The next line of a file or pipe, or as much of it as there is room for. Its last one may lack its
 * newline. As read_input(). */
static int read_line(struct bh_shell *shell)
{
	while (shell->input_length < sizeof(shell->input)) {
		char *at = shell->input + shell->input_length;
		ssize_t length = read(STDIN_FILENO, at, 1);

		if (length < 0)
			return -1;
		if (length == 0) {
			shell->is_at_end = 1;
			if (shell->input_length)
				shell->input[shell->input_length++] = '\n';
			break;
		}
		shell->input_length++;
		if (*at == '\n')
			break;
	}
	return shell->input_length > 0;
}

/* Waits up to timeout_ms (-1: for ever) for input and reads it. Returns 1 if there is any now, 0 if
 * not, -1 if the wait was interrupted. */
static int read_input(struct bh_shell *shell, int timeout_ms)
{
	struct pollfd wanted = {.fd = STDIN_FILENO, .events = POLLIN};

	if (shell->input_used < shell->input_length)
		return 1;
	if (shell->is_at_end)
		return 0;
	shell->input_used = shell->input_length = 0;
	int ready = poll(&wanted, 1, timeout_ms);

	if (ready <= 0)
		return ready < 0 ? -1 : 0;
	if (!shell->is_tty)
		return read_line(shell);
	ssize_t length = read(STDIN_FILENO, shell->input, sizeof(shell->input));

	if (length < 0)
		return errno == EINTR || errno == EAGAIN ? -1 : 0;
	if (length == 0) {
		shell->is_at_end = 1;
		return 0;
	}
	shell->input_length = (size_t)length;
	return 1;
}

/* What is there; at the end of a file, the key that says so. */
static enum bh_terminal_answer type(struct bh_shell *shell, uint64_t vtime_ns,
				    struct bh_terminal_typed *typed_ret)
{
	static const char end_of_input[] = {END_OF_INPUT};
	const char *from = shell->input + shell->input_used;
	size_t length = shell->input_length - shell->input_used;
	const char *leave = shell->is_tty ? memchr(from, LEAVE_KEY, length) : NULL;

	if (leave == from && length)
		return BH_TERMINAL_LEFT;
	/* A program that doesn't care for the end of its input would run for ever. */
	if (!length && shell->end_count++ == ENDS_MAX)
		return BH_TERMINAL_LEFT;
	if (leave)
		length = (size_t)(leave - from);
	shell->input_used += length;
	*typed_ret = (struct bh_terminal_typed){
		.vtime_ns = vtime_ns,
		.data = length ? from : end_of_input,
		.length = length ? length : 1,
	};
	return BH_TERMINAL_TYPED;
}

static int take_size(struct bh_shell *shell, uint64_t vtime_ns, struct bh_terminal_typed *typed_ret)
{
	struct winsize size = {0};

	if (!is_resized)
		return 0;
	is_resized = 0;
	if (!shell->is_tty || ioctl(STDIN_FILENO, TIOCGWINSZ, &size) || !size.ws_row ||
	    !size.ws_col)
		return 0;
	*typed_ret = (struct bh_terminal_typed){
		.vtime_ns = vtime_ns, .rows = size.ws_row, .columns = size.ws_col};
	return 1;
}

/* --- time --- */

static enum bh_terminal_answer input_still(struct bh_shell *shell,
					   const struct bh_terminal_moment *moment,
					   struct bh_terminal_typed *typed_ret)
{
	int must_wait = moment->is_read || moment->next_ns == BH_TERMINAL_NEVER;
	uint64_t host_ns = must_wait ? 0 : bh_host_time_ns();

	/* From a file nothing is typed ahead: when that would be is not a property of the run. */
	if (!must_wait && (!shell->is_tty || host_ns - shell->polled_ns < POLL_EVERY_NS))
		return BH_TERMINAL_NOTHING;
	shell->polled_ns = host_ns;
	int has_input = read_input(shell, must_wait ? -1 : 0);

	if (take_size(shell, moment->now_ns, typed_ret))
		return BH_TERMINAL_TYPED;
	if (has_input < 0)
		return BH_TERMINAL_LEFT;
	if (!has_input && !(must_wait && shell->is_at_end))
		return BH_TERMINAL_NOTHING;
	return type(shell, moment->now_ns, typed_ret);
}

/* The virtual time that the wall shows, kept within the moment. */
static uint64_t wall_ns(const struct bh_shell *shell, const struct bh_terminal_moment *moment)
{
	uint64_t now_ns = bh_host_time_ns() - shell->host_zero_ns + shell->virtual_zero_ns;

	if (now_ns < moment->now_ns)
		return moment->now_ns;
	return now_ns < moment->next_ns ? now_ns : moment->next_ns;
}

static int timeout_ms(const struct bh_shell *shell, const struct bh_terminal_moment *moment)
{
	uint64_t left_ns = moment->next_ns - wall_ns(shell, moment);

	if (moment->next_ns == BH_TERMINAL_NEVER)
		return -1;
	/* Never before the time, so that it has come when poll() returns. */
	return left_ns > 1000000000u ? 1000 : (int)((left_ns + 999999u) / 1000000u);
}

static enum bh_terminal_answer input_wall(struct bh_shell *shell,
					  const struct bh_terminal_moment *moment,
					  struct bh_terminal_typed *typed_ret)
{
	for (;;) {
		int wait_ms = timeout_ms(shell, moment);
		int has_input;

		/* Many events at one time: don't ask the host at each. */
		if (wait_ms == 0 && bh_host_time_ns() - shell->polled_ns < POLL_EVERY_NS)
			return BH_TERMINAL_NOTHING;
		has_input = read_input(shell, wait_ms);
		shell->polled_ns = bh_host_time_ns();
		if (take_size(shell, wall_ns(shell, moment), typed_ret))
			return BH_TERMINAL_TYPED;
		if (has_input < 0)
			return BH_TERMINAL_LEFT;
		if (has_input || (shell->is_at_end && moment->is_read))
			return type(shell, wall_ns(shell, moment), typed_ret);
		if (wall_ns(shell, moment) >= moment->next_ns)
			return BH_TERMINAL_NOTHING;
	}
}

static enum bh_terminal_answer input(void *arg, const struct bh_terminal_moment *moment,
				     struct bh_terminal_typed *typed_ret)
{
	struct bh_shell *shell = arg;

	flush_output(shell);
	if (!shell->is_begun) {
		shell->is_begun = 1;
		is_resized = 1;
		shell->host_zero_ns = bh_host_time_ns();
		shell->virtual_zero_ns = moment->now_ns;
	}
	return shell->is_wall ? input_wall(shell, moment, typed_ret)
			      : input_still(shell, moment, typed_ret);
}

/* --- life --- */

static struct bh_error *find_node(const struct bh_scenario *scenario, const char *name,
				  uint32_t *node_ret)
{
	const char **names = calloc(scenario->node_count, sizeof(*names));

	if (!names)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < scenario->node_count; i++) {
		names[i] = scenario->nodes[i].name;
		if (strcmp(names[i], name) == 0) {
			free(names);
			*node_ret = (uint32_t)i;
			return NULL;
		}
	}
	const char *nearest = bh_suggest(name, names, scenario->node_count);
	struct bh_error *error =
		bh_error_new(BH_ERR_USAGE, "--shell: no node is named \"%s\"; did you mean \"%s\"?",
			     name, nearest ? nearest : names[0]);

	free(names);
	return error;
}

static struct bh_error *choose_program(const char *wanted, char **program_ret)
{
	if (wanted && (wanted[0] != '/' || access(wanted, X_OK)))
		return bh_error_new(BH_ERR_USAGE,
				    "--shell-program wants the absolute path of a program, not "
				    "\"%s\"",
				    wanted);
	*program_ret = strdup(wanted			  ? wanted
			      : access("/bin/bash", X_OK) ? "/bin/sh"
							  : "/bin/bash");
	return *program_ret ? NULL : bh_error_new(BH_ERR_NOMEM, "out of memory");
}

static struct bh_error *choose_time(struct bh_shell *shell, const char *wanted)
{
	shell->is_tty = isatty(STDIN_FILENO);
	shell->is_wall = wanted ? strcmp(wanted, "wall") == 0 : shell->is_tty;
	if (!wanted || shell->is_wall || strcmp(wanted, "still") == 0)
		return NULL;
	return bh_error_new(BH_ERR_USAGE, "--shell-time wants still or wall, not \"%s\"", wanted);
}

static struct bh_error *choose_environment(struct bh_shell *shell,
					   const struct bh_scenario *scenario)
{
	const char *term = getenv("TERM");

	if (asprintf(&shell->environment[0], "TERM=%s",
		     shell->is_tty && term && *term ? term : "dumb") < 0)
		shell->environment[0] = NULL;
	if (!shell->environment[0] || asprintf(&shell->environment[1], "PS1=%s# ",
					       scenario->nodes[shell->terminal.node].name) < 0)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	return NULL;
}

static struct bh_error *fill(struct bh_shell *shell, const struct bh_shell_options *options,
			     const struct bh_scenario *scenario)
{
	struct bh_terminal *terminal = &shell->terminal;

	BH_TRY(find_node(scenario, options->node, &terminal->node));
	BH_TRY(choose_program(options->program, &shell->argv[0]));
	BH_TRY(choose_time(shell, options->time));
	if (options->start) {
		struct bh_error *error = bh_parse_duration(options->start, &terminal->start_ns);

		if (error) {
			struct bh_error *named =
				bh_error_new(BH_ERR_USAGE, "--shell-start: %s", error->message);

			bh_error_free(error);
			return named;
		}
	}
	BH_TRY(choose_environment(shell, scenario));
	terminal->argv = shell->argv;
	terminal->environment = shell->environment;
	terminal->input = input;
	terminal->output = show;
	terminal->arg = shell;
	return NULL;
}

static void make_raw(struct bh_shell *shell)
{
	struct sigaction action = {.sa_handler = handle_resize, .sa_flags = SA_ONSTACK};
	struct termios raw;

	if (!shell->is_tty || tcgetattr(STDIN_FILENO, &shell->saved))
		return;
	sigemptyset(&action.sa_mask);
	sigaction(SIGWINCH, &action, NULL);
	bh_cli_note("a shell on the node; its end ends the run, Ctrl-] leaves it");
	raw = shell->saved;
	cfmakeraw(&raw);
	shell->is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

struct bh_error *bh_shell_create(const struct bh_shell_options *options,
				 const struct bh_scenario *scenario, struct bh_shell **shell_ret)
{
	*shell_ret = NULL;
	if (!options->node && (options->time || options->start || options->program))
		return bh_error_new(BH_ERR_USAGE,
				    "--shell-%s belongs to --shell; name a node with it",
				    options->time    ? "time"
				    : options->start ? "start"
						     : "program");
	if (!options->node)
		return NULL;
	struct bh_shell *shell = calloc(1, sizeof(*shell));

	if (!shell)
		return bh_error_new(BH_ERR_NOMEM, "out of memory");
	struct bh_error *error = fill(shell, options, scenario);

	if (error) {
		bh_shell_destroy(shell);
		return error;
	}
	make_raw(shell);
	*shell_ret = shell;
	return NULL;
}

const struct bh_terminal *bh_shell_terminal(struct bh_shell *shell)
{
	return shell ? &shell->terminal : NULL;
}

void bh_shell_destroy(struct bh_shell *shell)
{
	if (!shell)
		return;
	flush_output(shell);
	if (shell->is_raw) {
		tcsetattr(STDIN_FILENO, TCSADRAIN, &shell->saved);
		signal(SIGWINCH, SIG_DFL);
	}
	free(shell->argv[0]);
	free(shell->environment[0]);
	free(shell->environment[1]);
	free(shell->output);
	free(shell);
}
