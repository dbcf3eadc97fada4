# SPDX-License-Identifier: GPL-2.0-or-later
# Test stages; tests/run executes them and counts.

SOAK_BOOTS ?= 20
SOAK_MINUTES ?= 60
RUN_TESTS = MAKE='$(MAKE)' O='$(O)' HYPERVISOR='$(HYPERVISOR)' $(PYTHON) tests/run $(TESTS:%=--only '%')

check:
	+$(Q)$(RUN_TESTS) lint unit vchan windows fuzz guests system
system:
	+$(Q)$(RUN_TESTS) system
guests:
	+$(Q)$(RUN_TESTS) guests
soak:
	+$(Q)$(RUN_TESTS) --soak-boots $(SOAK_BOOTS) --soak-minutes $(SOAK_MINUTES) soak
.PHONY: check system guests soak
