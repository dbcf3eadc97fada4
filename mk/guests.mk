# SPDX-License-Identifier: GPL-2.0-or-later
# Bare-metal test kernels: every tests/guests/*.c becomes one PVH ELF image, build/guests/<name>.elf, with the
# runtime of tests/guests/lib/. They run as dom0, in place of Linux, on ours and on stock Xen.

GUEST_SRCS := $(sort $(wildcard tests/guests/*.c))
GUEST_LIB_SRCS := $(sort $(wildcard tests/guests/lib/*.c tests/guests/lib/*.S))
DOMU_SRCS := $(sort $(wildcard tests/guests/domu/*.c))
GUEST_ELFS := $(patsubst tests/guests/%.c,$(O)/guests/%.elf,$(GUEST_SRCS) $(DOMU_SRCS))
GUEST_LIB_OBJS := $(GUEST_LIB_SRCS:%=$(O)/guests/obj/%.o)
# 32-bit kernels, with what of the runtime does not depend on the mode.
GUEST32_SRCS := $(sort $(wildcard tests/guests/x86_32/*.c))
GUEST32_LIB := $(addprefix tests/guests/lib/,console.c domu.c main.c string.c time.c) \
	$(sort $(wildcard tests/guests/x86_32/lib/*.c tests/guests/x86_32/lib/*.S))
GUEST32_OBJS := $(GUEST32_LIB:%=$(O)/guests/obj32/%.o)
GUEST_ELFS += $(patsubst tests/guests/x86_32/%.c,$(O)/guests/%.elf,$(GUEST32_SRCS))
GUEST_CFLAGS := $(FREESTANDING) -O1 -g -m64 -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
	$(if $(findstring clang,$(CC)),,-fno-toplevel-reorder) -fno-strict-aliasing -fno-asynchronous-unwind-tables -fcf-protection=none $(WARNINGS) $(XEN_DEFS) \
	-Itests/guests/lib -Itests/guests
GUEST_FLAGS_ALL = $(CC) $(GUEST_CFLAGS)
$(eval $(call stamp,GUEST_FLAGS_ALL,$(O)/guests/.flags))

$(O)/guests/obj/%.o: % $(O)/guests/.flags | $(ABI)
	$(say) CC '$< (guest)'
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -MMD -MP -c $< -o $@

$(O)/guests/%.elf: $(O)/guests/obj/tests/guests/%.c.o $(GUEST_LIB_OBJS) tests/guests/lib/guest.lds
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(LD) -m elf_x86_64 -nostdlib -static -z noexecstack --build-id=none -T tests/guests/lib/guest.lds \
		$(filter --no-warn-rwx-segments,$(HV_LDFLAGS)) -o $@ $(filter %.o,$^)

$(O)/guests/obj32/%.o: % $(O)/guests/.flags | $(ABI)
	$(say) CC '$< (guest, 32-bit)'
	@mkdir -p $(@D)
	$(Q)$(CC) $(subst -m64,-m32 -march=i686,$(filter-out -mno-red-zone,$(GUEST_CFLAGS))) -MMD -MP -c $< -o $@

$(O)/guests/%.elf: $(O)/guests/obj32/tests/guests/x86_32/%.c.o $(GUEST32_OBJS) tests/guests/lib/guest.lds
	$(say) LD $@
	$(Q)$(LD) -m elf_i386 -nostdlib -static -z noexecstack --build-id=none -T tests/guests/lib/guest.lds \
		$(filter --no-warn-rwx-segments,$(HV_LDFLAGS)) -o $@ $(filter %.o,$^)

# A guest of several files has the others in a directory of its name.
define domu_parts
$(O)/guests/domu/$(notdir $(1)).elf: $(patsubst %,$(O)/guests/obj/%.o,$(wildcard $(1)/*.c))
-include $(patsubst %,$(O)/guests/obj/%.d,$(wildcard $(1)/*.c))
endef
$(foreach d,$(DOMU_SRCS:.c=),$(eval $(call domu_parts,$(d))))

guest-programs: $(GUEST_ELFS)
oracle: guest-programs
	+$(Q)HYPERVISOR=xen MAKE='$(MAKE)' O='$(O)' $(PYTHON) tests/run $(TESTS:%=--only '%') --record guests xl
.PHONY: guest-programs oracle
.SECONDARY: $(GUEST_LIB_OBJS) $(GUEST32_OBJS) $(GUEST32_SRCS:%=$(O)/guests/obj32/%.o) $(GUEST_SRCS:%=$(O)/guests/obj/%.o) $(DOMU_SRCS:%=$(O)/guests/obj/%.o)
-include $(GUEST_LIB_OBJS:.o=.d) $(GUEST32_OBJS:.o=.d) $(GUEST32_SRCS:%=$(O)/guests/obj32/%.d) $(GUEST_SRCS:%=$(O)/guests/obj/%.d) $(DOMU_SRCS:%=$(O)/guests/obj/%.d)
