# SPDX-License-Identifier: GPL-2.0-or-later
# The Debian packages that building, running and testing need: the one list of them, and their installation.

DEPS_BUILD := \
	build-essential git python3 pkg-config libxen-dev \
	liblzma-dev zlib1g-dev libbz2-dev libzstd-dev liblz4-dev liblzo2-dev libgcrypt20-dev
# Machines in an emulator, and the images that they boot.
DEPS_IMAGES := \
	qemu-system-x86 ovmf ipxe-qemu qemu-utils \
	grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools dosfstools \
	busybox-static cpio kmod xz-utils zstd e2fsprogs mmdebstrap
DEPS_DESKTOP := \
	libxml2-dev libwlroots-dev libwayland-dev wayland-protocols libxkbcommon-dev libpixman-1-dev libdrm-dev libxcb1-dev \
	libgtk-3-dev libxi-dev libnotify-dev libconfig-dev libseccomp-dev libpam0g-dev
DEPS_TEST := \
	clang libclang-rt-dev clang-format clang-tidy cppcheck shellcheck \
	libcmocka-dev libzydis-dev acpica-tools spin groff-base procps \
	xwayland xkb-data adwaita-icon-theme xterm gtk-3-examples foot xclip \
	xvfb openbox xdotool x11-utils x11-xserver-utils xserver-xephyr xnest libxtst6 dunst dbus trayer tint2 \
	at-spi2-core libglib2.0-bin
DEPS := $(DEPS_BUILD) $(DEPS_IMAGES) $(DEPS_DESKTOP) $(DEPS_TEST)

# Goals that install what they need before anything else, so that they work on a fresh machine: DEPS_OF_<goal>.
# The emulator's own window is for those who have a display.
DEPS_OF_run := $(DEPS_BUILD) $(DEPS_IMAGES) $(DEPS_DESKTOP) $(if $(DISPLAY)$(WAYLAND_DISPLAY),qemu-system-gui)
DEPS_OF_disk := $(DEPS_OF_run)
DEPS_OF_run-console := $(DEPS_BUILD) $(DEPS_IMAGES)
DEPS_OF_check := $(DEPS)
DEPS_OF_deps := $(DEPS)
DEPS_GOALS := run disk run-console check deps

# Compilers and libraries are looked for while make reads the rest, so that comes when the packages are there: this make
# installs them and starts another one for the same goals.
ifndef DEPS_ARE_HERE
DEPS_ASKED := $(filter $(DEPS_GOALS),$(MAKECMDGOALS))
endif

ifneq ($(DEPS_ASKED),)
$(MAKECMDGOALS): with-deps ; @:
with-deps:
	@mk/deps.sh $(sort $(foreach goal,$(DEPS_ASKED),$(DEPS_OF_$(goal))))
	+@goals='$(filter-out deps,$(MAKECMDGOALS))'; [ -z "$$goals" ] || $(MAKE) DEPS_ARE_HERE=yes $$goals
.PHONY: with-deps $(MAKECMDGOALS)
endif
