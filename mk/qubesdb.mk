# SPDX-License-Identifier: GPL-2.0-or-later
# QubesDB: build/qubesdb/{qubesdb-daemon,qubesdb-cmd,libqubesdb.so,libqubesdb.a}. Every qubesdb/tool/*.c is one program.

QUBESDB_SONAME := libqubesdb.so
QUBESDB_DAEMON_SRCS := qubesdb/tool/qubesdb_daemon.c qubesdb/base.c qubesdb/client.c qubesdb/link.c qubesdb/store.c \
	qubesdb/stream.c qrexec/lib/endpoint.c qrexec/lib/socket.c qrexec/lib/rate.c qubesdb/wire.c
QUBESDB_LIB_SRCS := qubesdb/library.c qrexec/lib/socket.c qubesdb/wire.c
QUBESDB_SRCS := $(sort $(QUBESDB_DAEMON_SRCS) $(QUBESDB_LIB_SRCS) qubesdb/tool/qubesdb_cmd.c)
QUBESDB_CFLAGS := -std=gnu11 -O2 -g -fPIC -fvisibility=hidden -fno-strict-aliasing -fstack-protector-strong -D_FORTIFY_SOURCE=2 $(WARNINGS)
QUBESDB_LDFLAGS := -pie -Wl,-z,now,-z,relro
QUBESDB_SHARED := -shared -Wl,-soname,$(QUBESDB_SONAME) -Wl,--version-script=qubesdb/libqubesdb.map -Wl,-z,defs,-z,now,-z,relro
QUBESDB_FLAGS_ALL = $(CC) $(QUBESDB_CFLAGS) $(QUBESDB_LDFLAGS) $(QUBESDB_SHARED)
$(eval $(call stamp,QUBESDB_FLAGS_ALL,$(O)/qubesdb/.flags))
QUBESDB_NAMES := read write list watch rm multiread
QUBESDB_LIB := $(O)/qubesdb/libqubesdb.a
qubesdb_objects = $(patsubst %,$(O)/qubesdb/obj/%.o,$(1))

$(O)/qubesdb/obj/%.o: % $(O)/qubesdb/.flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(QUBESDB_CFLAGS) -MMD -MP -c $< -o $@

$(O)/qubesdb/qubesdb-daemon: $(call qubesdb_objects,$(QUBESDB_DAEMON_SRCS)) $(VCHAN_LIB)
	$(say) LD $@
	$(Q)$(CC) $(QUBESDB_LDFLAGS) -o $@ $^

# Static, but for libc: the commands work where the library is not installed.
$(O)/qubesdb/qubesdb-cmd: $(call qubesdb_objects,qubesdb/tool/qubesdb_cmd.c) $(QUBESDB_LIB)
	$(say) LD $@
	$(Q)$(CC) $(QUBESDB_LDFLAGS) -o $@ $^

$(O)/qubesdb/$(QUBESDB_SONAME): $(call qubesdb_objects,$(QUBESDB_LIB_SRCS)) qubesdb/libqubesdb.map
	$(say) LD $@
	$(Q)$(CC) $(QUBESDB_SHARED) -o $@ $(filter %.o,$^)

# One object in which only the API is global: names inside the library cannot clash with a program's.
$(QUBESDB_LIB): $(call qubesdb_objects,$(QUBESDB_LIB_SRCS))
	$(say) AR $@
	$(Q)$(LD) -r -o $(O)/qubesdb/libqubesdb.o $^
	$(Q)$(OBJCOPY) --localize-hidden $(O)/qubesdb/libqubesdb.o
	$(Q)rm -f $@ && $(AR) rcs $@ $(O)/qubesdb/libqubesdb.o

qubesdb: $(O)/qubesdb/qubesdb-daemon $(O)/qubesdb/qubesdb-cmd $(O)/qubesdb/$(QUBESDB_SONAME) $(QUBESDB_LIB)
all: qubesdb

# UNITDIR: where systemd looks for units. Which of the two is enabled is up to the system: dom0 or qube.
UNITDIR ?= $(PREFIX)/lib/systemd/system
install-qubesdb: qubesdb
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(LIBDIR) $(DESTDIR)$(PREFIX)/include \
		$(DESTDIR)$(UNITDIR) $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man3 \
		$(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 755 $(O)/qubesdb/qubesdb-daemon $(DESTDIR)$(PREFIX)/sbin/
	install -m 755 $(O)/qubesdb/qubesdb-cmd $(DESTDIR)$(PREFIX)/bin/
	for name in $(QUBESDB_NAMES); do ln -sfn qubesdb-cmd $(DESTDIR)$(PREFIX)/bin/qubesdb-$$name; done
	install -m 755 $(O)/qubesdb/$(QUBESDB_SONAME) $(QUBESDB_LIB) $(DESTDIR)$(LIBDIR)/
	install -m 644 qubesdb/qubesdb-client.h $(DESTDIR)$(PREFIX)/include/
	for unit in qubesdb/systemd/*.service; do \
		sed 's|@SBINDIR@|$(PREFIX)/sbin|' $$unit > $(DESTDIR)$(UNITDIR)/$${unit##*/}; done
	install -m 644 qubesdb/completion/qubesdb $(DESTDIR)$(PREFIX)/share/bash-completion/completions/qubesdb-cmd
	for name in $(QUBESDB_NAMES); do ln -sfn qubesdb-cmd $(DESTDIR)$(PREFIX)/share/bash-completion/completions/qubesdb-$$name; done
	install -m 644 docs/man/qubesdb-cmd.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	for name in $(QUBESDB_NAMES); do echo '.so man1/qubesdb-cmd.1' > \
		$(DESTDIR)$(PREFIX)/share/man/man1/qubesdb-$$name.1; done
	install -m 644 docs/man/libqubesdb.3 $(DESTDIR)$(PREFIX)/share/man/man3/
	install -m 644 docs/man/qubesdb-daemon.8 $(DESTDIR)$(PREFIX)/share/man/man8/

-include $(patsubst %.o,%.d,$(call qubesdb_objects,$(QUBESDB_SRCS)))
.PHONY: qubesdb install-qubesdb

# test_qubesdb_pair runs the programs, built like unit tests: with the sanitizers.
$(O)/unit/qubesdb/qubesdb-daemon: $(patsubst %,$(O)/unit/obj/%.o,$(QUBESDB_DAEMON_SRCS)) $(VCHAN_LIB)
$(O)/unit/qubesdb/qubesdb-cmd: $(patsubst %,$(O)/unit/obj/%.o,qubesdb/tool/qubesdb_cmd.c $(QUBESDB_LIB_SRCS))
$(O)/unit/qubesdb/qubesdb-daemon $(O)/unit/qubesdb/qubesdb-cmd:
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^
$(O)/unit/obj/tests/unit/test_qubesdb_pair.c.o: $(O)/unit/qubesdb/qubesdb-daemon $(O)/unit/qubesdb/qubesdb-cmd
-include $(patsubst %,$(O)/unit/obj/%.d,$(QUBESDB_SRCS))
