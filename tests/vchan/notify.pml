/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The notification protocol of one ring: when each end asks for events, sends them and sleeps (docs/vchan-protocol.md). */

/*
 * Parameters, from the command line:
 *   SIZE, TOTAL      ring and stream, in units
 *   WRITER, READER   what the ends know: OLD (bits alone) or NEW (bits and targets)
 *   NEED             units that the reader insists on at once (1: a stream)
 *   WAIT_W, WAIT_R   whether new ends ask for most of a ring: 0 no, 1 until a clock ends that, 2 without a clock
 *   BUG              1…5: a mistake that the checker has to find
 */
#define OLD 0
#define NEW 1

#ifndef BUG
#define BUG 0
#endif
#ifndef NEED
#define NEED 1
#endif
#ifndef WAIT_W
#define WAIT_W 0
#endif
#ifndef WAIT_R
#define WAIT_R 0
#endif

#define MOST (SIZE - SIZE / 4)

/* The page. Indices do not wrap here: the wrapping of 32 bits is arithmetic, tested elsewhere. */
byte prod = 0, cons = 0;
bool write_bit = true, read_bit = false;
byte prod_target = 1, cons_target = 0;
bool reader_live = true, writer_live = true;

/* Pending events: more than one at a time are one. */
bool event_to_reader = false, event_to_writer = false;

byte got = 0;

inline tell_reader() {
	if
	:: write_bit ->
		if
		:: READER == NEW && WRITER == NEW && prod < prod_target
		:: else ->
			atomic { bit_was = write_bit; write_bit = false }
			if
			:: bit_was -> event_to_reader = true
			:: else
			fi
		fi
	:: else
	fi
}

inline tell_writer() {
	if
	:: read_bit ->
		if
		:: READER == NEW && WRITER == NEW && cons < cons_target
		:: else ->
			atomic { bit_was = read_bit; read_bit = false }
			if
			:: bit_was -> event_to_writer = true
			:: else
			fi
		fi
	:: else
	fi
}

active proctype writer() {
	byte space, written = 0, target;
	bool bit_was, most;

	do
	:: written == TOTAL -> break
	:: written < TOTAL ->
		space = SIZE - (written - cons);
		if
		:: space == 0 ->
			most = WAIT_W > 0 && WRITER == NEW && READER == NEW;
retry_write:
			target = (most -> MOST : 1);
			if
			:: BUG == 1 -> space = SIZE - (written - cons)
			:: else
			fi;
			cons_target = written - SIZE + target;
			read_bit = true;
			if
			:: BUG != 1 -> space = SIZE - (written - cons)
			:: else
			fi;
			if
			:: space == 0 ->
				if
				:: atomic { event_to_writer -> event_to_writer = false }
				:: most && WAIT_W == 1 -> most = false; space = SIZE - (written - cons);
					if
					:: space == 0 -> goto retry_write
					:: else
					fi
				fi
			:: else
			fi
		:: else
		fi;
		space = SIZE - (written - cons);
		if
		:: space > 0 ->
			/* All of it, or less because the caller has no more. */
			if
			:: written = written + 1
			:: space <= TOTAL - written -> written = written + space
			fi;
			if
			:: BUG == 2 -> tell_reader(); prod = written
			:: else -> prod = written; tell_reader()
			fi
		:: else
		fi
	od;
	/* Closing: the byte, then an event without being asked. */
	if
	:: BUG == 3
	:: else -> writer_live = false; event_to_reader = true
	fi
}

active proctype reader() {
	byte ready, target, want;
	bool bit_was, most, open;

	do
	:: true ->
		want = (NEED < TOTAL - got -> NEED : (TOTAL - got > 0 -> TOTAL - got : 1));
		open = (BUG == 4 -> true : writer_live);
		ready = prod - got;
		if
		:: ready >= want -> skip
		:: else ->
			if
			:: BUG == 4 -> open = writer_live
			:: else
			fi;
			if
			:: !open -> assert(got == TOTAL); break
			:: else
			fi;
			most = WAIT_R > 0 && READER == NEW && WRITER == NEW;
			target = (most && MOST > want -> MOST : want);
			prod_target = got + target;
			write_bit = true;
			ready = prod - got;
			if
			:: ready < want ->
				/* The writer may wait for more space than there is, while there is some. */
				if
				:: BUG != 5 && READER == NEW && WRITER == NEW && read_bit && ready < SIZE ->
					atomic { bit_was = read_bit; read_bit = false }
					if
					:: bit_was -> event_to_writer = true
					:: else
					fi
				:: else
				fi;
				if
				:: atomic { event_to_reader -> event_to_reader = false }
				:: most && WAIT_R == 1
				fi
			:: else
			fi
		fi;
		ready = prod - got;
		if
		:: ready >= want ->
			if
			:: got = got + want
			:: got = got + ready
			fi;
			cons = got;
			tell_writer()
		:: else
		fi
	od;
	reader_live = false
}

/* Everything arrives, under no other assumption than that an end that can run does run. */
ltl arrives { <> (got == TOTAL && !reader_live) }
