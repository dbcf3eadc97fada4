/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hypercall hypfs_op: a small file system of facts and parameters (`xenhypfs`, `xl set-parameters`). */
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/grant.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/string.h>
#include <bulkhead/version.h>

#include <xen/hypfs.h>

_Static_assert(sizeof(struct xen_hypfs_direntry) == 12, "ABI");
_Static_assert(sizeof(struct xen_hypfs_dirlistentry) == 16, "ABI");

#define PATH_SIZE_MAX XEN_HYPFS_MAX_PATHLEN
#define LEVEL_SIZE    32 /* of a log level as text */
#define NAME_OFFSET   offsetof(struct xen_hypfs_dirlistentry, name)

/*
 * Contents have at most a page. read gives their size, a string's with its NUL; write gets the caller's data, of which a
 * string ends in its only NUL, and returns 0 or -errno.
 */
struct entry {
	const char *name;
	uint8_t type;
	uint8_t nr_children;
	uint32_t max_write; /* bytes; 0: read-only */
	const struct entry *children;
	const char *text; /* of a constant string */
	size_t (*read)(char *buf, size_t room);
	int (*write)(const void *data, size_t size);
};

#define DIRECTORY(name_, list)                                                                     \
 {                                                                                                 \
  .name = (name_), .type = XEN_HYPFS_TYPE_DIR, .nr_children = ARRAY_SIZE(list), .children = (list) \
 }
#define TEXT(name_, text_)                                        \
 {                                                                \
  .name = (name_), .type = XEN_HYPFS_TYPE_STRING, .text = (text_) \
 }

/* ---- Parameters ---- */

static size_t level_read(char *buf, size_t room, enum log_level level)
{
	const char *name = log_level_name(level);

	/* Two thresholds: always shown, and shown at a limited rate. Here they are one. */
	return (size_t)snprintf(buf, room, "%s/%s", name, name) + 1;
}

static size_t loglvl_read(char *buf, size_t room)
{
	return level_read(buf, room, READ_ONCE(log_threshold));
}

static int loglvl_write(const void *data, size_t size)
{
	(void)size;
	return log_level_parse(data, &log_threshold);
}

static size_t guest_loglvl_read(char *buf, size_t room)
{
	return level_read(buf, room, READ_ONCE(log_guest_threshold));
}

static int guest_loglvl_write(const void *data, size_t size)
{
	(void)size;
	return log_level_parse(data, &log_guest_threshold);
}

static size_t uint_read(char *buf, size_t room, const uint32_t *value)
{
	uint32_t copy = READ_ONCE(*value);

	(void)room;
	memcpy(buf, &copy, sizeof(copy));
	return sizeof(copy);
}

/* Domains that exist keep what they were made with. */
static int frames_write(const void *data, uint32_t min, uint32_t *ret_value)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	if (value < min || value > GRANT_FRAMES_MAX)
		return -ERANGE;
	WRITE_ONCE(*ret_value, value);
	return 0;
}

static size_t grant_frames_read(char *buf, size_t room)
{
	return uint_read(buf, room, &grant_default_frames);
}

static int grant_frames_write(const void *data, size_t size)
{
	(void)size;
	return frames_write(data, 1, &grant_default_frames);
}

static size_t maptrack_read(char *buf, size_t room)
{
	return uint_read(buf, room, &grant_default_maptrack);
}

static int maptrack_write(const void *data, size_t size)
{
	(void)size;
	return frames_write(data, 0, &grant_default_maptrack);
}

static size_t major_read(char *buf, size_t room)
{
	static const uint32_t major = ABI_MAJOR;

	return uint_read(buf, room, &major);
}

static size_t minor_read(char *buf, size_t room)
{
	static const uint32_t minor = ABI_MINOR;

	return uint_read(buf, room, &minor);
}

/* ---- The tree; names in a directory are sorted ---- */

/* clang-format off */
static const struct entry compileinfo[] = {
	TEXT("compile_by", COMPILED_BY),
	TEXT("compile_date", ""),
	TEXT("compile_domain", ""),
	TEXT("compiler", COMPILER_TEXT),
};
static const struct entry version[] = {
	TEXT("extra", EXTRAVERSION),
	{.name = "major", .type = XEN_HYPFS_TYPE_UINT, .read = major_read},
	{.name = "minor", .type = XEN_HYPFS_TYPE_UINT, .read = minor_read},
};
static const struct entry buildinfo[] = {
	TEXT("changeset", CHANGESET),
	DIRECTORY("compileinfo", compileinfo),
	DIRECTORY("version", version),
};
/* Threads of a core are scheduled one by one. */
static const struct entry cpupool_0[] = {
	TEXT("sched-gran", "cpu"),
};
static const struct entry cpupool[] = {
	DIRECTORY("0", cpupool_0),
};
static const struct entry params[] = {
	{.name = "gnttab_max_frames", .type = XEN_HYPFS_TYPE_UINT, .max_write = sizeof(uint32_t),
	 .read = grant_frames_read, .write = grant_frames_write},
	{.name = "gnttab_max_maptrack_frames", .type = XEN_HYPFS_TYPE_UINT, .max_write = sizeof(uint32_t),
	 .read = maptrack_read, .write = maptrack_write},
	{.name = "guest_loglvl", .type = XEN_HYPFS_TYPE_STRING, .max_write = LEVEL_SIZE,
	 .read = guest_loglvl_read, .write = guest_loglvl_write},
	{.name = "loglvl", .type = XEN_HYPFS_TYPE_STRING, .max_write = LEVEL_SIZE,
	 .read = loglvl_read, .write = loglvl_write},
};
static const struct entry top[] = {
	DIRECTORY("buildinfo", buildinfo),
	DIRECTORY("cpupool", cpupool),
	DIRECTORY("params", params),
};
static const struct entry root = DIRECTORY("", top);
/* clang-format on */

/* ---- Access ---- */

static size_t content(const struct entry *e, char *buf, size_t room);

static size_t list_entry_size(const struct entry *e)
{
	return ALIGN_UP(NAME_OFFSET + strlen(e->name) + 1, _Alignof(struct xen_hypfs_direntry));
}

static size_t directory_size(const struct entry *e)
{
	size_t size = 0;

	for (unsigned i = 0; i < e->nr_children; i++)
		size += list_entry_size(&e->children[i]);
	return size;
}

/* In buf the contents are made just for their size. */
static void describe(const struct entry *e, char *buf, size_t room,
		     struct xen_hypfs_direntry *ret_entry)
{
	bool dir = e->type == XEN_HYPFS_TYPE_DIR;

	*ret_entry = (struct xen_hypfs_direntry){
		.type = e->type,
		.encoding = XEN_HYPFS_ENC_PLAIN,
		.content_len = (uint32_t)(dir ? directory_size(e) : content(e, buf, room)),
		.max_write_len = e->max_write,
	};
}

static size_t directory_content(const struct entry *e, char *buf)
{
	char scratch[512];
	size_t at = 0;

	for (unsigned i = 0; i < e->nr_children; i++) {
		const struct entry *c = &e->children[i];
		struct xen_hypfs_direntry d;
		uint16_t next = i + 1 < e->nr_children ? (uint16_t)list_entry_size(c) : 0;

		describe(c, scratch, sizeof(scratch), &d);
		memcpy(buf + at, &d, sizeof(d));
		memcpy(buf + at + sizeof(d), &next, sizeof(next));
		memcpy(buf + at + NAME_OFFSET, c->name, strlen(c->name) + 1);
		at += list_entry_size(c);
	}
	return at;
}

static size_t content(const struct entry *e, char *buf, size_t room)
{
	size_t size;

	if (e->type == XEN_HYPFS_TYPE_DIR)
		return directory_content(e, buf);
	if (!e->text)
		return e->read(buf, room);
	size = strlen(e->text) + 1;
	memcpy(buf, e->text, MIN(size, room));
	return size;
}

/* By a path that begins with a slash, and may end in one; NULL if there is nothing of that name. */
static const struct entry *find(const char *path)
{
	const struct entry *e = &root;

	while (*path == '/' && path[1]) {
		const struct entry *found = NULL;
		const char *name = ++path;
		size_t len;

		while (*path && *path != '/')
			path++;
		len = (size_t)(path - name);
		for (unsigned i = 0; i < e->nr_children; i++) {
			const char *n = e->children[i].name;

			if (strlen(n) == len && !memcmp(n, name, len))
				found = &e->children[i];
		}
		if (!found)
			return NULL;
		e = found;
	}
	return e;
}

/* buf has a page. */
static int64_t do_read(const struct entry *e, uint64_t gva, uint64_t room, char *buf)
{
	struct xen_hypfs_direntry d;

	if (room < sizeof(d))
		return -EINVAL;
	describe(e, buf, PAGE_SIZE, &d);
	if (guest_copy_to(gva, &d, sizeof(d)))
		return -EFAULT;
	/* The caller has learnt how much room it needs. */
	if (room < sizeof(d) + d.content_len)
		return -ENOBUFS;
	memset(buf, 0, PAGE_SIZE);
	content(e, buf, PAGE_SIZE);
	return guest_copy_to(gva + sizeof(d), buf, d.content_len);
}

static int64_t do_write(const struct entry *e, uint64_t gva, uint64_t size)
{
	char untrusted_data[LEVEL_SIZE];

	if (!e->write)
		return -EACCES;
	if (size > e->max_write)
		return -ENOSPC;
	if (e->type != XEN_HYPFS_TYPE_STRING && size != e->max_write)
		return -EDOM;
	if (guest_copy_from(untrusted_data, gva, size))
		return -EFAULT;
	if (e->type == XEN_HYPFS_TYPE_STRING &&
	    (!size || strnlen(untrusted_data, size) != size - 1))
		return -EINVAL;
	return e->write(untrusted_data, size);
}

static int64_t access(const struct hypercall *hc, char *path)
{
	uint64_t size = hc->args[2];
	const struct entry *e;

	if (!size || size > PATH_SIZE_MAX)
		return -EINVAL;
	if (guest_copy_from(path, hc->args[1], size))
		return -EFAULT;
	if (path[0] != '/' || strnlen(path, size) != size - 1)
		return -EINVAL;
	e = find(path);
	if (!e)
		return -ENOENT;
	/* The path is not needed any more. */
	return (uint32_t)hc->args[0] == XEN_HYPFS_OP_read
		       ? do_read(e, hc->args[3], hc->args[4], path)
		       : do_write(e, hc->args[3], hc->args[4]);
}

int64_t hypercall_hypfs_op(struct hypercall *hc)
{
	uint32_t cmd = (uint32_t)hc->args[0];
	char *page;
	int64_t ret;

	if (!may_system(current_domain()))
		return -EPERM;
	if (cmd == XEN_HYPFS_OP_get_version)
		return hc->args[1] || hc->args[2] || hc->args[3] || hc->args[4] ? -EINVAL
										: XEN_HYPFS_VERSION;
	if (cmd != XEN_HYPFS_OP_read && cmd != XEN_HYPFS_OP_write_contents)
		return -EOPNOTSUPP;
	page = heap_page_alloc();
	if (!page)
		return -ENOMEM;
	ret = access(hc, page);
	heap_page_free(page);
	return ret;
}
