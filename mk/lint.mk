# SPDX-License-Identifier: GPL-2.0-or-later
# Lint: the checks are in tests/lint.py; here are the per-file ones, incremental by stamps.

LINT_HEADERS := $(sort $(wildcard hypervisor/include/*/*.h hypervisor/include/*/*/*.h \
	hypervisor/arch/x86/include/*/*.h hypervisor/arch/x86/include/*/*/*.h))
HV_ALL_HEADERS := $(LINT_HEADERS) $(call rwildcard3,hypervisor/common,h) $(call rwildcard3,hypervisor/arch/x86,h) \
	$(call rwildcard3,hypervisor/drivers,h)
TIDY_SRCS := $(filter %.c,$(HV_SRCS))

$(O)/lint/%.tidy: % .clang-tidy $(HV_ALL_HEADERS) | $(ABI)
	@mkdir -p $(@D)
	$(say) TIDY $<
	$(Q)out=$$(clang-tidy --quiet $< -- $(HV_CPPFLAGS) $(subst $(shell $(CC) -print-file-name=include),$(shell $(CLANG) -print-file-name=include),$(HV_CFLAGS)) 2>/dev/null) \
		|| { printf '%s\n' "$$out"; exit 1; }
	@touch $@

$(O)/lint/%.alone: % $(HV_ALL_HEADERS) $(O)/hv/.flags | $(ABI)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CPPFLAGS) $(HV_CFLAGS) -Wno-unused-macros -fsyntax-only -x c -include $< /dev/null
	@touch $@

lint-tidy: $(TIDY_SRCS:%=$(O)/lint/%.tidy)
lint-headers: $(LINT_HEADERS:%=$(O)/lint/%.alone)
lint:
	+$(Q)$(RUN_TESTS) lint
.PHONY: lint lint-tidy lint-headers
