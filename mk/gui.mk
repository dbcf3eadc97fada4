# SPDX-License-Identifier: GPL-2.0-or-later
# The windows of qubes. build/gui/libgui.a is what agent and daemon share (gui/common); programs of the tree compile with
# GUI_CFLAGS and link $(GUI_LIB) $(VCHAN_LIB) $(GUI_LIBS).

GUI_COMMON_SRCS := $(sort $(wildcard gui/common/*.c)) vchan/uri.c
GUI_COMMON_OBJS := $(GUI_COMMON_SRCS:%=$(O)/gui/obj/%.o)
GUI_LIB := $(O)/gui/libgui.a
GUI_LIBS := -lxengnttab
GUI_CFLAGS := -std=gnu11 -O2 -g -fPIE -fno-strict-aliasing -fstack-protector-strong -D_FORTIFY_SOURCE=2 $(WARNINGS)
GUI_LDFLAGS := -pie -Wl,-z,now,-z,relro
GUI_FLAGS_ALL = $(CC) $(GUI_CFLAGS) $(GUI_LDFLAGS)
$(eval $(call stamp,GUI_FLAGS_ALL,$(O)/gui/.flags))

$(O)/gui/obj/%.o: % $(O)/gui/.flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUI_CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c $< -o $@

$(GUI_LIB): $(GUI_COMMON_OBJS)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

gui: $(GUI_LIB)
all: gui
.PHONY: gui
-include $(GUI_COMMON_OBJS:.o=.d)

# The daemon. Its parts without GTK (the model) are also built for unit tests and fuzzing, by their "// links:".
GUI_DAEMON_SRCS := $(sort $(wildcard gui/daemon/*.c))
GUI_DAEMON_OBJS := $(GUI_DAEMON_SRCS:%=$(O)/gui/obj/%.o)
GUI_DAEMON_SHARED := $(sort $(wildcard qrexec/policy/*.c)) qrexec/lib/characters.c
GUI_DAEMON_POLICY := $(GUI_DAEMON_SHARED:%=$(O)/gui/obj/%.o)
GUI_DAEMON_PACKAGES := gtk+-3.0 libnotify libconfig libseccomp x11 xext xi
GUI_DAEMON_CFLAGS := $(shell pkg-config --cflags $(GUI_DAEMON_PACKAGES) 2>/dev/null | sed 's/-I/-isystem /g') \
	-Wno-deprecated-declarations
GUI_DAEMON_LIBS := $(shell pkg-config --libs $(GUI_DAEMON_PACKAGES) 2>/dev/null)
$(O)/gui/obj/gui/daemon/%.o: EXTRA_CFLAGS := $(GUI_DAEMON_CFLAGS)

$(O)/gui/gui-daemon: $(GUI_DAEMON_OBJS) $(GUI_DAEMON_POLICY) $(GUI_LIB) $(VCHAN_LIB)
	$(say) LD $@
	$(Q)$(CC) $(GUI_LDFLAGS) -o $@ $^ $(GUI_LIBS) $(GUI_DAEMON_LIBS)

gui: $(O)/gui/gui-daemon
-include $(GUI_DAEMON_OBJS:.o=.d) $(GUI_DAEMON_POLICY:.o=.d)

# The same daemon with the sanitizers, which the windows stage runs.
$(O)/unit/obj/gui/daemon/%.o: EXTRA_CFLAGS := $(GUI_DAEMON_CFLAGS)
$(O)/unit/gui/gui-daemon: $(patsubst %,$(O)/unit/obj/%.o,$(GUI_COMMON_SRCS) $(GUI_DAEMON_SRCS) $(GUI_DAEMON_SHARED)) $(VCHAN_LIB)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(GUI_LIBS) $(GUI_DAEMON_LIBS)
gui-test-programs: vchan gui $(O)/unit/gui/gui-daemon
windows:
	+$(Q)$(RUN_TESTS) windows
.PHONY: gui-test-programs windows
-include $(patsubst %,$(O)/unit/obj/%.d,$(GUI_DAEMON_SRCS))

# Two qubes on this host: on the user's display, or as a picture of Xvfb's.
gui-demo: gui vchan
	$(Q)$(PYTHON) tests/gui/demo.py --out $(O) --picture $(O)/gui-demo.png
.PHONY: gui-demo

# Measurements on this host, against Xephyr.
$(O)/bench/gui-client: bench/gui-client.c $(O)/gui/.flags
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUI_CFLAGS) -pie -o $@ $< -lX11 -lXext
bench-gui: gui vchan $(O)/bench/gui-client
	$(Q)$(PYTHON) bench/gui.py --out $(O)
BENCHES += bench-gui
.PHONY: bench-gui

# Static analysis, remembered as in lint.mk.
GUI_TIDY_FLAGS = -std=gnu11 -O2 $(WARNINGS) $(GUI_DAEMON_CFLAGS)
GUI_TIDY := $(patsubst %,$(O)/lint/%.gui-tidy,$(filter gui/%,$(GUI_COMMON_SRCS)) $(GUI_DAEMON_SRCS) \
	$(wildcard gui/icons/*.c gui/monitors/*.c))
$(O)/lint/%.gui-tidy: % .clang-tidy $(wildcard gui/common/*.h gui/daemon/*.h)
	@mkdir -p $(@D) $(O)/lint/clean
	$(Q)key=$$({ cat .clang-tidy; clang-tidy --version; echo '$(GUI_TIDY_FLAGS)'; $(CLANG) $(GUI_TIDY_FLAGS) -E -C $<; } \
			| sha256sum | cut -c 1-40); \
	[ -e $(O)/lint/clean/$$key ] || { [ -n '$(Q)' ] && printf '  TIDY     $<\n'; \
		out=$$(clang-tidy --quiet $< -- $(GUI_TIDY_FLAGS) 2>/dev/null) || { printf '%s\n' "$$out"; exit 1; }; \
		touch $(O)/lint/clean/$$key; }
	@touch $@
lint-tidy: $(GUI_TIDY)

# The service that gives windows their icons.
GUI_ICON_OBJS := $(patsubst %,$(O)/gui/obj/%.o,gui/icons/receiver.c gui/icons/stream.c gui/daemon/tint.c)
$(O)/gui/gui-icon-receiver: $(GUI_ICON_OBJS)
	$(say) LD $@
	$(Q)$(CC) $(GUI_LDFLAGS) -o $@ $^ -lX11
gui: $(O)/gui/gui-icon-receiver
-include $(GUI_ICON_OBJS:.o=.d)

# What tells qubes of the monitors.
GUI_LAYOUT_OBJS := $(patsubst %,$(O)/gui/obj/%.o,gui/monitors/monitor_layout.c qrexec/follow/follow.c qrexec/policy/world.c)
$(O)/gui/gui-monitor-layout: $(GUI_LAYOUT_OBJS)
	$(say) LD $@
	$(Q)$(CC) $(GUI_LDFLAGS) -o $@ $^ -lX11 -lXrandr
gui: $(O)/gui/gui-monitor-layout
-include $(GUI_LAYOUT_OBJS:.o=.d)

# For dom0. Services of qubes' calls look for programs in QUBES_LIB.
install-gui-daemon: $(O)/gui/gui-daemon $(O)/gui/gui-icon-receiver $(O)/gui/gui-monitor-layout
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin share/man/man1 share/man/man5 share/man/man8 share/bash-completion/completions) \
		$(DESTDIR)$(QUBES_LIB) $(DESTDIR)/etc/qubes-rpc
	install -m 755 $(O)/gui/gui-daemon $(O)/gui/gui-monitor-layout $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(O)/gui/gui-icon-receiver $(DESTDIR)$(QUBES_LIB)/
	install -m 755 gui/icons/qubes.WindowIconUpdater $(DESTDIR)/etc/qubes-rpc/
	install -m 644 gui/completion/gui-daemon $(DESTDIR)$(PREFIX)/share/bash-completion/completions/
	install -m 644 docs/man/gui-daemon.1 docs/man/gui-monitor-layout.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 docs/man/guid.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 644 docs/man/gui-icon-receiver.8 $(DESTDIR)$(PREFIX)/share/man/man8/
.PHONY: install-gui-daemon
