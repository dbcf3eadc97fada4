# SPDX-License-Identifier: GPL-2.0-or-later
# The agent of the windows, build/gui/bulkhead-gui-agent: a Wayland compositor for qubes.

GUI_AGENT := $(O)/gui/bulkhead-gui-agent
GUI_AGENT_SRCS := $(sort $(wildcard gui/agent/*.c))
GUI_AGENT_OBJS := $(GUI_AGENT_SRCS:%=$(O)/gui/obj/%.o)
GUI_AGENT_PACKAGES := wlroots wayland-server xkbcommon pixman-1 libdrm xcb
GUI_AGENT_PROTOCOLS := $(O)/gui/protocols
# Headers of others are system headers: their style is not ours to warn of.
GUI_AGENT_CFLAGS := -D_GNU_SOURCE -DWLR_USE_UNSTABLE -isystem $(GUI_AGENT_PROTOCOLS) \
	$(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(GUI_AGENT_PACKAGES) 2>/dev/null))
GUI_AGENT_LIBS := $(shell pkg-config --libs $(GUI_AGENT_PACKAGES) 2>/dev/null)

# wlroots' headers include this one, which every compositor generates for itself.
$(GUI_AGENT_PROTOCOLS)/xdg-shell-protocol.h:
	$(say) SCANNER $@
	@mkdir -p $(@D)
	$(Q)wayland-scanner server-header /usr/share/wayland-protocols/stable/xdg-shell/xdg-shell.xml $@

$(O)/gui/obj/gui/agent/%.o: EXTRA_CFLAGS := $(GUI_AGENT_CFLAGS)
$(GUI_AGENT_OBJS): | $(GUI_AGENT_PROTOCOLS)/xdg-shell-protocol.h

$(GUI_AGENT): $(GUI_AGENT_OBJS) $(GUI_LIB) $(VCHAN_LIB) $(QUBESDB_LIB)
	$(say) LD $@
	$(Q)$(CC) $(GUI_LDFLAGS) -o $@ $^ $(GUI_AGENT_LIBS) $(GUI_LIBS)

gui: $(GUI_AGENT)
-include $(GUI_AGENT_OBJS:.o=.d)

# For tests: the agent with sanitizers, and a Wayland client that follows instructions.
GUI_ASAN_SRCS := $(GUI_AGENT_SRCS) $(GUI_COMMON_SRCS) $(filter-out vchan/uri.c,$(VCHAN_SRCS))
GUI_ASAN_OBJS := $(GUI_ASAN_SRCS:%=$(O)/gui/asan/%.o)
GUI_ASAN_CFLAGS = -std=gnu11 -O1 -g -fno-strict-aliasing $(SANITIZE) $(WARNINGS) $(GUI_AGENT_CFLAGS)

GUI_ASAN_FLAGS_ALL = $(CC) -O1 -g $(GUI_AGENT_CFLAGS)
$(eval $(call stamp,GUI_ASAN_FLAGS_ALL,$(O)/gui/asan/.flags))

$(O)/gui/asan/%.o: % $(O)/gui/asan/.flags | $(GUI_AGENT_PROTOCOLS)/xdg-shell-protocol.h
	$(say) CC '$< (asan)'
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUI_ASAN_CFLAGS) -MMD -MP -c $< -o $@

$(O)/gui/asan/bulkhead-gui-agent: $(GUI_ASAN_OBJS) $(QUBESDB_LIB)
	$(say) LD $@
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(GUI_AGENT_LIBS) $(GUI_LIBS)

$(GUI_AGENT_PROTOCOLS)/xdg-shell-client-protocol.h:
	$(say) SCANNER $@
	@mkdir -p $(@D)
	$(Q)wayland-scanner client-header /usr/share/wayland-protocols/stable/xdg-shell/xdg-shell.xml $@
$(GUI_AGENT_PROTOCOLS)/xdg-shell.c:
	$(say) SCANNER $@
	@mkdir -p $(@D)
	$(Q)wayland-scanner private-code /usr/share/wayland-protocols/stable/xdg-shell/xdg-shell.xml $@

$(O)/gui/wl-client: tests/gui/wl-client.c tests/gui/wl_globals.c tests/gui/wl_globals.h $(GUI_AGENT_PROTOCOLS)/xdg-shell.c \
		$(GUI_AGENT_PROTOCOLS)/xdg-shell-client-protocol.h $(O)/gui/.flags
	$(say) LD $@
	$(Q)$(CC) $(GUI_CFLAGS) -D_GNU_SOURCE -isystem $(GUI_AGENT_PROTOCOLS) -pie -o $@ $(filter %.c,$^) -lwayland-client

$(O)/gui/tray-client: tests/gui/tray-client.c $(O)/gui/.flags
	$(say) LD $@
	$(Q)$(CC) $(GUI_CFLAGS) -D_GNU_SOURCE -pie -o $@ $< -lxcb

gui-agent-programs: gui qubesdb $(O)/vchan/libvchan.so $(O)/gui/asan/bulkhead-gui-agent $(O)/gui/wl-client $(O)/gui/tray-client
.PHONY: gui-agent-programs
-include $(GUI_ASAN_OBJS:.o=.d)

# The fuzz target has the agent and a client in one process.
$(O)/fuzz/obj/gui/agent/%.o $(O)/fuzz/obj/tests/fuzz/fuzz_gui_agent.c.o \
$(O)/fuzz/obj/tests/fuzz/gui_agent_client.c.o $(O)/fuzz/obj/tests/gui/wl_globals.c.o: FUZZ_CFLAGS += $(GUI_AGENT_CFLAGS)
$(GUI_AGENT_SRCS:%=$(O)/fuzz/obj/%.o) $(O)/fuzz/obj/tests/fuzz/fuzz_gui_agent.c.o \
$(O)/fuzz/obj/tests/fuzz/gui_agent_client.c.o $(O)/fuzz/obj/tests/gui/wl_globals.c.o: | $(GUI_AGENT_PROTOCOLS)/xdg-shell-protocol.h \
	$(GUI_AGENT_PROTOCOLS)/xdg-shell-client-protocol.h $(GUI_AGENT_PROTOCOLS)/xdg-shell.c

# The program that sends icons.
GUI_SENDER_PACKAGES := gdk-pixbuf-2.0 x11
GUI_SENDER_CFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(GUI_SENDER_PACKAGES) 2>/dev/null))
$(O)/gui/obj/gui/icons/sender.c.o: EXTRA_CFLAGS := $(GUI_SENDER_CFLAGS)
$(O)/gui/gui-icon-sender: $(O)/gui/obj/gui/icons/sender.c.o
	$(say) LD $@
	$(Q)$(CC) $(GUI_LDFLAGS) -o $@ $^ $(shell pkg-config --libs $(GUI_SENDER_PACKAGES) 2>/dev/null)
gui: $(O)/gui/gui-icon-sender
-include $(O)/gui/obj/gui/icons/sender.c.d

# For qubes: SYSCONFDIR is where profile.d is. The user of the qube enables the unit, see bulkhead-gui-agent(1).
SYSCONFDIR ?= /etc
install-gui-agent: $(GUI_AGENT) $(O)/gui/gui-icon-sender
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib/bulkhead lib/systemd/user lib/modprobe.d lib/modules-load.d \
		lib/udev/rules.d lib/sysusers.d share/man/man1 share/man/man8) $(DESTDIR)$(SYSCONFDIR)/profile.d \
		$(DESTDIR)/etc/qubes-rpc $(DESTDIR)/etc/qubes/rpc-config
	install -m 755 gui/agent/session/qubes.SetMonitorLayout $(DESTDIR)/etc/qubes-rpc/
	install -m 644 gui/agent/session/qubes.SetMonitorLayout.config \
		$(DESTDIR)/etc/qubes/rpc-config/qubes.SetMonitorLayout
	install -m 755 $(GUI_AGENT) $(DESTDIR)$(PREFIX)/bin/
	install -m 755 gui/agent/session/gui-session $(O)/gui/gui-icon-sender $(DESTDIR)$(PREFIX)/lib/bulkhead/
	for unit in gui/agent/session/*.service gui/agent/session/*.target; do \
		sed 's|@PREFIX@|$(PREFIX)|g' $$unit > $(DESTDIR)$(PREFIX)/lib/systemd/user/$${unit##*/}; done
	install -m 644 gui/agent/session/modprobe.conf $(DESTDIR)$(PREFIX)/lib/modprobe.d/bulkhead-gui.conf
	install -m 644 gui/agent/session/modules.conf $(DESTDIR)$(PREFIX)/lib/modules-load.d/bulkhead-gui.conf
	install -m 644 gui/agent/session/udev.rules $(DESTDIR)$(PREFIX)/lib/udev/rules.d/60-bulkhead-gui.rules
	install -m 644 gui/agent/session/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/bulkhead-gui.conf
	install -m 644 gui/agent/session/profile.sh $(DESTDIR)$(SYSCONFDIR)/profile.d/bulkhead-gui.sh
	install -m 644 docs/man/bulkhead-gui-agent.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 docs/man/gui-icon-sender.8 $(DESTDIR)$(PREFIX)/share/man/man8/
.PHONY: install-gui-agent
$(O)/unit/obj/gui/agent/%.o: EXTRA_CFLAGS := $(GUI_AGENT_CFLAGS)

bench-gui-agent: gui-agent-programs
	$(Q)O='$(O)' $(PYTHON) bench/gui_agent.py
BENCHES += bench-gui-agent
.PHONY: bench-gui-agent
