# SPDX-License-Identifier: GPL-2.0-or-later
# The hypervisor image. Sources are found by wildcard: a new file needs no edit here.

HV_SRCS := $(sort $(wildcard hypervisor/common/*.c hypervisor/lib/*.c) \
	$(call rwildcard3,hypervisor/drivers,c) $(call rwildcard3,hypervisor/arch/x86,c S))
HV_OBJS := $(HV_SRCS:%=$(O)/hv/%.o)
HV_LDS_SRC := hypervisor/arch/x86/bulkhead.lds.S
HV_OBJS := $(filter-out $(O)/hv/$(HV_LDS_SRC).o,$(HV_OBJS)) $(HV_GENERATED)
HV_LDS := $(O)/hv/bulkhead.lds

HV_INCLUDES := -Ihypervisor/include -Ihypervisor/arch/x86/include
HV_CPPFLAGS := $(XEN_DEFS) $(HV_INCLUDES)
# General registers only: the hypervisor never touches a guest's vector state by accident. CET needs
# support that is not there yet; the stack protector's guard is a plain global, as there is no TLS.
HV_CFLAGS := $(FREESTANDING) -O2 -g -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
	-fstack-protector-strong -mstack-protector-guard=global -fno-strict-aliasing -fno-common \
	-fno-asynchronous-unwind-tables -fcf-protection=none -fno-omit-frame-pointer \
	$(WARNINGS)
# Indirect branches go through the thunks of arch/x86/thunks.S, jump tables would be such branches; a trap behind each return
# and jump ends speculation that runs straight on, where the compiler can do it (not clang 14). Apart from HV_CFLAGS, as these
# have other names for other compilers, and tools that read the sources know none of them.
cc_takes = $(if $(shell $(CC) -Werror $(1) -x c -c /dev/null -o /dev/null 2>/dev/null && echo yes),$(1))
HV_BRANCH_CFLAGS := -fno-jump-tables \
	$(or $(call cc_takes,-mindirect-branch=thunk-extern -mindirect-branch-register),-mretpoline-external-thunk) \
	$(call cc_takes,-mharden-sls=all)
HV_ASFLAGS := $(FREESTANDING) -g -fno-pic -mcmodel=kernel -D__ASSEMBLY__ -Wundef -Werror
HV_LDFLAGS := -m elf_x86_64 -nostdlib -static -z max-page-size=0x1000 -z noexecstack --build-id=sha1 \
	$(shell $(LD) --help | grep -c no-warn-rwx-segments >/dev/null && echo --no-warn-rwx-segments)

HV_FLAGS_ALL = $(CC) $(HV_CPPFLAGS) $(HV_CFLAGS) $(HV_BRANCH_CFLAGS) $(HV_ASFLAGS) $(HV_LDFLAGS)
$(eval $(call stamp,HV_FLAGS_ALL,$(O)/hv/.flags))

$(O)/hv/%.c.o: %.c $(O)/hv/.flags | $(ABI)
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CPPFLAGS) $(HV_CFLAGS) $(HV_BRANCH_CFLAGS) -MMD -MP -c $< -o $@

$(O)/hv/%.S.o: %.S $(O)/hv/.flags | $(ABI)
	$(say) AS $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CPPFLAGS) $(HV_ASFLAGS) -MMD -MP -c $< -o $@

$(HV_LDS): $(HV_LDS_SRC) $(O)/hv/.flags | $(ABI)
	$(say) LDS $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CPPFLAGS) $(FREESTANDING) -D__ASSEMBLY__ -E -P -MMD -MP -MT $@ -MF $@.d \
		-x assembler-with-cpp $< -o $@

# The symbol table for backtraces: the first link has an empty one, the second the functions of the first.
# It lies behind the text, so that text addresses are the same in both; tools/ksyms.py checks that.
$(O)/hv/ksyms0.S: tools/ksyms.py
	@mkdir -p $(@D)
	$(Q)$(PYTHON) tools/ksyms.py --empty > $@

$(O)/hv/ksyms1.S: $(O)/hv/pass1.elf tools/ksyms.py
	$(say) KSYMS $@
	$(Q)$(NM) -n $< | $(PYTHON) tools/ksyms.py > $@

$(O)/hv/ksyms%.o: $(O)/hv/ksyms%.S
	$(Q)$(CC) -c $< -o $@

$(O)/hv/pass1.elf: $(HV_LDS) $(HV_OBJS) $(O)/hv/ksyms0.o
	$(say) LD $@
	$(Q)$(LD) $(HV_LDFLAGS) -T $(HV_LDS) -o $@ $(HV_OBJS) $(O)/hv/ksyms0.o

$(O)/bulkhead.elf: $(O)/hv/pass1.elf $(O)/hv/ksyms1.o
	$(say) LD $@
	$(Q)$(LD) $(HV_LDFLAGS) -T $(HV_LDS) -Map $(O)/bulkhead.map -o $@.tmp $(HV_OBJS) $(O)/hv/ksyms1.o
	$(Q)$(NM) -n $@.tmp | $(PYTHON) tools/ksyms.py --verify $(O)/hv/ksyms1.S
	$(Q)mv $@.tmp $@

$(O)/bulkhead.gz: $(O)/bulkhead.elf
	$(say) GZIP $@
	$(Q)$(OBJCOPY) --strip-all $< $(O)/hv/stripped.elf
	$(Q)gzip -9n < $(O)/hv/stripped.elf > $@

hypervisor: $(O)/bulkhead.gz

# One flags list for tools that read sources (clang-tidy, editors).
compile_commands.json: FORCE
	$(Q)$(PYTHON) tools/compdb.py $(HV_SRCS) -- $(CC) $(HV_CPPFLAGS) $(HV_CFLAGS) > $@

-include $(HV_OBJS:.o=.d) $(HV_LDS).d
.PHONY: hypervisor
