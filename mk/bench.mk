# SPDX-License-Identifier: GPL-2.0-or-later
# Benchmarks against the peers. bench/guests/*.c are test kernels with the runtime of tests/guests/lib.

BENCH_SRCS := $(sort $(wildcard bench/guests/*.c bench/guests/domu/*.c))
BENCH_ELFS := $(patsubst bench/guests/%.c,$(O)/bench/%.elf,$(BENCH_SRCS))

$(O)/bench/%.elf: $(O)/guests/obj/bench/guests/%.c.o $(GUEST_LIB_OBJS) tests/guests/lib/guest.lds
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(LD) -m elf_x86_64 -nostdlib -static -z noexecstack --build-id=none -T tests/guests/lib/guest.lds \
		$(filter --no-warn-rwx-segments,$(HV_LDFLAGS)) -o $@ $(filter %.o,$^)

# All of them, one after the other, so that none disturbs another; one that misses a goal does not hold up the rest.
bench:
	+$(Q)$(MAKE) -k -j1 $(sort $(BENCHES))
bench-hypervisor: hypervisor tools $(BENCH_ELFS)
	+$(Q)MAKE='$(MAKE)' O='$(O)' $(PYTHON) bench/run.py
# Guests of the stock toolstack: two boots of a Debian dom0.
bench-domains: hypervisor tools guest-programs
	+$(Q)MAKE='$(MAKE)' O='$(O)' $(PYTHON) bench/domains.py
BENCHES += bench-hypervisor bench-domains
.PHONY: bench bench-hypervisor bench-domains
.SECONDARY: $(BENCH_SRCS:%=$(O)/guests/obj/%.o)
-include $(BENCH_SRCS:%=$(O)/guests/obj/%.d)
