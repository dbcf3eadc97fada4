# SPDX-License-Identifier: GPL-2.0-or-later
# The manager of qubes and its commands: build/desktop/{qube-manager,qube,…}; and the prompt.

DESKTOP_MANAGER_SRCS := desktop/tool/qube_manager.c $(sort $(wildcard desktop/manager/*.c))
DESKTOP_SRCS := $(DESKTOP_MANAGER_SRCS) desktop/tool/qube.c desktop/tool/qube_domain.c desktop/tool/qube_session.c
DESKTOP_WORLD := qrexec/policy/world.c
DESKTOP_FOLLOW := qrexec/follow/follow.c $(DESKTOP_WORLD)
DESKTOP_PROGRAMS := $(addprefix $(O)/desktop/,qube-manager qube qube-domain qube-session)
XML2_CFLAGS := $(shell pkg-config --cflags libxml-2.0 2>/dev/null || echo -I/usr/include/libxml2)
DESKTOP_CFLAGS := -std=gnu11 -O2 -g -fPIE -fno-strict-aliasing -fstack-protector-strong -D_FORTIFY_SOURCE=2 $(WARNINGS)
DESKTOP_LDFLAGS := -pie -Wl,-z,now,-z,relro
DESKTOP_FLAGS_ALL = $(CC) $(DESKTOP_CFLAGS) $(XML2_CFLAGS) $(DESKTOP_LDFLAGS)
$(eval $(call stamp,DESKTOP_FLAGS_ALL,$(O)/desktop/.flags))
desktop_objects = $(patsubst %,$(O)/desktop/obj/%.o,$(1))

$(O)/desktop/obj/%.o: % $(O)/desktop/.flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(DESKTOP_CFLAGS) -isystem $(patsubst -I%,%,$(XML2_CFLAGS)) -MMD -MP -c $< -o $@

$(O)/desktop/qube-manager: $(call desktop_objects,$(DESKTOP_MANAGER_SRCS)) $(QUBESDB_LIB)
	$(say) LD $@
	$(Q)$(CC) $(DESKTOP_LDFLAGS) -o $@ $^ -lxml2

$(O)/desktop/qube: $(call desktop_objects,desktop/tool/qube.c qrexec/lib/terminal.c)
	$(say) LD $@
	$(Q)$(CC) $(DESKTOP_LDFLAGS) -o $@ $^

$(O)/desktop/qube-domain: $(call desktop_objects,desktop/tool/qube_domain.c)
	$(say) LD $@
	$(Q)$(CC) $(DESKTOP_LDFLAGS) -o $@ $^ -lxenlight -lxentoollog

$(O)/desktop/qube-session: $(call desktop_objects,desktop/tool/qube_session.c $(DESKTOP_FOLLOW))
	$(say) LD $@
	$(Q)$(CC) $(DESKTOP_LDFLAGS) -o $@ $^

# The prompt: what it knows without a display is also built for unit tests, by their "// links:".
PROMPT_SRCS := desktop/tool/qrexec_prompt.c $(sort $(wildcard desktop/prompt/*.c)) gui/common/label.c qrexec/lib/session.c
PROMPT_PACKAGES := gtk+-3.0 libnotify x11 xext
PROMPT_CFLAGS := $(shell pkg-config --cflags $(PROMPT_PACKAGES) 2>/dev/null | sed 's/-I/-isystem /g') -Wno-deprecated-declarations
PROMPT_LIBS := $(shell pkg-config --libs $(PROMPT_PACKAGES) 2>/dev/null)
$(call desktop_objects,$(PROMPT_SRCS)): DESKTOP_CFLAGS += $(PROMPT_CFLAGS)
$(O)/desktop/qrexec-prompt: $(call desktop_objects,$(PROMPT_SRCS)) $(VCHAN_LIB)
	$(say) LD $@
	$(Q)$(CC) $(DESKTOP_LDFLAGS) -o $@ $^ $(PROMPT_LIBS)
DESKTOP_PROGRAMS += $(O)/desktop/qrexec-prompt
DESKTOP_SRCS += $(PROMPT_SRCS)

# The menu of qubes, and what keeps the lists of their applications.
MENU_SRCS := desktop/menu/entries.c $(DESKTOP_WORLD)
$(call desktop_objects,desktop/tool/qube_menu.c): DESKTOP_CFLAGS += $(PROMPT_CFLAGS)
$(O)/desktop/qube-menu: $(call desktop_objects,desktop/tool/qube_menu.c $(MENU_SRCS) gui/common/label.c)
	$(say) LD $@
	$(Q)$(CC) $(DESKTOP_LDFLAGS) -o $@ $^ $(PROMPT_LIBS)
$(O)/desktop/qube-menu-update: $(call desktop_objects,desktop/tool/qube_menu_update.c $(MENU_SRCS))
	$(say) LD $@
	$(Q)$(CC) $(DESKTOP_LDFLAGS) -o $@ $^
$(O)/desktop/in-session: $(call desktop_objects,desktop/tool/in_session.c desktop/prompt/user_session.c qrexec/lib/session.c) $(VCHAN_LIB)
	$(say) LD $@
	$(Q)$(CC) $(DESKTOP_LDFLAGS) -o $@ $^
DESKTOP_PROGRAMS += $(addprefix $(O)/desktop/,qube-menu qube-menu-update in-session)
DESKTOP_SRCS += desktop/tool/in_session.c desktop/tool/qube_menu.c desktop/tool/qube_menu_update.c desktop/menu/entries.c

desktop: $(DESKTOP_PROGRAMS)
all: desktop

DESKTOP_NAMES := clone create kill ls prefs remove shutdown start tags volume
install-desktop: desktop install-gui-daemon
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin sbin lib/qubes share/qubes share/man/man1 share/man/man8 \
		share/bash-completion/completions \
		share/qubes/session share/themes/Bulkhead/openbox-3 lib/tmpfiles.d lib/udev/rules.d share/X11/xorg.conf.d) $(DESTDIR)$(UNITDIR)/dev-dri-card0.device.d
	install -m 755 $(O)/desktop/qube $(O)/desktop/qube-session $(DESTDIR)$(PREFIX)/bin/
	for name in $(DESKTOP_NAMES); do ln -sfn qube $(DESTDIR)$(PREFIX)/bin/qvm-$$name; done
	install -m 755 $(O)/desktop/qube-manager $(DESTDIR)$(PREFIX)/sbin/
	install -m 755 $(O)/desktop/qube-domain $(O)/desktop/qrexec-prompt desktop/qrexec-start-qube desktop/block \
		$(addprefix $(O)/desktop/,qube-menu qube-menu-update in-session) desktop/session/desktop-session \
		qrexec/etc/lib/qubes-session-ready $(DESTDIR)$(PREFIX)/lib/qubes/
	for file in openbox.xml tint2rc dunstrc; do sed 's|@LIBDIR@|$(PREFIX)/lib/qubes|' desktop/session/$$file \
		> $(DESTDIR)$(PREFIX)/share/qubes/session/$$file; done
	install -m 644 desktop/session/themerc $(DESTDIR)$(PREFIX)/share/themes/Bulkhead/openbox-3/
	install -m 644 desktop/session/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/qubes-session.conf
	install -m 644 desktop/session/udev.rules $(DESTDIR)$(PREFIX)/lib/udev/rules.d/60-qubes-desktop.rules
	install -m 644 desktop/session/screen.conf $(DESTDIR)$(UNITDIR)/dev-dri-card0.device.d/50-qubes-desktop.conf
	install -m 644 desktop/session/xorg.conf $(DESTDIR)$(PREFIX)/share/X11/xorg.conf.d/80-qubes-desktop.conf
	install -m 644 desktop/manager/qubes.rng $(DESTDIR)$(PREFIX)/share/qubes/
	install -m 644 desktop/completion/qube.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/qube
	for name in $(DESKTOP_NAMES); do ln -sfn qube $(DESTDIR)$(PREFIX)/share/bash-completion/completions/qvm-$$name; done
	for unit in desktop/systemd/*.service desktop/session/*.service; do \
		sed 's|@SBINDIR@|$(PREFIX)/sbin|; s|@LIBDIR@|$(PREFIX)/lib/qubes|' $$unit > $(DESTDIR)$(UNITDIR)/$${unit##*/}; done
	install -m 644 docs/man/qube.1 docs/man/qube-session.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	for name in $(DESKTOP_NAMES); do echo '.so man1/qube.1' > $(DESTDIR)$(PREFIX)/share/man/man1/qvm-$$name.1; done
	install -m 644 docs/man/qube-manager.8 docs/man/qrexec-prompt.8 docs/man/desktop-session.8 docs/man/qube-menu.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	echo '.so man8/qube-menu.8' > $(DESTDIR)$(PREFIX)/share/man/man8/qube-menu-update.8

-include $(patsubst %.o,%.d,$(call desktop_objects,$(DESKTOP_SRCS) $(DESKTOP_FOLLOW)))
.PHONY: desktop install-desktop

# test_desktop_manager runs the programs, built like unit tests: with the sanitizers.
$(O)/unit/obj/desktop/%.o: EXTRA_CFLAGS := -isystem $(patsubst -I%,%,$(XML2_CFLAGS))
$(O)/unit/desktop/qube-manager: $(patsubst %,$(O)/unit/obj/%.o,$(DESKTOP_MANAGER_SRCS) $(QUBESDB_LIB_SRCS))
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ -lxml2
$(O)/unit/desktop/qube: $(O)/unit/obj/desktop/tool/qube.c.o $(O)/unit/obj/qrexec/lib/terminal.c.o
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^
$(O)/unit/desktop/qube-session: $(patsubst %,$(O)/unit/obj/%.o,desktop/tool/qube_session.c $(DESKTOP_FOLLOW))
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^
# The windows stage runs the prompt.
$(patsubst %,$(O)/unit/obj/%.o,$(filter desktop/%,$(PROMPT_SRCS))): EXTRA_CFLAGS := $(PROMPT_CFLAGS)
$(O)/unit/desktop/qrexec-prompt: $(patsubst %,$(O)/unit/obj/%.o,$(PROMPT_SRCS)) $(VCHAN_LIB)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(PROMPT_LIBS)
gui-test-programs: desktop $(O)/unit/desktop/qrexec-prompt
$(O)/unit/obj/tests/unit/test_desktop_manager.c.o: $(addprefix $(O)/unit/,desktop/qube-manager desktop/qube desktop/qube-session \
	qubesdb/qubesdb-daemon qubesdb/qubesdb-cmd) $(QREXEC_UNIT_PROGRAMS)
-include $(patsubst %,$(O)/unit/obj/%.d,$(DESKTOP_SRCS))
