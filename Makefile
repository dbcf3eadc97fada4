# SPDX-License-Identifier: GPL-2.0-or-later
# Bulkhead: the one entry point of the build. Run "make help" for the targets.

# Where everything built goes; O=dir chooses another place, so that several builds can live side by side.
O ?= build
# Which hypervisor is under dom0 in images, runs and system tests: bulkhead, or xen (Debian's stock 4.17).
HYPERVISOR ?= bulkhead

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-builtin-variables --no-print-directory

# Settings of this machine only, if any.
-include local.mk
include mk/deps.mk
# Nothing else is read before the packages are there that it asks for.
ifeq ($(DEPS_ASKED),)
all: hypervisor tools
include mk/vars.mk
include mk/font.mk
include mk/hypervisor.mk
include mk/tools.mk
include mk/vchan.mk
include mk/qrexec.mk
include mk/gui.mk
include mk/qubesdb.mk
include mk/desktop.mk
include mk/gui-agent.mk
include mk/unit.mk
include mk/fuzz.mk
include mk/lint.mk
include mk/guests.mk
include mk/images.mk
include mk/templates.mk
include mk/bench.mk
include mk/check.mk

clean:
	$(Q)rm -rf $(O)

help:
	@echo "make hypervisor   $(O)/bulkhead.gz (multiboot2 image) and $(O)/bulkhead.elf (its debug symbols)"
	@echo "make tools        host tools: the kernel unpacker"
	@echo "make vchan        libvchan; install-vchan installs it below PREFIX ($(PREFIX))"
	@echo "make qrexec       calls between qubes; install-qrexec (a qube), install-qrexec-dom0: below DESTDIR and PREFIX"
	@echo "make gui          agent and daemon of the windows; install-gui-agent installs the agent for qubes, install-gui-daemon the other"
	@echo "make qubesdb      the database of each qube; install-qubesdb, for dom0 and for qubes"
	@echo "make desktop      the manager of qubes, the prompt, the menu; install-desktop, for dom0"
	@echo "make deps         install the Debian packages that building and testing need (as root or through sudo)"
	@echo "make gui-demo     windows of two qubes on this host, in frames of their colours"
	@echo "make run          boot the desktop in an emulator; make screenshot writes its screen to $(O)/screenshot.png"
	@echo "make disk         a disk that boots the desktop by itself, $(O)/disk.img or DISK=FILE; \"make run DISK=FILE\" boots it and keeps"
	@echo "                  what is written to it"
	@echo "make run-console  boot a Debian dom0 without the desktop, serial console on the terminal"
	@echo "make templates    the images of qubes and of dom0"
	@echo "make check        lint, unit, fuzz, guest and system tests; ends in 'N passed, N failed'"
	@echo "make lint | unit | check-images | vchan-check | windows | fuzz-short | guests | system      one part of it"
	@echo "make qubes        vchan, QubesDB, calls and the manager between real qubes, in one boot; oracle-qubes records it on stock Xen"
	@echo "make check-desktop       the desktop by keyboard and pointer, in one boot"
	@echo "make check-reproducible  builds all images twice and compares them"
	@echo "make fuzz         the fuzz targets for FUZZ_SECONDS each ($(FUZZ_SECONDS))"
	@echo "make soak         SOAK_BOOTS boots of the Debian dom0 ($(SOAK_BOOTS)), hostile guests for SOAK_MINUTES ($(SOAK_MINUTES))"
	@echo "make oracle       record what the guest tests say on stock Xen in tests/oracle/"
	@echo "make bench        measure against stock Xen; prints ratios; one part: bench-hypervisor, bench-domains, bench-channels,"
	@echo "                  bench-vchan, bench-qrexec, bench-gui, bench-gui-agent"
	@echo "make clean        remove $(O)"
	@echo "variables: O=dir V=1 CC=gcc|clang HYPERVISOR=bulkhead|xen TESTS='name…' (system, guests)"

.PHONY: all clean help
endif
