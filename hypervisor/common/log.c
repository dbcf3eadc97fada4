/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Log and console multiplexing: drivers, the ring of `xl dmesg`, input for dom0. */
#include <bulkhead/console.h>
#include <bulkhead/domain.h>
#include <bulkhead/event.h>
#include <bulkhead/log.h>
#include <bulkhead/spinlock.h>
#include <bulkhead/string.h>

#define RING_SIZE  65536U /* power of two */
#define INPUT_SIZE 256U	  /* power of two */
#define LINE_SIZE  512

/*
 * What log_guest() lets through per second and domain, and the burst it tolerates, in characters: a serial port of 115200
 * baud takes 87 us for each, in which its CPU does nothing else. So a guest that makes us complain all the time costs
 * less than a thirtieth of one CPU.
 */
#define GUEST_CHARS_PER_SECOND 256
#define GUEST_CHARS_BURST      4096
#define GUEST_PREFIX	       sizeof("(BH) (d12345) ")

enum log_level log_threshold = LOG_INFO;
enum log_level log_guest_threshold = LOG_WARN;

static spinlock_t console_lock = SPINLOCK_INIT;
static struct list drivers = LIST_INIT(drivers);
static char ring[RING_SIZE];
static uint32_t ring_producer, ring_consumer; /* free running; consumer = oldest not cleared */
static char input[INPUT_SIZE];
static uint32_t input_producer, input_consumer;
static bool line_start = true;
static bool panicking;

/* After a panic the lock may be held by a CPU that has stopped: go on without. */
static unsigned long lock_console(void)
{
	if (panicking)
		return arch_irq_save();
	return spin_lock_irqsave(&console_lock);
}

static void unlock_console(unsigned long flags)
{
	if (panicking)
		arch_irq_restore(flags);
	else
		spin_unlock_irqrestore(&console_lock, flags);
}

static void ring_write(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		ring[ring_producer++ % RING_SIZE] = s[i];
	if (ring_producer - ring_consumer > RING_SIZE)
		ring_consumer = ring_producer - RING_SIZE;
}

static void write_all(const char *s, size_t len)
{
	struct console_driver *drv;

	LIST_FOR_EACH (drv, &drivers, struct console_driver, link)
		drv->write(drv, s, len);
}

void console_register(struct console_driver *drv)
{
	unsigned long flags = lock_console();

	list_insert_before(&drivers, &drv->link);
	/* What was said before the driver existed. */
	for (uint32_t i = ring_consumer; i != ring_producer; i++)
		drv->write(drv, &ring[i % RING_SIZE], 1);
	unlock_console(flags);
}

static void emit(enum log_level level, enum log_level threshold, const char *prefix,
		 const char *text, size_t len)
{
	unsigned long flags = lock_console();

	if (line_start) {
		ring_write("(BH) ", 5);
		ring_write(prefix, strlen(prefix));
	}
	ring_write(text, len);
	if (level <= threshold || panicking) {
		if (line_start) {
			write_all("(BH) ", 5);
			write_all(prefix, strlen(prefix));
		}
		write_all(text, len);
	}
	line_start = len && text[len - 1] == '\n';
	unlock_console(flags);
	if (hardware_domain && !panicking)
		event_send_hwdom_virq(VIRQ_CON_RING);
}

void log_vmsg(enum log_level level, const char *fmt, va_list ap)
{
	char line[LINE_SIZE];
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	size_t len = MIN((size_t)n, sizeof(line) - 1);

	if ((size_t)n >= sizeof(line))
		line[len - 1] = '\n';
	emit(level, log_threshold, "", line, len);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(level, fmt, ap);
	va_end(ap);
}

/* A token bucket per domain: false when the line is to be dropped. */
static bool guest_may_log(struct domain *d, uint64_t chars)
{
	uint64_t now = time_now(), earned;
	bool ok = false;
	unsigned long flags = lock_console();

	earned = MIN(now - d->log_last, NSEC_PER_SEC * GUEST_CHARS_BURST) * GUEST_CHARS_PER_SECOND /
		 NSEC_PER_SEC;
	if (earned) {
		d->log_tokens = MIN(d->log_tokens + earned, (uint64_t)GUEST_CHARS_BURST);
		d->log_last = now;
	}
	if (d->log_tokens >= chars) {
		d->log_tokens -= chars;
		ok = true;
	} else {
		d->log_dropped++;
	}
	unlock_console(flags);
	return ok;
}

void log_guest(const struct domain *d, enum log_level level, const char *fmt, ...)
{
	struct domain *dom = (struct domain *)(uintptr_t)d;
	char prefix[40], line[LINE_SIZE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if ((size_t)n >= sizeof(line))
		line[sizeof(line) - 2] = '\n';
	if (!guest_may_log(dom, GUEST_PREFIX + MIN((size_t)n, sizeof(line) - 1)))
		return;
	if (dom->log_dropped) {
		snprintf(prefix, sizeof(prefix), "(d%u, %u lines dropped) ", d->id,
			 dom->log_dropped);
		dom->log_dropped = 0;
	} else {
		snprintf(prefix, sizeof(prefix), "(d%u) ", d->id);
	}
	emit(level, log_guest_threshold, prefix, line, MIN((size_t)n, sizeof(line) - 1));
}

void console_write_guest(const char *s, size_t len)
{
	unsigned long flags = lock_console();

	if (!line_start && len)
		line_start = true; /* the guest's text does not continue ours */
	write_all(s, len);
	unlock_console(flags);
}

void console_receive(char c)
{
	unsigned long flags = lock_console();

	if (input_producer - input_consumer < INPUT_SIZE)
		input[input_producer++ % INPUT_SIZE] = c;
	unlock_console(flags);
	event_send_hwdom_virq(VIRQ_CONSOLE);
}

size_t console_read(char *buf, size_t size)
{
	unsigned long flags = lock_console();
	size_t n = 0;

	while (n < size && input_consumer != input_producer)
		buf[n++] = input[input_consumer++ % INPUT_SIZE];
	unlock_console(flags);
	return n;
}

size_t console_ring_read(char *buf, size_t size, uint32_t *index, bool incremental, bool clear)
{
	unsigned long flags = lock_console();
	uint32_t pos = ring_consumer;
	size_t n = 0;

	/* An index outside of what the ring holds means: from the oldest byte. */
	if (incremental && (int32_t)(*index - ring_consumer) > 0 &&
	    *index - ring_consumer <= RING_SIZE)
		pos = *index;
	if ((int32_t)(pos - ring_producer) > 0)
		pos = ring_producer;
	while (n < size && pos != ring_producer)
		buf[n++] = ring[pos++ % RING_SIZE];
	*index = pos;
	if (clear)
		ring_consumer = ring_producer;
	unlock_console(flags);
	return n;
}

void console_release_display(void)
{
	struct console_driver *drv, *tmp;
	unsigned long flags = lock_console();

	LIST_FOR_EACH_SAFE (drv, tmp, &drivers, struct console_driver, link) {
		if (!drv->release)
			continue;
		list_remove(&drv->link);
		drv->release(drv);
	}
	unlock_console(flags);
}

void console_panic_mode(void)
{
	panicking = true;
	if (!line_start)
		write_all("\n", 1);
	line_start = true;
}
