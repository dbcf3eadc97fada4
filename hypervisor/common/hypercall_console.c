// SPDX-License-Identifier: GPL-2.0-or-later
// Hypercall console_io: the machine's console for dom0, a line of log for other domains.

#include <bulkhead/console.h>
#include <bulkhead/domain.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/log.h>
#include <bulkhead/string.h>

#include <xen/xen.h>

#define PIECE 128 /* bytes copied at a time */

/*
 * What another domain writes appears in the hypervisor's log, line by line, behind its name and within the
 * rate limit of guests: it can neither flood the console nor, by control characters, forge what others said.
 */
static void write_filtered(struct domain *d, const char *s, size_t len)
{
	char line[DOMAIN_CONSOLE_LINE + 1];

	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		unsigned used;

		spin_lock(&d->lock);
		if (c == '\t' || (c >= ' ' && c <= '~'))
			d->console_line[d->console_used++] = c;
		used = d->console_used;
		if (c != '\n' && used < DOMAIN_CONSOLE_LINE) {
			spin_unlock(&d->lock);
			continue;
		}
		memcpy(line, d->console_line, used);
		d->console_used = 0;
		spin_unlock(&d->lock);
		line[used] = '\0';
		log_guest(d, LOG_INFO, "%s\n", line);
	}
}

static int64_t console_write(struct hypercall *hc)
{
	struct domain *d = current_domain();
	uint32_t left = (uint32_t)hc->args[1];
	uint64_t gva = hc->args[2];

	while (left) {
		char untrusted_text[PIECE];
		uint32_t n = MIN(left, (uint32_t)PIECE);

		if (guest_copy_from(untrusted_text, gva, n))
			return -EFAULT;
		if (d->hardware)
			console_write_guest(untrusted_text, n);
		else
			write_filtered(d, untrusted_text, n);
		gva += n;
		left -= n;
		if (left && hypercall_should_yield()) {
			hc->args[1] = left;
			hc->args[2] = gva;
			return -ERESTART;
		}
	}
	return 0;
}

/* Result: number of bytes read, which may be 0. */
static int64_t console_input(uint32_t count, uint64_t gva)
{
	uint32_t done = 0;

	if (!may_system(current_domain()))
		return -EPERM;
	if (count > INT32_MAX)
		return -E2BIG;
	while (done < count) {
		char text[PIECE];
		size_t n = console_read(text, MIN(count - done, (uint32_t)PIECE));

		if (!n)
			break;
		if (guest_copy_to(gva + done, text, n))
			return -EFAULT;
		done += (uint32_t)n;
		/* Input is slow: what is there fits; the rest is read by the next call. */
		if (hypercall_should_yield())
			break;
	}
	return done;
}

int64_t hypercall_console_io(struct hypercall *hc)
{
	switch ((uint32_t)hc->args[0]) {
	case CONSOLEIO_write:
		return console_write(hc);
	case CONSOLEIO_read:
		return console_input((uint32_t)hc->args[1], hc->args[2]);
	default:
		return -ENOSYS;
	}
}
