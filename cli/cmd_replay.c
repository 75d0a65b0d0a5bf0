/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `backhop replay`: replays a trace under gdb, or serves it to a gdb that runs elsewhere. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/gdb_session.h"
#include "cli/kernel_path.h"
#include "cli/rr.h"
#include "cli/scenario_program.h"
#include "replayer/engine.h"
#include "replayer/gdb_server.h"
#include "replayer/lineage.h"
#include "simulator/build.h"
#include "snapshots/snapshot.h"
#include "traces/trace.h"

/* --- with a gdb of our own --- */

/* The first executable of this name in PATH, or NULL; the caller frees it. */
static char *find_program(const char *name)
{
	const char *folders = getenv("PATH");

	while (folders && *folders) {
		size_t length = strcspn(folders, ":");
		char *path = NULL;

		if (length && asprintf(&path, "%.*s/%s", (int)length, folders, name) >= 0 &&
		    access(path, X_OK) == 0)
			return path;
		free(path);
		folders += length + (folders[length] == ':');
	}
	return NULL;
}

static struct bh_error *debug(struct bh_gdb_session *session, int *status_ret)
{
	struct bh_error *error = NULL;
	char *gdb = find_program("gdb");
	char *plugin = bh_find_installed("gdb-plugin/load.py");

	if (!gdb)
		error = bh_error_new(BH_ERR_MACHINE, "gdb isn't installed; install it with: "
						     "apt-get install gdb");
	else if (!plugin)
		error = bh_error_new(BH_ERR_MACHINE,
				     "the gdb plugin isn't beside the program nor in "
				     "../lib/backhop; install it with: make install");
	session->gdb = gdb;
	session->plugin = plugin;
	if (!error)
		error = bh_gdb_session_run(session, status_ret);
	free(gdb);
	free(plugin);
	return error;
}

struct arguments {
	const char *at, *serve, *node;
	const char *file;
	char **gdb; /* what follows "--", NULL-terminated; NULL: nothing */
};

/* --- for a gdb elsewhere --- */

/* [HOST:]PORT; HOST is a numeric IPv4 address or "localhost", which is also the default. */
static struct bh_error *parse_address(const char *text, struct sockaddr_in *address_ret)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : text;
	char host[64] = "127.0.0.1";
	uint64_t number;

	if (colon)
		snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	if (!strcmp(host, "localhost"))
		snprintf(host, sizeof(host), "127.0.0.1");
	memset(address_ret, 0, sizeof(*address_ret));
	address_ret->sin_family = AF_INET;
	if (!bh_cli_parse_u64(port, &number) || number > 65535 ||
	    inet_pton(AF_INET, host, &address_ret->sin_addr) != 1)
		return bh_error_new(
			BH_ERR_USAGE,
			"--serve wants [HOST:]PORT, such as 2345 or 127.0.0.1:2345, with "
			"HOST in numbers; not \"%s\"",
			text);
	address_ret->sin_port = htons((uint16_t)number);
	return NULL;
}

static struct bh_error *listen_on(const struct sockaddr_in *wanted, int *listener_ret)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	char host[INET_ADDRSTRLEN];
	struct sockaddr_in address = *wanted;
	socklen_t length = sizeof(address);

	inet_ntop(AF_INET, &address.sin_addr, host, sizeof(host));
	if (listener < 0)
		return bh_error_new(BH_ERR_MACHINE, "no socket can be made: %s", strerror(errno));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &length)) {
		struct bh_error *error = bh_error_new(
			BH_ERR_MACHINE, "can't listen on %s:%u: %s; choose another port", host,
			ntohs(wanted->sin_port), strerror(errno));
		close(listener);
		return error;
	}
	bh_cli_note(
		"serving on %s:%u; in gdb say: source gdb-plugin/load.py, then: backhop connect "
		"%s:%u",
		host, ntohs(address.sin_port), host, ntohs(address.sin_port));
	*listener_ret = listener;
	return NULL;
}

static struct bh_error *serve_one(struct bh_replay *replay, const struct sockaddr_in *address)
{
	char executable[4096] = "";
	struct bh_error *error;
	int listener, connection, one = 1;

	BH_TRY(listen_on(address, &listener));
	do {
		connection = accept(listener, NULL, NULL);
	} while (connection < 0 && errno == EINTR);
	close(listener);
	if (connection < 0)
		return bh_error_new(BH_ERR_MACHINE, "no connection: %s", strerror(errno));
	/* Packets are small and each waits for the one before. */
	setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (readlink("/proc/self/exe", executable, sizeof(executable) - 1) < 0)
		executable[0] = '\0';
	error = bh_gdb_server_run(replay, connection, executable[0] ? executable : NULL);
	close(connection);
	return error;
}

static struct bh_error *serve(const struct bh_trace *trace, const struct arguments *arguments,
			      struct bh_position *at)
{
	struct sockaddr_in address;
	struct bh_replay *replay;
	struct bh_error *error = NULL;
	struct bh_stop stop;

	BH_TRY(parse_address(arguments->serve, &address));
	BH_TRY(bh_gdb_session_replay(trace, arguments->node, &replay));
	if (at)
		error = bh_replay_place(replay, arguments->at, at);
	if (!error && at)
		error = bh_replay_seek(replay, *at, &stop);
	if (!error)
		error = serve_one(replay, &address);
	bh_replay_destroy(replay);
	return error;
}

/* --- the command --- */

/* bh_cli_parse() would put together what is before and behind "--". */
static char **split_at_dashes(int *argc, char **argv)
{
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			*argc = i;
			argv[i] = NULL;
			return argv + i + 1;
		}
	}
	return NULL;
}

static int parse(int argc, char **argv, struct arguments *arguments_ret)
{
	const struct bh_option options[] = {{"at", NULL, &arguments_ret->at},
					    {"serve", NULL, &arguments_ret->serve},
					    {"node", NULL, &arguments_ret->node}};
	int status;

	arguments_ret->gdb = split_at_dashes(&argc, argv);
	status = bh_cli_parse(&bh_command_replay, options, 3, &argc, argv);
	if (status >= 0)
		return status;
	if (argc < 2)
		return bh_cli_usage(&bh_command_replay, "name a trace");
	if (argc > 2)
		return bh_cli_usage(&bh_command_replay,
				    "name one trace, not %d; what is meant for gdb comes behind --",
				    argc - 1);
	if (arguments_ret->serve && arguments_ret->gdb)
		return bh_cli_usage(&bh_command_replay,
				    "--serve starts no gdb, so there can be nothing behind --");
	arguments_ret->file = argv[1];
	return -1;
}

static struct bh_error *replay(const struct arguments *arguments, const struct bh_trace *trace,
			       int *status_ret)
{
	struct bh_gdb_session session = {
		.trace = trace,
		.at = arguments->at,
		.node = arguments->node,
		.arguments = arguments->gdb,
	};
	struct bh_position position;

	if (arguments->at)
		BH_TRY(bh_position_parse(trace, arguments->at, &position));
	*status_ret = BH_EXIT_PASS;
	if (arguments->serve)
		return serve(trace, arguments, arguments->at ? &position : NULL);
	return debug(&session, status_ret);
}

static int cmd_replay(int argc, char **argv)
{
	struct arguments arguments = {0};
	struct bh_trace *trace;
	struct bh_error *error;
	int status = parse(argc, argv, &arguments);

	if (status >= 0)
		return status;
	if (bh_rr_is_recording(arguments.file)) {
		if (arguments.at || arguments.serve || arguments.node)
			return bh_cli_usage(&bh_command_replay,
					    "what rr recorded has no --at, --node or --serve");
		return bh_cli_fail(bh_rr_replay(arguments.file, arguments.gdb));
	}
	if (!bh_build_registered())
		bh_snapshots_fix_addresses(bh_cli_arguments());
	error = bh_trace_open_for_replay(arguments.file, &trace);
	if (error)
		return bh_cli_fail(error);
	error = bh_trace_hand_over(trace);
	if (!error)
		error = replay(&arguments, trace, &status);
	bh_trace_close(trace);
	return error ? bh_cli_fail(error) : status;
}

const struct bh_command bh_command_replay = {
	.name = "replay",
	.synopsis = "[--at PLACE] [--node NODE] [--serve [HOST:]PORT] FILE [-- GDB-ARGUMENTS]",
	.summary = "run a trace again under gdb, forwards and backwards",
	.help = "  --at PLACE           go there first: an event's number, a time with its unit "
		"(5.02s),\n"
		"                       PACKET.HOP, start, end or failure\n"
		"  --node NODE          replay only this node, with the frames that it received: "
		"the "
		"others\n"
		"                       don't exist. In a run of many nodes that is far faster and "
		"smaller;\n"
		"                       the first time, all run once\n"
		"  --serve [HOST:]PORT  start no gdb, but wait for one connection of a gdb "
		"elsewhere;\n"
		"                       HOST is 127.0.0.1 if it isn't given. Who connects can read "
		"all\n"
		"                       that the replay holds\n\n"
		"FILE may be a folder that `backhop record` wrote with rr: then rr replays it.\n"
		"What follows -- is given to gdb, for unattended use for example:\n"
		"  backhop replay FILE -- -batch -ex 'goto failure' -ex bt\n\n"
		"In gdb, `help backhop` lists the commands. Exit status: gdb's; 2 bad input (a "
		"recorded\n"
		"file has changed, say), 4 the machine lacks something.",
	.run = cmd_replay,
};
