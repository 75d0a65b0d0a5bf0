/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the gdb server share. gdb_server.c reads packets and sends replies; each
 * handler, in the file for its subject, takes a packet apart and puts the reply's payload into
 * server->reply (an empty one tells gdb that the packet isn't supported).
 */
#ifndef BH_REPLAYER_GDB_SERVER_STATE_H
#define BH_REPLAYER_GDB_SERVER_STATE_H

#include <signal.h>
#include <sys/user.h>

#include "common/cursor.h"
#include "replayer/engine.h"
#include "replayer/gdb_target_xml.h"
#include "replayer/packets.h"
#include "replayer/probe.h"
#include "replayer/rsp.h"

struct bh_json;
struct bh_gdb_server;

/* One agent expression: a breakpoint's condition. */
struct bh_gdb_condition {
	uint8_t *code;
	size_t length;
};

/* gdb may have both kinds at one address; the engine has one. */
#define BH_GDB_SOFTWARE 1u
#define BH_GDB_HARDWARE 2u

struct bh_gdb_breakpoint {
	struct bh_gdb_server *server; /* the engine hands out this structure as its argument */
	uint64_t address;
	int is_planted;	    /* the engine has it: it can hold, and there is memory */
	unsigned int kinds; /* BH_GDB_SOFTWARE, BH_GDB_HARDWARE */
	struct bh_gdb_condition *conditions; /* stop if one holds, or if there is none */
	size_t condition_count;
	struct bh_probe_code *codes; /* the same, for the engine */
	struct bh_probe_condition bytecode;
};

struct bh_gdb_watchpoint {
	uint64_t address;
	size_t length;
	enum bh_watch_kind kind;
};

/* The events at which `packet break` stops: places of the packets that its filter matches. */
struct bh_gdb_packet_break {
	uint64_t *events; /* ascending; NULL: the number is free */
	size_t count;
};
/* A bit each in $packet_break. */
#define BH_GDB_MAX_PACKET_BREAKS 63

/* Where a node's kernel delivers a signal to a program; offsets in its structures. */
struct bh_gdb_signal_place {
	uint64_t address;
	uint64_t task_signal, group_exit_code;
};

#define BH_GDB_MAX_FILES 16
/* gdb reads the whole list at each stop. Up to so many threads it has all of them, above that
 * kernel threads that wait only when they were shown before. */
#define BH_GDB_LIST_ALL 300

struct bh_gdb_server {
	struct bh_replay *replay;
	const char *executable;
	int socket;
	int is_done;	  /* the debugger left: its last packet is still answered */
	int has_no_reply; /* … unless it is k */
	int is_lost;	  /* the connection is, or memory is short: nothing can be sent */
	struct bh_error
		*error; /* the first fault of the replay itself, told when the server ends */

	struct bh_rsp_reader reader;
	struct bh_buffer reply; /* payload being put together */
	struct bh_buffer sent;	/* the last frame, for a '-' */
	int is_ack_off;

	int64_t general_thread; /* Hg: whose registers and memory; 0: the stopped one */
	int64_t resume_thread;	/* Hc: who may stop in the next bs or bc; 0 or -1: any */
	int64_t only_thread;	/* while resumed: breakpoints in others are passed; 0: none is */
	struct bh_stop stop;	/* the last one; its thread is what gdb calls current */
	uint64_t progress_ns;	/* host time at which a long move is next told of; 0: none is on */
	int has_target;		/* a goto is armed: the next resume goes there */
	struct bh_position target;
	int has_told_branch;	 /* the user knows that changes are thrown away */
	int has_pending_stop;	 /* gdb was sent for the library list first: see resume */
	uint64_t library_digest; /* of the list that gdb has; 0: it has never asked */
	int stops_at_images;	 /* moves are interrupted for it where the list changes */

	uint64_t stop_signals; /* of programs, at which a move stops: bit 0 is signal 1 */
	struct bh_gdb_signal_place *signal_places; /* one a node */
	size_t signal_place_count;
	siginfo_t siginfo;   /* of the last stop; zeros if its reason isn't a signal */
	char *signal_fault;  /* why none can be stopped at, until the user knows; or NULL */
	int has_told_signal; /* the user knows that none is sent */

	struct bh_gdb_breakpoint **breakpoints;
	size_t breakpoint_count;
	struct bh_gdb_watchpoint *watchpoints;
	size_t watchpoint_count;

	uint64_t *shown; /* threads that gdb has been shown by name: they stay in the list */
	size_t shown_count, shown_capacity;

	struct bh_packets *packets; /* made when it is first asked for */
	struct bh_gdb_packet_break packet_breaks[BH_GDB_MAX_PACKET_BREAKS];

	int files[BH_GDB_MAX_FILES]; /* host descriptors of vFile:open, or -1 */
};

typedef void bh_gdb_handler(struct bh_gdb_server *server, struct bh_rsp_scan *scan);

/* --- gdb_server.c --- */

/* "E.sentence"; gdb prints the sentence. */
void bh_gdb_refuse(struct bh_gdb_server *server, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The same, from an error that is freed. */
void bh_gdb_refuse_error(struct bh_gdb_server *server, struct bh_error *error);
/* Text on the user's terminal; only while gdb waits for a stop. */
void bh_gdb_print(struct bh_gdb_server *server, const char *text);
/* A move begins, or (0) has ended: a long one tells on the console how far it is. */
void bh_gdb_progress(struct bh_gdb_server *server, int is_moving);
/* Looks for a Ctrl-C while the replay moves; given to bh_replay_set_poll(). */
int bh_gdb_poll(void *server);
/* General thread as the engine counts: never 0. */
uint64_t bh_gdb_general_thread(const struct bh_gdb_server *server);
/* A thread that gdb was told of or has selected stays in the list as long as it exists. */
void bh_gdb_show_thread(struct bh_gdb_server *server, uint64_t thread);
/* Is it in the list, which has so many threads altogether? */
int bh_gdb_is_listed(const struct bh_gdb_server *server, const struct bh_replay_thread *thread,
		     size_t count);
/* The engine's entry for a thread; NULL if it doesn't exist now. */
const struct bh_replay_thread *bh_gdb_find_thread(struct bh_gdb_server *server, uint64_t thread);

/* --- gdb_server_resume.c --- */

bh_gdb_handler bh_gdb_why;	/* ? */
bh_gdb_handler bh_gdb_vcont;	/* vCont;… */
bh_gdb_handler bh_gdb_continue; /* c, C */
bh_gdb_handler bh_gdb_step;	/* s, S */
bh_gdb_handler bh_gdb_reverse;	/* bc, bs */
bh_gdb_handler bh_gdb_restart;	/* vRun */
/* What a user has to know of a throw-away branch; once a session. */
extern const char bh_gdb_branch_note[];
/* Makes the next resume a move to position. */
void bh_gdb_arm(struct bh_gdb_server *server, struct bh_position position);

/* --- gdb_server_signal.c --- */

bh_gdb_handler bh_gdb_pass_signals; /* QPassSignals */
/* gdb's number of a signal. */
unsigned int bh_gdb_signal(int number);
/* If the last stop is where a program gets a signal, makes it a stop for that signal. */
void bh_gdb_signal_met(struct bh_gdb_server *server);
/* gdb resumes, with a signal by its number, or 0: tells the user what comes of that. */
void bh_gdb_signal_sent(struct bh_gdb_server *server, uint64_t gdb_number);
/* $_siginfo */
struct bh_error *bh_gdb_siginfo(struct bh_gdb_server *server, struct bh_buffer *document);
/* After a breakpoint at address was removed: if signals are met there, they are again. */
struct bh_error *bh_gdb_signal_place_restore(struct bh_gdb_server *server, uint64_t address);
void bh_gdb_signals_free(struct bh_gdb_server *server);

/* --- gdb_server_registers.c --- */

/* Everything that the registers of a thread are taken from. */
struct bh_gdb_snapshot {
	struct user_regs_struct registers;
	struct user_fpregs_struct fp;
	int is_running; /* has the CPU, so that all of registers is valid */
	int has_fp;
	uint64_t position[BH_GDB_POSITION_COUNT];
};

/* Non-zero if the thread doesn't exist or its registers can't be read. */
int bh_gdb_snapshot_take(struct bh_gdb_server *server, uint64_t thread, int with_fp,
			 struct bh_gdb_snapshot *snapshot_ret);
/* The value of a general register of the thread that has the CPU, or of a part of the position that
 * doesn't depend on who that is. Non-zero: it is none of these. */
int bh_gdb_register_here(struct bh_gdb_server *server, unsigned int number, uint64_t *value_ret);
/* Little-endian bytes of a register, at most 16. Returns its size; 0: no value now. */
size_t bh_gdb_register_value(const struct bh_gdb_snapshot *snapshot, unsigned int number,
			     uint8_t *bytes_ret);
bh_gdb_handler bh_gdb_registers_read;  /* g */
bh_gdb_handler bh_gdb_register_read;   /* p */
bh_gdb_handler bh_gdb_register_write;  /* P */
bh_gdb_handler bh_gdb_registers_write; /* G */

/* --- gdb_server_breakpoint.c --- */

bh_gdb_handler bh_gdb_point_insert; /* Z0 to Z4 */
bh_gdb_handler bh_gdb_point_remove; /* z0 to z4 */
/* The breakpoint planted at address, or NULL. */
struct bh_gdb_breakpoint *bh_gdb_breakpoint_find(struct bh_gdb_server *server, uint64_t address);
/* Plants those whose memory has come into being; after each move. */
void bh_gdb_breakpoints_replant(struct bh_gdb_server *server);
/* The one of `packet break`, all of them, or NULL; and where it stops next, 0: nowhere. */
struct bh_gdb_breakpoint *bh_gdb_packet_breakpoint(struct bh_gdb_server *server);
uint64_t bh_gdb_packet_breakpoint_next(struct bh_gdb_server *server, struct bh_position from,
				       enum bh_direction direction);
/* Does it stop here and now? */
int bh_gdb_breakpoint_holds(struct bh_gdb_breakpoint *breakpoint);
/* The watchpoint that covers address; NULL if none does. */
const struct bh_gdb_watchpoint *bh_gdb_watchpoint_find(const struct bh_gdb_server *server,
						       uint64_t address);
/* Moves are to stop where the list of images differs from the one that gdb has. */
struct bh_error *bh_gdb_stop_at_images(struct bh_gdb_server *server, int is_wanted);
void bh_gdb_points_free(struct bh_gdb_server *server);

/* --- gdb_server_query.c --- */

bh_gdb_handler bh_gdb_supported;	   /* qSupported */
bh_gdb_handler bh_gdb_thread_list;	   /* qfThreadInfo */
bh_gdb_handler bh_gdb_thread_extra;	   /* qThreadExtraInfo */
bh_gdb_handler bh_gdb_thread_alive;	   /* T */
bh_gdb_handler bh_gdb_memory_read;	   /* m */
bh_gdb_handler bh_gdb_memory_binary;	   /* x */
bh_gdb_handler bh_gdb_memory_write;	   /* M */
bh_gdb_handler bh_gdb_memory_write_binary; /* X */
bh_gdb_handler bh_gdb_memory_search;	   /* qSearch:memory */
bh_gdb_handler bh_gdb_monitor;		   /* qRcmd */

/* --- gdb_server_xfer.c --- */

bh_gdb_handler bh_gdb_xfer; /* qXfer:…:read */
/* Identifies the images that the list shows now; never 0. */
uint64_t bh_gdb_library_digest(struct bh_gdb_server *server);

/* --- gdb_server_file.c --- */

bh_gdb_handler bh_gdb_file; /* vFile:… */
void bh_gdb_files_close(struct bh_gdb_server *server);

/* --- gdb_server_private.c --- */

bh_gdb_handler bh_gdb_private; /* qBackhop:…, QBackhop:… */
/* Destroys json. */
void bh_gdb_reply_json(struct bh_gdb_server *server, struct bh_json *json);
void bh_gdb_add_node(struct bh_gdb_server *server, struct bh_json *json, uint32_t node);
void bh_gdb_add_event(struct bh_gdb_server *server, struct bh_json *json,
		      const struct bh_event *event);

/* --- gdb_server_packets.c --- */

bh_gdb_handler bh_gdb_packets_list;   /* qBackhop:packets:… */
bh_gdb_handler bh_gdb_packet_show;    /* qBackhop:packet:… */
bh_gdb_handler bh_gdb_packet_hop;     /* qBackhop:packet-hop:… */
bh_gdb_handler bh_gdb_packet_trace;   /* qBackhop:packet-trace:… */
bh_gdb_handler bh_gdb_packet_break;   /* QBackhop:packet-break:… */
bh_gdb_handler bh_gdb_packet_unbreak; /* QBackhop:packet-unbreak:… */
/* PACKET.HOP of a packet whose id the trace alone doesn't know: a fragment's, say. The error is
 * what bh_position_parse() said; it is given back if this finds nothing either. */
struct bh_error *bh_gdb_packet_position(struct bh_gdb_server *server, const char *text,
					struct bh_error *error, struct bh_position *position_ret);
/* A bit for each packet break that an event is a place of. */
uint64_t bh_gdb_packet_breaks(const struct bh_gdb_server *server, uint64_t event);
/* The next place of any of them in a direction from a position; 0: there is none. */
uint64_t bh_gdb_packet_break_next(const struct bh_gdb_server *server, struct bh_position from,
				  enum bh_direction direction);
void bh_gdb_packets_free(struct bh_gdb_server *server);

#endif
