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
VCHAN_PC_ALL = $(PREFIX) $(LIBDIR) $(VCHAN_VERSION)
$(eval $(call stamp,VCHAN_PC_ALL,$(O)/vchan/.prefix))

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

$(O)/vchan/vchan.pc: vchan/vchan.pc.in $(O)/vchan/.prefix
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VCHAN_VERSION)|' $< > $@

vchan: $(O)/vchan/libvchan.so $(VCHAN_LIB) $(O)/vchan/vchan.pc
all: vchan

install-vchan: vchan
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/share/man/man3
	install -m 755 $(O)/vchan/$(VCHAN_SONAME) $(DESTDIR)$(LIBDIR)/$(VCHAN_SONAME)
	ln -sfn $(VCHAN_SONAME) $(DESTDIR)$(LIBDIR)/libvchan.so
	install -m 644 $(VCHAN_LIB) $(DESTDIR)$(LIBDIR)/
	install -m 644 $(O)/vchan/vchan.pc $(DESTDIR)$(LIBDIR)/pkgconfig/
	install -m 644 vchan/libvchan.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 docs/man/libvchan*.3 $(DESTDIR)$(PREFIX)/share/man/man3/
	for page in docs/man/libvchan*.3; do for name in $$(sed -n '/^\.SH NAME/,/^\.SH SYN/{s/ \\-.*//;s/,//g;/^\./!p}' $$page); do \
		[ -e docs/man/$$name.3 ] || echo ".so man3/$${page##*/}" > $(DESTDIR)$(PREFIX)/share/man/man3/$$name.3; done; done

-include $(VCHAN_OBJS:.o=.d)
.PHONY: vchan install-vchan

# Programs for tests in domains and for measurements; static, as they are copied into small images.
VCHAN_TEST_CFLAGS := -std=gnu11 -O2 -g $(WARNINGS) $(VCHAN_CFLAGS)
VCHAN_STOCK_LIBS := -l:libxenvchan.a -l:libxengnttab.a -l:libxenevtchn.a -l:libxenstore.a -l:libxentoolcore.a \
	-l:libxentoollog.a -lpthread
VCHAN_PROGRAMS := $(addprefix $(O)/vchan/,vchan-echo vchan-echo-stock stress bench)

$(O)/vchan/vchan-echo: tests/vchan/vchan-echo.c $(VCHAN_LIB) vchan/libvchan.h
	$(say) LD $@
	$(Q)$(CC) $(VCHAN_TEST_CFLAGS) -static -o $@ $< $(VCHAN_LIB)

# The peer: Debian's library behind the same program.
$(O)/vchan/vchan-echo-stock: tests/vchan/vchan-echo.c tests/vchan/stock.h $(VCHAN_LIB)
	$(say) LD $@
	$(Q)$(CC) $(VCHAN_TEST_CFLAGS) -static -Wl,--wrap=ioctl -DSTOCK -o $@ $< $(VCHAN_STOCK_LIBS)

$(O)/vchan/stress: tests/vchan/stress.c $(VCHAN_SRCS) $(wildcard vchan/*.h)
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(VCHAN_TEST_CFLAGS) -O1 -fsanitize=thread -o $@ $< $(VCHAN_SRCS) -lpthread

$(O)/vchan/bench: bench/vchan.c $(VCHAN_LIB) vchan/libvchan.h
	$(say) LD $@
	$(Q)$(CC) $(VCHAN_TEST_CFLAGS) -o $@ $< $(VCHAN_LIB) -lpthread

vchan-programs: vchan $(VCHAN_PROGRAMS)
vchan-check:
	+$(Q)$(RUN_TESTS) vchan
bench-vchan: $(O)/vchan/bench
	$(Q)$<
# Between qubes, in an emulator that counts instructions.
bench-channels: hypervisor tools
	+$(Q)MAKE='$(MAKE)' O='$(O)' $(PYTHON) bench/channels.py
BENCHES += bench-vchan bench-channels
.PHONY: bench-channels vchan-programs vchan-check bench-vchan
