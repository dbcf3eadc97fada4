/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is typed at the serial console: for dom0, or debug keys. */
#include <bulkhead/console.h>
#include <bulkhead/debug_keys.h>
#include <bulkhead/log.h>
#include <bulkhead/spinlock.h>
#include <bulkhead/work.h>

#define ESCAPE	     0x01 /* Ctrl-A, as with Xen */
#define ESCAPE_COUNT 3
#define MAX_KEYS     16

static spinlock_t lock = SPINLOCK_INIT; /* irqsave */
static unsigned escapes;		/* in a row */
static bool for_us;
static char keys[MAX_KEYS];
static unsigned key_count;
static struct work work;

/* Debug keys take locks and print a lot: not in interrupt handlers. */
static void run_keys(struct work *w)
{
	char now[MAX_KEYS];
	unsigned long flags = spin_lock_irqsave(&lock);
	unsigned n = key_count;

	(void)w;
	for (unsigned i = 0; i < n; i++)
		now[i] = keys[i];
	key_count = 0;
	spin_unlock_irqrestore(&lock, flags);
	for (unsigned i = 0; i < n; i++) {
		if (now[i] == ESCAPE)
			log_info("console: input is for %s; three times Ctrl-A switches\n",
				 READ_ONCE(for_us) ? "debug keys ('h': help)" : "dom0");
		else
			debug_key(now[i]);
	}
}

/* Any key beyond what can wait is lost. */
static void add_key(char c)
{
	if (!work.fn)
		work_init(&work, run_keys);
	if (key_count < MAX_KEYS)
		keys[key_count++] = c;
	work_queue(&work);
}

void console_typed(char c)
{
	unsigned long flags = spin_lock_irqsave(&lock);
	bool forward = !for_us;

	escapes = c == ESCAPE ? escapes + 1 : 0;
	if (escapes == ESCAPE_COUNT) {
		escapes = 0;
		for_us = !for_us;
		forward = false;
		add_key(ESCAPE);
	} else if (for_us && c != ESCAPE) {
		add_key(c);
	}
	spin_unlock_irqrestore(&lock, flags);
	if (forward)
		console_receive(c);
}
