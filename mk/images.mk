# SPDX-License-Identifier: GPL-2.0-or-later
# Running what exists. Images are built by tests/images/, cached under build/images by a hash of their inputs.

ifeq ($(HYPERVISOR),bulkhead)
RUN_NEEDS := hypervisor
endif

# MACHINE=bios-vtd|uefi-vtd|bios-amdvi SMP=n RUN_ARGS='--display gtk' …
MACHINE ?= bios-vtd
SMP ?= 1
run: $(RUN_NEEDS) tools
	+$(Q)O='$(O)' HYPERVISOR='$(HYPERVISOR)' $(PYTHON) tests/system/play.py --machine $(MACHINE) --smp $(SMP) $(RUN_ARGS)
.PHONY: run
