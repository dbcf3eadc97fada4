# SPDX-License-Identifier: GPL-2.0-or-later
# Running what exists. Images are built by tests/images/, cached under build/images by a hash of their inputs.

# MACHINE=bios-vtd|uefi-vtd|bios-amdvi SMP=n RUN_ARGS='--display gtk' …
MACHINE ?= bios-vtd
SMP ?= 1
PLAY = MAKE='$(MAKE)' O='$(O)' HYPERVISOR='$(HYPERVISOR)' $(PYTHON) tests/system/play.py --machine $(MACHINE) --smp $(SMP) $(RUN_ARGS)
# DISK=FILE: a disk of its own, made when it is not there, that keeps what is written to it.
run:
	+$(Q)$(PLAY) $(DISK:%=--disk '%')
disk:
	+$(Q)$(PLAY) --make-disk --disk '$(or $(DISK),$(O)/disk.img)'
run-console:
	+$(Q)$(PLAY) --console
screenshot:
	$(Q)O='$(O)' $(PYTHON) tests/system/play_screenshot.py
.PHONY: run disk run-console screenshot
