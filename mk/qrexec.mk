# SPDX-License-Identifier: GPL-2.0-or-later
# qrexec: the policy engine, the wire library and the programs, build/qrexec/<program>. Every qrexec/tool/*.c
# is one program; it links what else it needs below qrexec/. Tools of qrexec/tool with a .sh at their end are
# installed as they are.

QREXEC_SRCS := $(sort $(wildcard qrexec/policy/*.c qrexec/lib/*.c qrexec/service/*.c))
QREXEC_DAEMON_SRCS := $(sort $(wildcard qrexec/daemon/*.c))
QREXEC_TOOLS := $(sort $(wildcard qrexec/tool/*.c))
QREXEC_PROGRAMS := $(foreach t,$(QREXEC_TOOLS),$(O)/qrexec/$(subst _,-,$(notdir $(t:.c=))))
QREXEC_OBJS := $(QREXEC_SRCS:%=$(O)/qrexec/obj/%.o)
QREXEC_CFLAGS := -std=gnu11 -O2 -g -fPIE -fno-strict-aliasing -fstack-protector-strong -D_FORTIFY_SOURCE=2 $(WARNINGS)
QREXEC_LDFLAGS := -pie -Wl,-z,now,-z,relro
QREXEC_FLAGS_ALL = $(CC) $(QREXEC_CFLAGS) $(QREXEC_LDFLAGS)
$(eval $(call stamp,QREXEC_FLAGS_ALL,$(O)/qrexec/.flags))

$(O)/qrexec/obj/%.o: % $(O)/qrexec/.flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(QREXEC_CFLAGS) -MMD -MP -c $< -o $@

$(O)/qrexec/libqrexec.a: $(QREXEC_OBJS)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# What only one program consists of.
qrexec_own = $(1) $(if $(filter %/qrexec_daemon.c,$(1)),$(QREXEC_DAEMON_SRCS))

define qrexec_program
$(O)/qrexec/$(subst _,-,$(notdir $(1:.c=))): $(patsubst %,$(O)/qrexec/obj/%.o,$(call qrexec_own,$(1))) $(O)/qrexec/libqrexec.a $(VCHAN_LIB)
	$$(say) LD $$@
	$$(Q)$$(CC) $$(QREXEC_LDFLAGS) -o $$@ $$^
endef
$(foreach t,$(QREXEC_TOOLS),$(eval $(call qrexec_program,$(t))))

qrexec: $(QREXEC_PROGRAMS)
all: qrexec

-include $(QREXEC_OBJS:.o=.d) $(patsubst %,$(O)/qrexec/obj/%.d,$(QREXEC_TOOLS) $(QREXEC_DAEMON_SRCS))
.PHONY: qrexec

# bench-qrexec prints measurements and fails when one is over its limit.
$(O)/qrexec/bench-policy: $(O)/qrexec/obj/qrexec/bench/bench_policy.c.o $(O)/qrexec/libqrexec.a
	$(say) LD $@
	$(Q)$(CC) $(QREXEC_LDFLAGS) -o $@ $^
bench-qrexec: $(O)/qrexec/bench-policy
	$(Q)$<
.PHONY: bench-qrexec
-include $(O)/qrexec/obj/qrexec/bench/bench_policy.c.d

# What links tests/unit/qrexec_fixture.c runs the programs, built like unit tests: with the sanitizers.
define qrexec_unit_program
$(O)/unit/qrexec/$(subst _,-,$(notdir $(1:.c=))): $(patsubst %,$(O)/unit/obj/%.o,$(call qrexec_own,$(1)) $(QREXEC_SRCS)) $(VCHAN_LIB)
	$$(say) LD $$@
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(SANITIZE) -o $$@ $$^
endef
$(foreach t,$(QREXEC_TOOLS),$(eval $(call qrexec_unit_program,$(t))))
QREXEC_UNIT_PROGRAMS := $(patsubst $(O)/qrexec/%,$(O)/unit/qrexec/%,$(QREXEC_PROGRAMS))
$(O)/unit/obj/tests/unit/qrexec_fixture.c.o: $(QREXEC_UNIT_PROGRAMS)
-include $(patsubst %,$(O)/unit/obj/%.d,$(QREXEC_SRCS) $(QREXEC_TOOLS) $(QREXEC_DAEMON_SRCS))
