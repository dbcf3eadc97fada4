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

$(GUI_AGENT): $(GUI_AGENT_OBJS) $(GUI_LIB) $(VCHAN_LIB)
	$(say) LD $@
	$(Q)$(CC) $(GUI_LDFLAGS) -o $@ $^ $(GUI_AGENT_LIBS) $(GUI_LIBS)

gui: $(GUI_AGENT)
-include $(GUI_AGENT_OBJS:.o=.d)
