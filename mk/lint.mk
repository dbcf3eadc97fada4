# SPDX-License-Identifier: GPL-2.0-or-later
# Lint: the checks are in tests/lint.py; here are the per-file ones, incremental by stamps.

LINT_HEADERS := $(sort $(wildcard hypervisor/include/*/*.h hypervisor/include/*/*/*.h \
	hypervisor/arch/x86/include/*/*.h hypervisor/arch/x86/include/*/*/*.h))
HV_ALL_HEADERS := $(LINT_HEADERS) $(call rwildcard3,hypervisor/common,h) $(call rwildcard3,hypervisor/arch/x86,h) \
	$(call rwildcard3,hypervisor/drivers,h)
TIDY_SRCS := $(filter %.c,$(HV_SRCS))

TIDY_FLAGS = $(HV_CPPFLAGS) $(subst $(shell $(CC) -print-file-name=include),$(shell $(CLANG) -print-file-name=include),$(HV_CFLAGS))

# Programs and libraries of user space. Their headers are theirs; the rest of the rule is the same.
USER_TIDY_SRCS := $(sort $(wildcard vchan/*.c qrexec/*/*.c))
$(USER_TIDY_SRCS:%=$(O)/lint/%.tidy): TIDY_FLAGS = -std=gnu11 -Ivchan
$(USER_TIDY_SRCS:%=$(O)/lint/%.tidy): $(wildcard vchan/*.h qrexec/*/*.h)

# What was found clean once is clean: remembered by a hash of all that the compiler sees, comments included. The static
# analyzer takes up to a few seconds for a file, the hash some milliseconds.
$(O)/lint/%.tidy: % .clang-tidy $(HV_ALL_HEADERS) | $(ABI)
	@mkdir -p $(@D) $(O)/lint/clean
	$(Q)key=$$({ cat .clang-tidy; clang-tidy --version; echo '$(TIDY_FLAGS)'; $(CLANG) $(TIDY_FLAGS) -E -C $<; } \
			| sha256sum | cut -c 1-40); \
	[ -e $(O)/lint/clean/$$key ] || { [ -n '$(Q)' ] && printf '  TIDY     $<\n'; \
		out=$$(clang-tidy --quiet $< -- $(TIDY_FLAGS) 2>/dev/null) || { printf '%s\n' "$$out"; exit 1; }; \
		touch $(O)/lint/clean/$$key; }
	@touch $@

$(O)/lint/%.alone: % $(HV_ALL_HEADERS) $(O)/hv/.flags | $(ABI)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CPPFLAGS) $(HV_CFLAGS) -Wno-unused-macros -fsyntax-only -x c -include $< /dev/null
	@touch $@

lint-tidy: $(TIDY_SRCS:%=$(O)/lint/%.tidy) $(USER_TIDY_SRCS:%=$(O)/lint/%.tidy)
lint-headers: $(LINT_HEADERS:%=$(O)/lint/%.alone)
lint:
	+$(Q)$(RUN_TESTS) lint
.PHONY: lint lint-tidy lint-headers
