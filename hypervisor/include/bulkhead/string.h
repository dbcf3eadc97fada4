/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of <string.h> and <stdio.h> that the hypervisor has (hypervisor/lib). */
#ifndef BULKHEAD_STRING_H
#define BULKHEAD_STRING_H

#if defined(__STDC_HOSTED__) && __STDC_HOSTED__
# include <stdarg.h>
# include <stdio.h>
# include <string.h>
#else
# include <stdarg.h>
# include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strstr(const char *haystack, const char *needle);

/* C99 semantics for d i u x X o c s p %, flags "-0+ #", width, precision, hh h l ll z t. */
int snprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
#endif

#endif
