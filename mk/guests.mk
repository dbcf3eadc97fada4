# SPDX-License-Identifier: GPL-2.0-or-later
# Bare-metal test kernels: every tests/guests/*.c becomes one PVH ELF image, build/guests/<name>.elf, with the
# runtime of tests/guests/lib/. They run as dom0, in place of Linux, on ours and on stock Xen.

GUEST_SRCS := $(sort $(wildcard tests/guests/*.c))
GUEST_LIB_SRCS := $(sort $(wildcard tests/guests/lib/*.c tests/guests/lib/*.S))
GUEST_ELFS := $(patsubst tests/guests/%.c,$(O)/guests/%.elf,$(GUEST_SRCS))
GUEST_LIB_OBJS := $(GUEST_LIB_SRCS:%=$(O)/guests/obj/%.o)
GUEST_CFLAGS := $(FREESTANDING) -O1 -g -m64 -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
	$(if $(findstring clang,$(CC)),,-fno-toplevel-reorder) -fno-strict-aliasing -fno-asynchronous-unwind-tables -fcf-protection=none $(WARNINGS) $(XEN_DEFS) \
	-Itests/guests/lib
GUEST_FLAGS_ALL = $(CC) $(GUEST_CFLAGS)
$(eval $(call stamp,GUEST_FLAGS_ALL,$(O)/guests/.flags))

$(O)/guests/obj/%.o: % $(O)/guests/.flags | $(ABI)
	$(say) CC '$< (guest)'
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -MMD -MP -c $< -o $@

$(O)/guests/%.elf: $(O)/guests/obj/tests/guests/%.c.o $(GUEST_LIB_OBJS) tests/guests/lib/guest.lds
	$(say) LD $@
	$(Q)$(LD) -m elf_x86_64 -nostdlib -static -z noexecstack --build-id=none -T tests/guests/lib/guest.lds \
		$(filter --no-warn-rwx-segments,$(HV_LDFLAGS)) -o $@ $(filter %.o,$^)

guest-programs: $(GUEST_ELFS)
oracle: guest-programs
	+$(Q)HYPERVISOR=xen MAKE='$(MAKE)' O='$(O)' $(PYTHON) tests/run $(TESTS:%=--only '%') --record guests
.PHONY: guest-programs oracle
.SECONDARY: $(GUEST_LIB_OBJS) $(GUEST_SRCS:%=$(O)/guests/obj/%.o)
-include $(GUEST_LIB_OBJS:.o=.d) $(GUEST_SRCS:%=$(O)/guests/obj/%.d)
