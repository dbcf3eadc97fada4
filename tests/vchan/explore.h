/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs C functions as threads that switch only where they say so, in every order that leads to a new state. */
#ifndef TEST_EXPLORE_H
#define TEST_EXPLORE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Stateless search: each path runs from the start, a state is known by a hash of the memory that the test names and of
 * the threads' stacks. Dead stack slots may make equal states look different; that costs time only.
 */
#define EXPLORE_THREADS	   2
#define EXPLORE_STACK_SIZE 16384
#define EXPLORE_PATH_MAX   4096
#define EXPLORE_STATES_MAX (1u << 22)

enum explore_wait {
	EXPLORE_RUN,	 /* can go on */
	EXPLORE_EVENT,	 /* sleeps until its flag is set */
	EXPLORE_PATIENT, /* the same, or until the clock ends that: at any time */
	EXPLORE_DONE,
};

struct explore_thread {
	_Alignas(16) uint8_t stack[EXPLORE_STACK_SIZE];
	void *sp;
	void (*body)(int id);
	enum explore_wait wait;
	bool event;   /* pending */
	bool expired; /* woken by the clock */
};

struct explore {
	struct explore_thread threads[EXPLORE_THREADS];
	void *scheduler_sp;
	int current;
	/* choice at each step: thread, or thread + EXPLORE_THREADS to let its clock expire */
	uint8_t path[EXPLORE_PATH_MAX],
		open[EXPLORE_PATH_MAX]; /* open: choices not tried so far, as bits */
	unsigned depth;
	uint64_t *seen;
	uint64_t states, paths, ends;
	/* given by the test */
	void (*reset)(void);
	uint64_t (*hash)(uint64_t seed);
	void (*finished)(void);
	const char *failure;
};

static struct explore explore;

/* Saves the callee-saved registers on the stack and continues on another one. */
__attribute__((naked, noinline)) static void explore_switch(__attribute__((unused)) void **save_sp,
							    __attribute__((unused)) void *load_sp)
{
	__asm__("push %rbp\n\tpush %rbx\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
		"mov %rsp, (%rdi)\n\tmov %rsi, %rsp\n\t"
		"pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbx\n\tpop %rbp\n\tret");
}

static void explore_yield(void)
{
	struct explore_thread *t = &explore.threads[explore.current];

	explore_switch(&t->sp, explore.scheduler_sp);
}

/* Called by tests on violation: ends this path, then the search. */
static void explore_fail(const char *what)
{
	explore.failure = what;
	explore.threads[explore.current].wait = EXPLORE_DONE;
	explore_yield();
}

/* A step of the code under test: everything between two of these is atomic. */
static inline void explore_step(void)
{
	explore_yield();
}

/* Sleeps for this thread's event; false: the clock was faster. */
static bool explore_sleep(bool patient)
{
	struct explore_thread *t = &explore.threads[explore.current];

	t->wait = patient ? EXPLORE_PATIENT : EXPLORE_EVENT;
	explore_yield();
	t->wait = EXPLORE_RUN;
	if (t->expired) {
		t->expired = false;
		return false;
	}
	t->event = false;
	return true;
}

static void explore_entry(void)
{
	struct explore_thread *t = &explore.threads[explore.current];

	t->body(explore.current);
	t->wait = EXPLORE_DONE;
	explore_yield();
	abort();
}

static void explore_start(void)
{
	int i;

	explore.reset();
	for (i = 0; i < EXPLORE_THREADS; i++) {
		struct explore_thread *t = &explore.threads[i];
		uint64_t *top = (uint64_t *)(t->stack + EXPLORE_STACK_SIZE);

		memset(t->stack, 0, sizeof(t->stack));
		/* As after a call: the entry finds its stack misaligned by 8. */
		top[-2] = (uint64_t)(uintptr_t)explore_entry;
		t->sp = top - 8;
		t->wait = EXPLORE_RUN;
		t->event = t->expired = false;
	}
}

static uint64_t explore_mix(uint64_t h, const void *data, size_t size)
{
	const uint8_t *p = data;
	uint64_t word;

	for (; size >= 8; p += 8, size -= 8) {
		memcpy(&word, p, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	for (; size; p++, size--)
		h = (h ^ *p) * 0x100000001b3u;
	return h ^ (h >> 32);
}

static uint64_t explore_hash(void)
{
	uint64_t h = explore.hash(0x1234567);
	int i;

	for (i = 0; i < EXPLORE_THREADS; i++) {
		struct explore_thread *t = &explore.threads[i];
		uint8_t *sp = t->sp;

		h = explore_mix(h, &t->wait, sizeof(t->wait));
		h = h * 4 + t->event * 2u + t->expired;
		if (t->wait != EXPLORE_DONE)
			h = explore_mix(h, sp, (size_t)(t->stack + sizeof(t->stack) - sp));
	}
	return h ? h : 1;
}

/* True if it was not there. */
static bool explore_remember(uint64_t h)
{
	size_t mask = EXPLORE_STATES_MAX - 1, i = h & mask;

	for (; explore.seen[i]; i = (i + 1) & mask)
		if (explore.seen[i] == h)
			return false;
	if (++explore.states > EXPLORE_STATES_MAX / 2) {
		explore.failure = "more states than there is room for";
		return false;
	}
	explore.seen[i] = h;
	return true;
}

static uint8_t explore_choices(void)
{
	uint8_t choices = 0;
	int i;

	for (i = 0; i < EXPLORE_THREADS; i++) {
		struct explore_thread *t = &explore.threads[i];

		if (t->wait == EXPLORE_RUN || (t->wait != EXPLORE_DONE && t->event))
			choices |= 1u << i;
		if (t->wait == EXPLORE_PATIENT && !t->event)
			choices |= 1u << (i + EXPLORE_THREADS);
	}
	return choices;
}

static void explore_run(uint8_t choice)
{
	int id = choice % EXPLORE_THREADS;

	explore.threads[id].expired = choice >= EXPLORE_THREADS;
	explore.current = id;
	explore_switch(&explore.scheduler_sp, explore.threads[id].sp);
}

static bool explore_all_done(void)
{
	int i;

	for (i = 0; i < EXPLORE_THREADS; i++)
		if (explore.threads[i].wait != EXPLORE_DONE)
			return false;
	return true;
}

/* One path: replays the first `depth` choices, then goes on to the end or to a known state. */
static void explore_path(void)
{
	unsigned i;

	explore.paths++;
	explore_start();
	for (i = 0; i < explore.depth; i++)
		explore_run(explore.path[i]);
	while (!explore.failure) {
		uint8_t choices = explore_choices();

		if (!choices) {
			if (!explore_all_done())
				explore.failure = "everybody sleeps";
			else
				explore.finished();
			explore.ends++;
			return;
		}
		if (!explore_remember(explore_hash()))
			return;
		if (explore.depth == EXPLORE_PATH_MAX) {
			explore.failure = "a path without end";
			return;
		}
		explore.path[explore.depth] = (uint8_t)__builtin_ctz(choices);
		explore.open[explore.depth] = choices & (choices - 1);
		explore_run(explore.path[explore.depth++]);
	}
}

/* The next path: the deepest choice with an alternative. */
static bool explore_next(void)
{
	while (explore.depth) {
		uint8_t *open = &explore.open[explore.depth - 1];

		if (*open) {
			explore.path[explore.depth - 1] = (uint8_t)__builtin_ctz(*open);
			*open &= *open - 1;
			return true;
		}
		explore.depth--;
	}
	return false;
}

/* NULL, or what went wrong; then explore.path has the way there. */
static const char *explore_all(void (*first)(int), void (*second)(int), void (*reset)(void),
			       uint64_t (*hash)(uint64_t), void (*finished)(void))
{
	explore.threads[0].body = first;
	explore.threads[1].body = second;
	explore.reset = reset;
	explore.hash = hash;
	explore.finished = finished;
	explore.failure = NULL;
	explore.depth = 0;
	explore.states = explore.paths = explore.ends = 0;
	explore.seen = calloc(EXPLORE_STATES_MAX, sizeof(*explore.seen));
	if (!explore.seen)
		return "no memory";
	do
		explore_path();
	while (!explore.failure && explore_next());
	free(explore.seen);
	if (explore.failure) {
		unsigned i;

		printf("%s; way there:", explore.failure);
		for (i = 0; i < explore.depth; i++)
			printf(" %u", explore.path[i]);
		printf("\n");
	}
	return explore.failure;
}

#endif
