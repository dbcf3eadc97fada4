# SPDX-License-Identifier: GPL-2.0-or-later
# Test stages; tests/run executes them and counts.

SOAK_BOOTS ?= 20
SOAK_MINUTES ?= 60
RUN_TESTS = MAKE='$(MAKE)' O='$(O)' HYPERVISOR='$(HYPERVISOR)' $(PYTHON) tests/run $(TESTS:%=--only '%')

check:
	+$(Q)$(RUN_TESTS) lint unit images vchan windows fuzz guests system desktop qubes
system:
	+$(Q)$(RUN_TESTS) system
guests:
	+$(Q)$(RUN_TESTS) guests
soak:
	+$(Q)$(RUN_TESTS) --soak-boots $(SOAK_BOOTS) --soak-minutes $(SOAK_MINUTES) soak
# One boot of dom0 with qubes of the template; oracle-qubes is the same on stock Xen, recorded.
qubes:
	+$(Q)$(RUN_TESTS) qubes
oracle-qubes:
	+$(Q)MAKE='$(MAKE)' O='$(O)' HYPERVISOR=xen $(PYTHON) tests/run $(TESTS:%=--only '%') --record qubes
# The desktop itself: dom0's session and windows of three qubes.
check-desktop:
	+$(Q)MACHINE='$(MACHINE)' $(RUN_TESTS) desktop
# A disk as make disk writes it, with both firmwares; not part of make check.
check-disk:
	+$(Q)$(RUN_TESTS) disk
check-images:
	+$(Q)$(RUN_TESTS) images
.PHONY: check-images check-disk check system guests soak qubes oracle-qubes check-desktop
