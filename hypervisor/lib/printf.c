/* SPDX-License-Identifier: GPL-2.0-or-later */
/* snprintf: the conversions that log messages need. */
#include <bulkhead/compiler.h>
#include <bulkhead/string.h>

struct out {
	char *buf;
	size_t size, len; /* len counts what would have been written */
};

struct spec {
	bool left, zero, plus, space, alt, upper;
	int width, precision; /* precision -1: none */
	int length;	      /* 0 int, 1 long, 2 long long, -1 short, -2 char */
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void pad(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

static void put_string(struct out *o, const struct spec *s, const char *str)
{
	size_t n;

	if (!str)
		str = "(null)";
	n = s->precision >= 0 ? strnlen(str, (size_t)s->precision) : strlen(str);
	if (!s->left)
		pad(o, ' ', s->width - (int)n);
	for (size_t i = 0; i < n; i++)
		put(o, str[i]);
	if (s->left)
		pad(o, ' ', s->width - (int)n);
}

static void put_number(struct out *o, const struct spec *s, uint64_t v, unsigned base,
		       bool negative)
{
	static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
	const char *digits = s->upper ? upper : lower;
	char tmp[24];
	int n = 0, zeros, total;
	char sign = negative ? '-' : s->plus ? '+' : s->space ? ' ' : 0;
	const char *prefix = s->alt && base == 16 && v ? (s->upper ? "0X" : "0x") : "";

	if (v || s->precision != 0) {
		do {
			tmp[n++] = digits[v % base];
			v /= base;
		} while (v);
	}
	zeros = s->precision > n ? s->precision - n : 0;
	if (s->alt && base == 8 && !zeros && (!n || tmp[n - 1] != '0'))
		zeros = 1;
	total = n + zeros + (sign ? 1 : 0) + (int)strlen(prefix);
	if (s->zero && !s->left && s->precision < 0 && total < s->width) {
		zeros += s->width - total;
		total = s->width;
	}
	if (!s->left)
		pad(o, ' ', s->width - total);
	if (sign)
		put(o, sign);
	for (; *prefix; prefix++)
		put(o, *prefix);
	pad(o, '0', zeros);
	while (n)
		put(o, tmp[--n]);
	if (s->left)
		pad(o, ' ', s->width - total);
}

static const char *parse_flags(const char *f, struct spec *s)
{
	for (;; f++) {
		if (*f == '-')
			s->left = true;
		else if (*f == '0')
			s->zero = true;
		else if (*f == '+')
			s->plus = true;
		else if (*f == ' ')
			s->space = true;
		else if (*f == '#')
			s->alt = true;
		else
			return f;
	}
}

static const char *parse_length(const char *f, struct spec *s)
{
	for (;; f++) {
		if (*f == 'l')
			s->length++;
		else if (*f == 'h')
			s->length--;
		else if (*f == 'z' || *f == 't' || *f == 'j')
			s->length = 2;
		else
			return f;
	}
}

static int parse_number(const char **f)
{
	int n = 0;

	while (**f >= '0' && **f <= '9' && n < 10000)
		n = n * 10 + *(*f)++ - '0';
	return n;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct out o = {buf, size, 0};
	va_list ap;

	va_copy(ap, args);
	while (*fmt) {
		struct spec s = {.precision = -1};
		unsigned base = 10;
		int64_t i;

		if (*fmt != '%') {
			put(&o, *fmt++);
			continue;
		}
		fmt = parse_flags(fmt + 1, &s);
		if (*fmt == '*') {
			s.width = va_arg(ap, int);
			fmt++;
			if (s.width < 0) {
				s.left = true;
				s.width = -s.width;
			}
		} else {
			s.width = parse_number(&fmt);
		}
		if (*fmt == '.') {
			fmt++;
			if (*fmt == '*') {
				s.precision = va_arg(ap, int);
				fmt++;
			} else {
				s.precision = parse_number(&fmt);
			}
		}
		fmt = parse_length(fmt, &s);
		switch (*fmt) {
		case 'c':
			if (!s.left)
				pad(&o, ' ', s.width - 1);
			put(&o, (char)va_arg(ap, int));
			if (s.left)
				pad(&o, ' ', s.width - 1);
			break;
		case 's':
			put_string(&o, &s, va_arg(ap, const char *));
			break;
		case 'd':
		case 'i':
			i = s.length >= 1 ? va_arg(ap, long) : va_arg(ap, int);
			put_number(&o, &s, i < 0 ? -(uint64_t)i : (uint64_t)i, 10, i < 0);
			break;
		case 'X':
			s.upper = true;
			__attribute__((fallthrough));
		case 'x':
			base = 16;
			__attribute__((fallthrough));
		case 'o':
			if (*fmt == 'o')
				base = 8;
			__attribute__((fallthrough));
		case 'u':
			put_number(&o, &s,
				   s.length >= 1 ? va_arg(ap, unsigned long) : va_arg(ap, unsigned),
				   base, false);
			break;
		case 'p':
			s.alt = true;
			put_number(&o, &s, (uintptr_t)va_arg(ap, void *), 16, false);
			break;
		case '%':
			put(&o, '%');
			break;
		default: /* not ours: show it, so that the mistake is seen */
			put(&o, '%');
			if (*fmt)
				put(&o, *fmt);
			break;
		}
		if (*fmt)
			fmt++;
	}
	va_end(ap);
	if (size)
		buf[o.len < size ? o.len : size - 1] = 0;
	return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
