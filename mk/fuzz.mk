# SPDX-License-Identifier: GPL-2.0-or-later
# Fuzz targets: every tests/fuzz/fuzz_*.c is one libFuzzer program (clang), with "// links:" as for unit
# tests. Its seed corpus is tests/fuzz/corpus/<name without fuzz_>/; what it finds goes to build/fuzz/.

FUZZ_SRCS := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BINS := $(patsubst tests/fuzz/%.c,$(O)/fuzz/%,$(FUZZ_SRCS))
FUZZ_SANITIZE := -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
FUZZ_CFLAGS := -std=gnu11 -O1 -g $(FUZZ_SANITIZE) -fno-strict-aliasing $(WARNINGS) $(XEN_DEFS) $(UNIT_INCLUDES) \
	-Wno-missing-prototypes
FUZZ_SECONDS ?= 600
FUZZ_FLAGS_ALL = $(CLANG) $(FUZZ_CFLAGS)
$(eval $(call stamp,FUZZ_FLAGS_ALL,$(O)/fuzz/.flags))

$(O)/fuzz/obj/%.o: % $(O)/fuzz/.flags
	$(say) CC '$< (fuzz)'
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -MMD -MP -c $< -o $@

define fuzz_target
$(O)/fuzz/$(notdir $(1:.c=)): $(patsubst %,$(O)/fuzz/obj/%.o,$(1) $(call declared,links,$(1)))
	$$(say) LD $$@
	$$(Q)$$(CLANG) $$(FUZZ_SANITIZE) -o $$@ $$^ $(call declared,libs,$(1))
-include $(patsubst %,$(O)/fuzz/obj/%.d,$(1) $(call declared,links,$(1)))
endef
$(foreach t,$(FUZZ_SRCS),$(eval $(call fuzz_target,$(t))))

fuzz-programs: $(FUZZ_BINS)
fuzz-short:
	+$(Q)$(RUN_TESTS) fuzz
fuzz:
	+$(Q)$(RUN_TESTS) --fuzz-seconds $(FUZZ_SECONDS) fuzz
.PHONY: fuzz fuzz-short fuzz-programs
