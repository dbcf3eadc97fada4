/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A screen of text in memory. The display itself is only written: reading it is slow. */
#include <arch/video.h>
#include <bulkhead/string.h>

#define TAB 8U

enum {
	ESCAPE_NONE,
	ESCAPE_SEEN,	 /* ESC */
	ESCAPE_SEQUENCE, /* ESC [ and parameters, up to a letter (ECMA-48 5.4) */
};

void text_init(struct text_screen *t, unsigned columns, unsigned rows,
	       void (*draw)(void *ctx, unsigned row, unsigned column, const uint8_t *s, unsigned n),
	       void *ctx)
{
	t->columns = MIN(columns, (unsigned)TEXT_MAX_COLUMNS);
	t->rows = MIN(rows, (unsigned)TEXT_MAX_ROWS);
	t->row = t->column = t->top = 0;
	t->escape = ESCAPE_NONE;
	t->draw = draw;
	t->ctx = ctx;
	memset(t->cells, ' ', sizeof(t->cells));
	memset(t->shown, ' ', sizeof(t->shown));
}

static uint8_t *line_at(struct text_screen *t, unsigned row)
{
	return t->cells[(t->top + row) % t->rows];
}

static void new_line(struct text_screen *t)
{
	t->column = 0;
	if (t->row + 1 < t->rows) {
		t->row++;
		return;
	}
	memset(line_at(t, 0), ' ', t->columns);
	t->top = (t->top + 1) % t->rows;
}

static void put(struct text_screen *t, uint8_t c)
{
	if (t->column == t->columns)
		new_line(t);
	line_at(t, t->row)[t->column++] = c;
}

static void tabulate(struct text_screen *t)
{
	do
		put(t, ' ');
	while (t->column % TAB && t->column < t->columns);
}

/* True: the character belongs to an escape sequence. */
static bool escape(struct text_screen *t, uint8_t c)
{
	switch (t->escape) {
	case ESCAPE_SEEN:
		t->escape = c == '[' ? ESCAPE_SEQUENCE : ESCAPE_NONE;
		return true;
	case ESCAPE_SEQUENCE:
		if (c >= 0x40 && c <= 0x7e)
			t->escape = ESCAPE_NONE;
		return true;
	default:
		if (c == 0x1b)
			t->escape = ESCAPE_SEEN;
		return c == 0x1b;
	}
}

static void write_one(struct text_screen *t, uint8_t c)
{
	if (escape(t, c))
		return;
	switch (c) {
	case '\n':
		new_line(t);
		break;
	case '\r':
		t->column = 0;
		break;
	case '\b':
		if (t->column)
			t->column--;
		break;
	case '\t':
		tabulate(t);
		break;
	default:
		if (c >= ' ' && c < 0x7f)
			put(t, c);
		else if (c >=
			 0xc0) /* one mark for a character of UTF-8; its other bytes are below */
			put(t, '?');
	}
}

/* Draws the pieces of a row that differ from what is on the screen. */
static void refresh_row(struct text_screen *t, unsigned row)
{
	const uint8_t *line = line_at(t, row);
	uint8_t *shown = t->shown[row];
	unsigned start = 0, end;

	while (start < t->columns) {
		if (line[start] == shown[start]) {
			start++;
			continue;
		}
		for (end = start + 1; end < t->columns && line[end] != shown[end]; end++)
			;
		t->draw(t->ctx, row, start, line + start, end - start);
		memcpy(shown + start, line + start, end - start);
		start = end;
	}
}

void text_put(struct text_screen *t, const char *s, size_t len)
{
	for (; len; len--, s++)
		write_one(t, (uint8_t)*s);
}

void text_refresh(struct text_screen *t)
{
	for (unsigned row = 0; row < t->rows; row++)
		refresh_row(t, row);
}
