/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of qrexec-daemon share: the state of one qube's end in dom0. */
#ifndef QREXEC_BROKER_H
#define QREXEC_BROKER_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

#include "../lib/channel.h"
#include "../lib/rate.h"
#include "../lib/service.h"
#include "../policy/policy.h"

/* Local programs that want something of the qube, and calls of the qube that wait for something. */
#define MAX_CLIENTS	512
#define MAX_CALLS	256
#define MAX_PORTS	768 /* data ports in use, over all peers */
#define MAX_QUESTIONS	8   /* on the user's screen at once, from this qube */
#define MAX_NOTES	4   /* notifications at once; more are dropped, as nobody could read them */
#define MAX_DISPOSABLES 32  /* made for calls of this qube, at once: they take the memory of all */
/* Services of dom0 at once. Each is a process, and may be one of the few hundred that the X server takes. */
#define MAX_SERVED	16

/* So many notifications in a row, and one in so many milliseconds; of lines in the log. */
#define NOTES_BURST   10
#define NOTES_PAUSE   5000
#define LINES_BURST   500
#define LINES_PAUSE   500
#define LINE_MAX_SIZE 512

#define CONNECT_SECONDS 60
#define START_SECONDS	600

struct client {
	bool used, greeted;
	struct channel channel;
};

/* A program of ours whose answer is awaited: the prompt, or the one that starts qubes. */
#define HELPER_ANSWER_MAX 255
struct helper {
	pid_t pid; /* 0: none, or it has ended */
	int out;   /* -1: nothing more to read */
	int status;
	size_t length;
	char answer[HELPER_ANSWER_MAX + 1];
};

enum call_state {
	CALL_FREE,
	CALL_ASKING,	 /* the user has to answer */
	CALL_STARTING,	 /* the target is being started, or made */
	CALL_CONNECTING, /* the daemon of the target has to allocate the port */
};

/* A call of the qube that is on its way. */
struct call {
	enum call_state state;
	bool greeted, notify, autostart, disposable;
	long long deadline;	     /* 0: none */
	struct wire_trigger trigger; /* its service is `service` */
	char *service, *user, *command;
	struct policy_answer answer; /* of an open question; its rule is gone */
	char target[POLICY_TARGET_SIZE];
	struct helper helper;
	struct channel channel;
};

struct data_port {
	bool used;
	int peer, index;
	pid_t child; /* that serves the call in dom0, or 0: the port is in use as long as it lives */
};

/* One that was made for a call: it goes when the call is over. */
struct disposable {
	char name[WORLD_NAME_SIZE];
	uint32_t domain, port;
};

struct broker {
	int domain, listener, signals;
	bool accepting;
	const char *name, *user, *socket_dir, *qubes, *legacy_dir, *prompt, *starter;
	const char *policy_dirs[SERVICE_DIRS_MAX];
	size_t policy_dir_count;
	struct service_dirs dirs;
	struct channel control;
	struct data_port ports[MAX_PORTS];
	struct client clients[MAX_CLIENTS];
	struct call calls[MAX_CALLS];
	struct disposable disposables[MAX_DISPOSABLES];
	pid_t notes[MAX_NOTES];
	struct rate note_rate;
};
extern struct broker broker;

/* A line on standard error; a long one is cut, and one of too many is left out. */
__attribute__((format(printf, 1, 2))) void broker_log(const char *format, ...);

/* Ports: the number of a free one for calls with this peer, or -1. What frees one comes from the qube. */
int port_allocate(int peer);
void port_free(uint32_t untrusted_peer, uint32_t untrusted_port);
/* A port of dom0 is the child's from now on; it is free when the child has ended, whatever the qube says. */
void port_set_child(int port, pid_t child);
void port_reaped(pid_t child);
/* How many ports children have. */
unsigned int port_children(void);

/* Runs a program with two words and a text as its standard input, and reads what it says. 0 or -errno. */
int helper_start(struct helper *helper, const char *program, const char *verb, const char *word,
		 const char *input);
/* True: it has ended; then `status` is 0 if it was content, and `answer` its first line. */
bool helper_ended(struct helper *helper);
void helper_reaped(struct helper *helper, pid_t pid, int status);
void helper_finish(struct helper *helper);
/* One whose end is of no interest. Its pid, or -1. */
pid_t helper_run(const char *program, const char *verb, const char *word, const char *input);

/* JSON for the prompt; to be freed. NULL: no memory. */
char *question_text(const struct call *call, const struct world *world);
char *note_text(const char *resolution, const char *service, const char *target);

/* Judges a call: fills call->answer and what the rule says. False: refused. */
struct world *broker_world(void);
bool judge(struct call *call, struct world *world);

/* Functions return 0, or -errno when the qube's control channel is of no more use. */
int calls_handle_control(const struct wire_header *header, uint8_t *body);
int call_serve(struct call *call);
int call_late(struct call *call);
void calls_reaped(pid_t pid, int status);
/* For poll(): the descriptor that a call waits for, or -1. */
int call_fd(const struct call *call, short *ret_events);
void calls_finish(void);

void clients_accept(void);
int client_serve(struct client *client);

#endif
