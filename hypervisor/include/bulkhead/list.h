/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Intrusive doubly linked circular list. */
#ifndef BULKHEAD_LIST_H
#define BULKHEAD_LIST_H

#include <bulkhead/compiler.h>

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name) \
 {                      \
  &(name), &(name)      \
 }

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
/* Inserts e right after pos: with a list head as pos, at the front. */
static inline void list_insert_after(struct list *pos, struct list *e)
{
	e->prev = pos;
	e->next = pos->next;
	pos->next->prev = e;
	pos->next = e;
}
/* Inserts e right before pos: with a list head as pos, at the back. */
static inline void list_insert_before(struct list *pos, struct list *e)
{
	list_insert_after(pos->prev, e);
}
/* Removes e and leaves it as an empty list, so that removing it twice is harmless. */
static inline void list_remove(struct list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	list_init(e);
}

#define LIST_ENTRY(ptr, type, member)  CONTAINER_OF(ptr, type, member)
#define LIST_FIRST(head, type, member) LIST_ENTRY((head)->next, type, member)
#define LIST_FOR_EACH(pos, head, type, member)                                  \
 for ((pos) = LIST_ENTRY((head)->next, type, member); &(pos)->member != (head); \
      (pos) = LIST_ENTRY((pos)->member.next, type, member))
/* As above; pos may be removed in the body. */
#define LIST_FOR_EACH_SAFE(pos, tmp, head, type, member)   \
 for ((pos) = LIST_ENTRY((head)->next, type, member),      \
     (tmp) = LIST_ENTRY((pos)->member.next, type, member); \
      &(pos)->member != (head);                            \
      (pos) = (tmp), (tmp) = LIST_ENTRY((tmp)->member.next, type, member))

#endif
