# SPDX-License-Identifier: GPL-2.0-or-later
# libvchan: build/vchan/libvchan.so and libvchan.a. Programs of the tree use VCHAN_CFLAGS, and VCHAN_LIB as a
# prerequisite that they link; others use pkg-config.

VCHAN_SONAME := libvchan.so.1
VCHAN_VERSION := 1.0
VCHAN_SRCS := $(sort $(wildcard vchan/*.c))
VCHAN_OBJS := $(VCHAN_SRCS:%=$(O)/vchan/obj/%.o)
VCHAN_LIB := $(O)/vchan/libvchan.a
VCHAN_CFLAGS := -Ivchan
VCHAN_OWN_CFLAGS := -std=gnu11 -O2 -g -fPIC -fvisibility=hidden -fno-strict-aliasing -fstack-protector-strong \
	-D_FORTIFY_SOURCE=2 $(WARNINGS)
VCHAN_LDFLAGS := -shared -Wl,-soname,$(VCHAN_SONAME) -Wl,--version-script=vchan/libvchan.map -Wl,-z,defs,-z,now,-z,relro
VCHAN_FLAGS_ALL = $(CC) $(VCHAN_OWN_CFLAGS) $(VCHAN_LDFLAGS)
$(eval $(call stamp,VCHAN_FLAGS_ALL,$(O)/vchan/.flags))

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib

$(O)/vchan/obj/%.o: % $(O)/vchan/.flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(VCHAN_OWN_CFLAGS) -MMD -MP -c $< -o $@

# The header has to be one of C99 and of C++ too: no other compilation would notice.
$(O)/vchan/.header: vchan/libvchan.h
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c99 -pedantic $(WARNINGS) -fsyntax-only -x c $<
	$(Q)$(CC) -std=c++98 -Wall -Wextra -Werror -fsyntax-only -x c++ $<
	@touch $@

$(O)/vchan/$(VCHAN_SONAME): $(VCHAN_OBJS) vchan/libvchan.map $(O)/vchan/.header
	$(say) LD $@
	$(Q)$(CC) $(VCHAN_LDFLAGS) -o $@ $(VCHAN_OBJS)

$(O)/vchan/libvchan.so: $(O)/vchan/$(VCHAN_SONAME)
	@ln -sfn $(VCHAN_SONAME) $@

# One object in which only the API is global: names inside the library cannot clash with a program's.
$(VCHAN_LIB): $(VCHAN_OBJS) $(O)/vchan/.header
	$(say) AR $@
	$(Q)$(LD) -r -o $(O)/vchan/libvchan.o $(VCHAN_OBJS)
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='libvchan_*' $(O)/vchan/libvchan.o
	$(Q)rm -f $@ && $(AR) rcs $@ $(O)/vchan/libvchan.o

$(O)/vchan/vchan.pc: vchan/vchan.pc.in $(O)/vchan/.flags
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VCHAN_VERSION)|' $< > $@

vchan: $(O)/vchan/libvchan.so $(VCHAN_LIB) $(O)/vchan/vchan.pc
all: vchan

install-vchan: vchan
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include
	install -m 755 $(O)/vchan/$(VCHAN_SONAME) $(DESTDIR)$(LIBDIR)/$(VCHAN_SONAME)
	ln -sfn $(VCHAN_SONAME) $(DESTDIR)$(LIBDIR)/libvchan.so
	install -m 644 $(VCHAN_LIB) $(DESTDIR)$(LIBDIR)/
	install -m 644 $(O)/vchan/vchan.pc $(DESTDIR)$(LIBDIR)/pkgconfig/
	install -m 644 vchan/libvchan.h $(DESTDIR)$(PREFIX)/include/

-include $(VCHAN_OBJS:.o=.d)
.PHONY: vchan install-vchan
