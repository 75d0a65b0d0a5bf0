/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs gdb on a replay: see gdb_session.h. Used by cmd_replay.c.
 *
 * Three processes: this one waits and cleans up; the server replays and speaks to gdb; gdb has the
 * terminal. The server is a child of ours, not of gdb, so that what is wrong with the trace is told
 * before gdb starts, and both end with us even if we are killed.
 */
#include "cli/gdb_session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/kernel_path.h"
#include "replayer/engine.h"
#include "replayer/gdb_server.h"

/* How long the server may take to end by itself when gdb has gone. */
#define SERVER_END_MS	   2000
#define SERVER_END_POLL_MS 5

struct place {
	char folder[64]; /* private to this user */
	struct sockaddr_un address;
};

static void fill_place(struct place *place_ret, const char *folder)
{
	memset(place_ret, 0, sizeof(*place_ret));
	snprintf(place_ret->folder, sizeof(place_ret->folder), "%.63s", folder);
	place_ret->address.sun_family = AF_UNIX;
	snprintf(place_ret->address.sun_path, sizeof(place_ret->address.sun_path), "%s/gdb",
		 place_ret->folder);
}

static struct bh_error *make_place(struct place *place_ret)
{
	const char *top = getenv("TMPDIR");
	char folder[sizeof(place_ret->folder)];

	/* A socket's path is at most 107 bytes, so a long TMPDIR can't be used. */
	if (!top || top[0] != '/' || strlen(top) > 32)
		top = "/tmp";
	snprintf(folder, sizeof(folder), "%s/backhop-XXXXXX", top);
	if (!mkdtemp(folder))
		return bh_error_new(
			BH_ERR_MACHINE,
			"no folder for the connection to gdb can be made in %s: %s; set "
			"TMPDIR to one that can be written",
			top, strerror(errno));
	fill_place(place_ret, folder);
	return NULL;
}

static void remove_place(const struct place *place)
{
	unlink(place->address.sun_path);
	rmdir(place->folder);
}

/* --- the server --- */

static struct bh_error *listen_at(const struct place *place, int *socket_ret)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listener < 0 ||
	    bind(listener, (const struct sockaddr *)&place->address, sizeof(place->address)) ||
	    listen(listener, 1))
		return bh_error_new(BH_ERR_MACHINE, "a socket for gdb can't be made at %s: %s",
				    place->address.sun_path, strerror(errno));
	*socket_ret = listener;
	return NULL;
}

/* Nothing is known of how far it is: the run is in a process of its own. */
static void tell_passing(int is_on)
{
	static const char text[] = "\rrunning the whole run once, for what the node gets from the "
				   "others ...";
	static const char nothing[] = "\r\033[K";

	if (isatty(STDERR_FILENO) &&
	    write(STDERR_FILENO, is_on ? text : nothing, strlen(is_on ? text : nothing)) < 0)
		return;
}

struct bh_error *bh_gdb_session_replay(const struct bh_trace *trace, const char *node,
				       struct bh_replay **replay_ret)
{
	const struct bh_replay_options options = {
		.find_kernel = bh_find_kernel,
		.node = node,
		.passing = tell_passing,
	};

	if (node)
		return bh_replay_create_alone(trace, &options, replay_ret);
	return bh_replay_create(trace, bh_find_kernel, NULL, replay_ret);
}

/* The socket is made last: until then the replayed process, a fork of this one, exists already and
 * must not inherit it; nor is there anything to remove if this process is ended meanwhile. */
static struct bh_error *start_server(const struct bh_gdb_session *session, struct place *place_ret,
				     struct bh_replay **replay_ret, int *listener_ret)
{
	BH_TRY(bh_gdb_session_replay(session->trace, session->node, replay_ret));
	BH_TRY(make_place(place_ret));
	return listen_at(place_ret, listener_ret);
}

/* The parent reads a code, 0 for success, and a text that ends in NUL: the folder, or what is
 * wrong. The replayed process holds the pipe too, so its end tells nothing. */
static void tell_parent(int pipe, const struct bh_error *error, const struct place *place)
{
	unsigned char code = error ? (unsigned char)error->code : 0;
	const char *text = error ? error->message : place->folder;

	if (write(pipe, &code, 1) != 1 || write(pipe, text, strlen(text) + 1) < 0)
		_exit(1);
	close(pipe);
}

static void run_server(const struct bh_gdb_session *session, int pipe) __attribute__((noreturn));

static void run_server(const struct bh_gdb_session *session, int pipe)
{
	char executable[4096] = "";
	struct bh_replay *replay = NULL;
	struct bh_error *error;
	struct place place;
	int listener = -1, connection;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == 1)
		_exit(1);
	setsid(); /* Ctrl-C at the terminal is for gdb, which then asks us to stop */
	error = start_server(session, &place, &replay, &listener);
	tell_parent(pipe, error, &place);
	if (error)
		_exit(1);
	connection = accept(listener, NULL, NULL);
	close(listener);
	remove_place(&place);
	if (readlink("/proc/self/exe", executable, sizeof(executable) - 1) < 0)
		executable[0] = '\0';
	if (connection >= 0)
		error = bh_gdb_server_run(replay, connection, executable[0] ? executable : NULL);
	close(connection);
	bh_error_free(error);
	bh_replay_destroy(replay);
	_exit(0);
}

/* What the server says when it is ready, or can't be. */
static struct bh_error *hear_server(int pipe, struct place *place_ret)
{
	char text[2048];
	size_t length = 0;
	ssize_t count;

	while (length < sizeof(text) && (length < 2 || text[length - 1])) {
		count = read(pipe, text + length, sizeof(text) - length);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		length += (size_t)count;
	}
	if (length < 2)
		return bh_error_new(BH_ERR_INTERNAL,
				    "the replay ended before it could be connected to gdb");
	text[length < sizeof(text) ? length : sizeof(text) - 1] = '\0';
	if (text[0])
		return bh_error_new((enum bh_error_code)text[0], "%s", text + 1);
	fill_place(place_ret, text + 1);
	return NULL;
}

/* It ends by itself when the connection does; if not, it is ended. The kernel ends what it traces
 * with it. */
static void end_server(pid_t server)
{
	const struct timespec pause = {.tv_nsec = SERVER_END_POLL_MS * 1000000};

	for (int waited = 0; waited < SERVER_END_MS; waited += SERVER_END_POLL_MS) {
		if (waitpid(server, NULL, WNOHANG) != 0)
			return;
		nanosleep(&pause, NULL);
	}
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

/* --- gdb --- */

static void run_gdb(const struct bh_gdb_session *session, const struct place *place)
	__attribute__((noreturn));

static void run_gdb(const struct bh_gdb_session *session, const struct place *place)
{
	char source[4096], connect[256], go[256];
	size_t count = 0, more = 0;
	const char **arguments;

	while (session->arguments && session->arguments[more])
		more++;
	arguments = calloc(more + 16, sizeof(*arguments));
	if (!arguments)
		_exit(127);
	snprintf(source, sizeof(source), "source %s", session->plugin);
	snprintf(connect, sizeof(connect), "backhop connect %s", place->address.sun_path);
	arguments[count++] = "gdb";
	arguments[count++] = "-q";
	arguments[count++] = "-ex";
	arguments[count++] = source;
	arguments[count++] = "-ex";
	arguments[count++] = connect;
	if (session->at) {
		snprintf(go, sizeof(go), "goto %s", session->at);
		arguments[count++] = "-ex";
		arguments[count++] = go;
	}
	for (size_t i = 0; i < more; i++)
		arguments[count++] = session->arguments[i];
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	execv(session->gdb, (char *const *)arguments);
	_exit(127);
}

/* A handler can know whom to end by no other way: the server while it starts, then gdb. */
static volatile pid_t signalled;

static void pass_on(int number)
{
	if (signalled > 0)
		kill(signalled, number);
}

static void end_at_once(int number)
{
	if (signalled > 0)
		kill(signalled, SIGKILL);
}

static void handle_signals(void (*terminal)(int), void (*others)(int))
{
	struct sigaction action = {.sa_handler = terminal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGQUIT, &action, NULL);
	action.sa_handler = others;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static struct bh_error *watch_gdb(const struct bh_gdb_session *session, const struct place *place,
				  int *status_ret)
{
	int status;
	pid_t gdb;

	/* Ctrl-C at the terminal is gdb's; being told to end, we end gdb first. */
	handle_signals(SIG_IGN, SIG_IGN);
	gdb = fork();
	if (gdb == 0) {
		handle_signals(SIG_DFL, SIG_DFL);
		run_gdb(session, place);
	}
	if (gdb < 0)
		return bh_error_new(BH_ERR_MACHINE, "gdb can't be started: %s", strerror(errno));
	signalled = gdb;
	handle_signals(SIG_IGN, pass_on);
	while (waitpid(gdb, &status, 0) < 0 && errno == EINTR)
		;
	handle_signals(SIG_IGN, SIG_IGN);
	*status_ret = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return NULL;
}

static pid_t fork_server(const struct bh_gdb_session *session, int *pipe_ret)
{
	int ready[2];
	pid_t server;

	if (pipe(ready))
		return -1;
	fflush(NULL);
	server = fork();
	if (server == 0) {
		close(ready[0]);
		run_server(session, ready[1]);
	}
	close(ready[1]);
	if (server < 0)
		close(ready[0]);
	*pipe_ret = ready[0];
	return server;
}

struct bh_error *bh_gdb_session_run(const struct bh_gdb_session *session, int *status_ret)
{
	struct place place = {.folder = ""};
	struct bh_error *error;
	pid_t server;
	int pipe;

	server = fork_server(session, &pipe);
	if (server < 0)
		return bh_error_new(BH_ERR_MACHINE, "no process can be made: %s", strerror(errno));
	signalled = server;
	handle_signals(end_at_once, end_at_once);
	error = hear_server(pipe, &place);
	close(pipe);
	if (!error)
		error = watch_gdb(session, &place, status_ret);
	if (place.folder[0]) {
		/* gdb may have ended without connecting: then the server still waits for it. */
		if (access(place.address.sun_path, F_OK) == 0)
			kill(server, SIGKILL);
		remove_place(&place);
	}
	end_server(server);
	handle_signals(SIG_DFL, SIG_DFL);
	return error;
}
