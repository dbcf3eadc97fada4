# SPDX-License-Identifier: GPL-2.0-or-later
# The images of qubes and of dom0, under build/images: made again when anything that goes in has changed.

templates: tools qubesdb qrexec desktop gui
	+$(Q)O='$(O)' $(PYTHON) templates/build.py
.PHONY: templates
