# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests: every tests/unit/**/test_*.c is one cmocka program, under ASan and UBSan. Among its first ten
# lines it declares what else it is made of:
#   // links: hypervisor/common/buddy.c hypervisor/arch/fake/fake.c
#   // libs: -lm            // cflags: -DSOMETHING   (the flags apply to the test's own file only)

UNIT_SRCS := $(sort $(call rwildcard3,tests/unit,c))
UNIT_TESTS := $(filter test_%,$(notdir $(UNIT_SRCS:.c=)))
UNIT_BINS := $(UNIT_TESTS:%=$(O)/unit/%)
UNIT_INCLUDES := -Itests/unit -Ihypervisor/include -Ihypervisor/arch/fake/include \
	-Ihypervisor/arch/x86/include
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
UNIT_CFLAGS := -std=gnu11 -O1 -g $(SANITIZE) -fno-strict-aliasing $(WARNINGS) $(XEN_DEFS) $(UNIT_INCLUDES)
UNIT_FLAGS_ALL = $(CC) $(UNIT_CFLAGS)
$(eval $(call stamp,UNIT_FLAGS_ALL,$(O)/unit/.flags))

$(O)/unit/obj/%.o: % $(O)/unit/.flags
	$(say) CC '$< (unit)'
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c $< -o $@

# Devices of x86 guests have a fake machine of their own; a test says "// cflags: -include tests/unit/fake_x86.h".
$(O)/unit/obj/hypervisor/arch/x86/hvm/%.o: EXTRA_CFLAGS := -include tests/unit/fake_x86.h
$(O)/unit/obj/hypervisor/arch/x86/vpci/%.o: EXTRA_CFLAGS := -include tests/unit/fake_x86.h
$(O)/unit/obj/hypervisor/arch/x86/hypercall_%.o: EXTRA_CFLAGS := -include tests/unit/fake_x86.h
$(O)/unit/obj/hypervisor/arch/x86/machine_check.c.o: EXTRA_CFLAGS := -include tests/unit/fake_x86.h
$(O)/unit/obj/hypervisor/arch/x86/exit_cr.c.o: EXTRA_CFLAGS := -include tests/unit/fake_x86.h
$(O)/unit/obj/hypervisor/arch/x86/guest_walk.c.o: EXTRA_CFLAGS := -include tests/unit/fake_x86.h
$(O)/unit/obj/hypervisor/arch/x86/p2m.c.o: EXTRA_CFLAGS := -include tests/unit/fake_x86.h
$(O)/unit/obj/tests/unit/fake_pci.c.o: EXTRA_CFLAGS := -include tests/unit/fake_x86.h
$(O)/unit/obj/tests/unit/fake_x86.c.o: EXTRA_CFLAGS := -include tests/unit/fake_x86.h

define unit_test
$(O)/unit/$(notdir $(1:.c=)): $(patsubst %,$(O)/unit/obj/%.o,$(1) $(call declared,links,$(1)))
	$$(say) LD $$@
	$$(Q)$$(CC) $$(SANITIZE) -o $$@ $$^ -lcmocka $(call declared,libs,$(1))
$(O)/unit/obj/$(1).o: EXTRA_CFLAGS := $(call declared,cflags,$(1))
-include $(patsubst %,$(O)/unit/obj/%.d,$(1) $(call declared,links,$(1)))
endef
$(foreach t,$(filter %.c,$(foreach n,$(UNIT_TESTS),$(filter %/$(n).c,$(UNIT_SRCS)))),$(eval $(call unit_test,$(t))))

unit-programs: $(UNIT_BINS)
unit:
	+$(Q)$(RUN_TESTS) unit
.PHONY: unit unit-programs
