# SPDX-License-Identifier: GPL-2.0-or-later
# Host tools: every directory tools/<name>/ with C files is one program, build/tools/bh-<name>. A source may
# name libraries in a line "// libs: -lfoo" among its first ten.

TOOLS := $(sort $(patsubst tools/%/,%,$(dir $(wildcard tools/*/*.c))))
TOOL_CFLAGS := -std=gnu11 -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2 -D_GNU_SOURCE $(WARNINGS) \
	-Ihypervisor/include
TOOL_FLAGS_ALL = $(CC) $(TOOL_CFLAGS)
$(eval $(call stamp,TOOL_FLAGS_ALL,$(O)/tools/.flags))

$(O)/tools/obj/%.o: % $(O)/tools/.flags
	$(say) HOSTCC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_CFLAGS) -Itools/$(firstword $(subst /, ,$(patsubst tools/%,%,$<))) -MMD -MP -c $< -o $@

define tool
$(O)/tools/bh-$(1): $(patsubst %,$(O)/tools/obj/%.o,$(wildcard tools/$(1)/*.c) \
		$(call declared,links,$(wildcard tools/$(1)/*.c)))
	$$(say) HOSTLD $$@
	$$(Q)$$(CC) -o $$@ $$^ $(call declared,libs,$(wildcard tools/$(1)/*.c))
-include $(patsubst %,$(O)/tools/obj/%.d,$(wildcard tools/$(1)/*.c))
endef
$(foreach t,$(TOOLS),$(eval $(call tool,$(t))))

tools: $(TOOLS:%=$(O)/tools/bh-%)
.PHONY: tools
