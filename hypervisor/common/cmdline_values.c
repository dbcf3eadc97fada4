// SPDX-License-Identifier: GPL-2.0-or-later
// Values of command-line parameters: numbers, sizes, lists, dom0_mem, serial ports.
#include <bulkhead/cmdline.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

#define ITEM_MAX 64

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int digit_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* Reads digits of the base from *s; at least one, and no overflow. */
static int take_digits(const char **s, int base, uint64_t *ret)
{
	const char *p = *s;
	uint64_t v = 0;

	if (digit_value(*p) >= base)
		return -EINVAL;
	for (; digit_value(*p) < base; p++) {
		uint64_t d = (uint64_t)digit_value(*p);

		if (v > (UINT64_MAX - d) / (uint64_t)base)
			return -EINVAL;
		v = v * (uint64_t)base + d;
	}
	*s = p;
	*ret = v;
	return 0;
}

/* A number in the notation of C: 0x… is hexadecimal, 0… octal. */
static int take_number(const char **s, uint64_t *ret)
{
	const char *p = *s;
	int rc;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		p += 2;
		rc = take_digits(&p, 16, ret);
	} else {
		rc = take_digits(&p, p[0] == '0' ? 8 : 10, ret);
	}
	if (rc == 0)
		*s = p;
	return rc;
}

static int take_size(const char **s, uint64_t *ret)
{
	const char *p = *s;
	unsigned int shift = 10; /* as Xen does: kilobytes if nothing is said */
	uint64_t v;

	if (take_number(&p, &v))
		return -EINVAL;
	switch (*p) {
	case 'T':
	case 't':
		shift = 40;
		p++;
		break;
	case 'G':
	case 'g':
		shift = 30;
		p++;
		break;
	case 'M':
	case 'm':
		shift = 20;
		p++;
		break;
	case 'K':
	case 'k':
		p++;
		break;
	case 'B':
	case 'b':
		shift = 0;
		p++;
		break;
	default:
		break;
	}
	if (v > UINT64_MAX >> shift)
		return -EINVAL;
	*s = p;
	*ret = v << shift;
	return 0;
}

int cmdline_parse_bool(const char *s, bool *ret)
{
	static const char *const yes[] = {"yes", "on", "true", "enable", "1"};
	static const char *const no[] = {"no", "off", "false", "disable", "0"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcmp(s, yes[i]) == 0) {
			*ret = true;
			return 0;
		}
		if (strcmp(s, no[i]) == 0) {
			*ret = false;
			return 0;
		}
	}
	return -EINVAL;
}

int cmdline_parse_uint(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t v;

	if (take_number(&s, &v) || *s != '\0' || v > max)
		return -EINVAL;
	*ret = v;
	return 0;
}

int cmdline_parse_size(const char *s, uint64_t *ret)
{
	uint64_t v;

	if (take_size(&s, &v) || *s != '\0')
		return -EINVAL;
	*ret = v;
	return 0;
}

int cmdline_next_item(const char **list, char *buf, size_t size)
{
	const char *p = *list;
	size_t len = 0;

	if (*p == '\0')
		return 0;
	while (p[len] != '\0' && p[len] != ',')
		len++;
	if (len >= size)
		return -EINVAL;
	memcpy(buf, p, len);
	buf[len] = '\0';
	*list = p + len + (p[len] == ',');
	return 1;
}

const char *cmdline_item_value(const char *item, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(item, name, len) != 0 || item[len] != '=')
		return NULL;
	return item + len + 1;
}

int cmdline_item_bool(const char *item, const char *name)
{
	const char *value = cmdline_item_value(item, name);
	bool on;

	if (value)
		return cmdline_parse_bool(value, &on) ? -EINVAL : on;
	if (strcmp(item, name) == 0)
		return 1;
	if (strncmp(item, "no-", 3) == 0 && strcmp(item + 3, name) == 0)
		return 0;
	return -ENOENT;
}

/* [-](<bytes> | <n>% | <bytes>+<n>%) */
static int parse_memsize(const char *s, struct cmdline_memsize *ret)
{
	struct cmdline_memsize size = {.set = true};
	const char *digits;
	uint64_t n;

	if (*s == '-') {
		size.negative = true;
		s++;
	}
	/* A percentage is decimal; what it is shows only at its end. */
	digits = s;
	if (take_digits(&digits, 10, &n) || *digits != '%') {
		if (take_size(&s, &size.bytes))
			return -EINVAL;
		if (*s == '\0') {
			*ret = size;
			return 0;
		}
		if (*s++ != '+' || take_digits(&s, 10, &n) || *s != '%')
			return -EINVAL;
		digits = s;
	}
	if (digits[1] != '\0' || n >= 100)
		return -EINVAL;
	size.percent = (uint8_t)n;
	*ret = size;
	return 0;
}

int cmdline_parse_dom0_mem(const char *s, struct cmdline_dom0_mem *ret)
{
	struct cmdline_dom0_mem mem = {0};
	char item[ITEM_MAX] = "";
	int rc;

	if (*s == '\0')
		return -EINVAL;
	while ((rc = cmdline_next_item(&s, item, sizeof(item))) > 0) {
		if (strncmp(item, "min:", 4) == 0)
			rc = parse_memsize(item + 4, &mem.min);
		else if (strncmp(item, "max:", 4) == 0)
			rc = parse_memsize(item + 4, &mem.max);
		else
			rc = parse_memsize(item, &mem.amount);
		if (rc)
			return rc;
	}
	if (rc)
		return rc;
	*ret = mem;
	return 0;
}

uint64_t cmdline_memsize_bytes(const struct cmdline_memsize *size, uint64_t available)
{
	uint64_t sum = available / 100 * size->percent + available % 100 * size->percent / 100;

	sum = size->bytes > UINT64_MAX - sum ? UINT64_MAX : sum + size->bytes;
	if (!size->negative)
		return sum;
	return sum > available ? 0 : available - sum;
}

uint64_t cmdline_dom0_mem_bytes(const struct cmdline_dom0_mem *mem, uint64_t available)
{
	uint64_t v = mem->amount.set ? cmdline_memsize_bytes(&mem->amount, available) : available;
	uint64_t limit;

	if (mem->min.set) {
		limit = cmdline_memsize_bytes(&mem->min, available);
		v = v < limit ? limit : v;
	}
	if (mem->max.set) {
		limit = cmdline_memsize_bytes(&mem->max, available);
		v = v > limit ? limit : v;
	}
	return v > available ? available : v;
}

/* <bus>:<device>.<function>, hexadecimal */
static int parse_bdf(const char *s, uint16_t *ret)
{
	uint64_t bus, device, function;

	if (take_digits(&s, 16, &bus) || *s++ != ':' || take_digits(&s, 16, &device) ||
	    *s++ != '.' || take_digits(&s, 16, &function) || *s != '\0')
		return -EINVAL;
	if (bus > 255 || device > 31 || function > 7)
		return -EINVAL;
	*ret = (uint16_t)(bus << 8 | device << 3 | function);
	return 0;
}

static int parse_com_baud(const char *s, struct cmdline_com *com)
{
	uint64_t baud = 0, base = 0;

	if (strncmp(s, "auto", 4) == 0)
		s += 4;
	else if (take_digits(&s, 10, &baud) || baud == 0)
		return -EINVAL;
	if (*s == '/') {
		s++;
		if (take_digits(&s, 10, &base) || base == 0)
			return -EINVAL;
	}
	if (*s != '\0' || baud > 4000000 || base > 4000000)
		return -EINVAL;
	com->baud = (uint32_t)baud;
	com->base_baud = (uint32_t)base;
	return 0;
}

/* Data bits, parity, stop bits. */
static int parse_com_format(const char *s, struct cmdline_com *com)
{
	if (strlen(s) != 3 || s[0] < '5' || s[0] > '8' || !strchr("noems", s[1]) ||
	    (s[2] != '1' && s[2] != '2'))
		return -EINVAL;
	com->data_bits = (uint8_t)(s[0] - '0');
	com->parity = s[1];
	com->stop_bits = (uint8_t)(s[2] - '0');
	return 0;
}

static int parse_com_place(const char *s, struct cmdline_com *com)
{
	if (strcmp(s, "pci") == 0)
		com->where = CMDLINE_COM_PCI;
	else if (strcmp(s, "amt") == 0)
		com->where = CMDLINE_COM_AMT;
	else
		return cmdline_parse_uint(s, UINT64_MAX, &com->io_base);
	return 0;
}

static int parse_com_irq(const char *s, struct cmdline_com *com)
{
	uint64_t irq;

	if (strcmp(s, "msi") == 0) {
		com->msi = true;
		return 0;
	}
	if (cmdline_parse_uint(s, UINT16_MAX, &irq))
		return -EINVAL;
	com->have_irq = true;
	com->irq = (uint16_t)irq;
	return 0;
}

static int parse_com_port_bdf(const char *s, struct cmdline_com *com)
{
	com->have_port_bdf = true;
	return parse_bdf(s, &com->port_bdf);
}

static int parse_com_bridge_bdf(const char *s, struct cmdline_com *com)
{
	com->have_bridge_bdf = true;
	return parse_bdf(s, &com->bridge_bdf);
}

int cmdline_parse_com(const char *s, struct cmdline_com *ret)
{
	static int (*const fields[])(const char *s, struct cmdline_com *com) = {
		parse_com_baud, parse_com_format,   parse_com_place,
		parse_com_irq,	parse_com_port_bdf, parse_com_bridge_bdf,
	};
	struct cmdline_com com = {.data_bits = 8, .parity = 'n', .stop_bits = 1};
	char item[ITEM_MAX] = "";
	size_t i = 0;
	int rc;

	if (*s == '\0')
		return -EINVAL;
	while ((rc = cmdline_next_item(&s, item, sizeof(item))) > 0) {
		if (i == sizeof(fields) / sizeof(fields[0]))
			return -EINVAL;
		/* A field left empty keeps its default; the speed has none. */
		if (item[0] != '\0' || i == 0)
			rc = fields[i](item, &com);
		else
			rc = 0;
		if (rc)
			return rc;
		i++;
	}
	if (rc)
		return rc;
	*ret = com;
	return 0;
}
