// SPDX-License-Identifier: GPL-2.0-or-later
// Printing through the hypervisor's console, and the result lines of tests.
#include "guest.h"

#define LINE_BYTES 400

struct sink {
	char *out;
	size_t size, used;
};

static void put(struct sink *sink, char c)
{
	if (sink->used + 1 < sink->size)
		sink->out[sink->used++] = c;
}

/* Divides, and returns the remainder: 16 bits at a time, as a 32-bit kernel has no 64-bit division. */
static unsigned int divide(uint64_t *value, unsigned int base)
{
	uint32_t rest = 0;

	for (int shift = 48; shift >= 0; shift -= 16) {
		uint32_t part = rest << 16 | (uint32_t)(*value >> shift & 0xffff);

		*value = (*value & ~(0xffffull << shift)) | (uint64_t)(part / base) << shift;
		rest = part % base;
	}
	return rest;
}

static void put_number(struct sink *sink, uint64_t value, unsigned int base, int width, char pad)
{
	char digits[24];
	int n = 0;

	do
		digits[n++] = "0123456789abcdef"[divide(&value, base)];
	while (value);
	while (width-- > n)
		put(sink, pad);
	while (n)
		put(sink, digits[--n]);
}

static void put_string(struct sink *sink, const char *text, int width)
{
	int n = (int)strlen(text);

	for (; *text; text++)
		put(sink, *text);
	for (; n < width; n++)
		put(sink, ' ');
}

/* One conversion behind a '%'; returns what follows it. Knows d i u x c s p, l and ll, width and zero. */
static const char *convert(struct sink *sink, const char *format, __builtin_va_list *args)
{
	bool alternate = false;
	unsigned int longs = 0;
	char pad = ' ';
	int width = 0;
	int64_t number;

	for (; *format == '#' || *format == '0'; format++) {
		alternate |= *format == '#';
		pad = *format == '0' ? '0' : pad;
	}
	for (; *format >= '0' && *format <= '9'; format++)
		width = width * 10 + *format - '0';
	for (; *format == 'l' || *format == 'z'; format++)
		longs++;
	switch (*format) {
	case 'd':
	case 'i':
		number = longs > 1 ? __builtin_va_arg(*args, long long)
			 : longs   ? __builtin_va_arg(*args, long)
				   : __builtin_va_arg(*args, int);
		if (number < 0)
			put(sink, '-');
		put_number(sink, number < 0 ? -(uint64_t)number : (uint64_t)number, 10, width, pad);
		break;
	case 'u':
	case 'x':
		if (alternate)
			put_string(sink, "0x", 0);
		put_number(sink,
			   longs > 1 ? __builtin_va_arg(*args, unsigned long long)
			   : longs   ? __builtin_va_arg(*args, unsigned long)
				     : __builtin_va_arg(*args, unsigned int),
			   *format == 'x' ? 16 : 10, width, pad);
		break;
	case 'p':
		put_string(sink, "0x", 0);
		put_number(sink, ADDRESS(__builtin_va_arg(*args, void *)), 16, 0, ' ');
		break;
	case 'c':
		put(sink, (char)__builtin_va_arg(*args, int));
		break;
	case 's':
		put_string(sink, __builtin_va_arg(*args, const char *), width);
		break;
	default:
		put(sink, *format);
	}
	return format + 1;
}

int guest_format(char *out, size_t size, const char *format, __builtin_va_list args)
{
	struct sink sink = {.out = out, .size = size};
	__builtin_va_list copy;

	__builtin_va_copy(copy, args);
	while (*format) {
		if (*format == '%')
			format = convert(&sink, format + 1, &copy);
		else
			put(&sink, *format++);
	}
	__builtin_va_end(copy);
	out[sink.used] = 0;
	return (int)sink.used;
}

/* Other domains than dom0 print to their PV console: a release build of stock Xen takes nothing else from them. */
static void write_out(const char *text, int length)
{
	if (!guest_is_dom0()) {
		domu_write(text, length);
		return;
	}
	hypercall3(__HYPERVISOR_console_io, CONSOLEIO_write, (unsigned int)length, ADDRESS(text));
}

/* One call is one line on the console. */
void guest_print(const char *format, ...)
{
	char line[LINE_BYTES];
	__builtin_va_list args;
	int length;

	__builtin_va_start(args, format);
	length = guest_format(line, sizeof(line) - 1, format, args);
	__builtin_va_end(args);
	line[length++] = '\n';
	write_out(line, length);
}

static const char *running;
static bool failed;

void guest_begin_test(const char *name)
{
	running = name;
	failed = false;
}

bool guest_failed(void)
{
	return failed;
}

void guest_fail(const char *format, ...)
{
	char reason[LINE_BYTES - 80];
	__builtin_va_list args;

	__builtin_va_start(args, format);
	guest_format(reason, sizeof(reason), format, args);
	__builtin_va_end(args);
	/* The first reason counts: what follows may be its consequence. */
	if (!failed)
		guest_print("RESULT %s: FAIL %s", running, reason);
	failed = true;
}
