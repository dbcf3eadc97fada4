# SPDX-License-Identifier: GPL-2.0-or-later
# The images of qubes and of dom0, under build/images: made again when anything that goes in has changed.

templates: tools qubesdb qrexec desktop gui
	+$(Q)O='$(O)' $(PYTHON) templates/build.py
# All images a second time, from packages: they have to be the same.
check-reproducible: tools qubesdb qrexec desktop gui
	+$(Q)O='$(O)' $(PYTHON) -B templates/compare.py
.PHONY: templates check-reproducible
