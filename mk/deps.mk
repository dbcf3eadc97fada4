# SPDX-License-Identifier: GPL-2.0-or-later
# The Debian packages that building and testing need: the one list of them.

DEPS := \
	build-essential git python3 \
	clang libclang-rt-dev clang-format clang-tidy cppcheck shellcheck \
	libcmocka-dev libzydis-dev libxen-dev liblzma-dev zlib1g-dev libbz2-dev libzstd-dev liblz4-dev liblzo2-dev libgcrypt20-dev \
	qemu-system-x86 ovmf ipxe-qemu qemu-utils \
	grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools dosfstools \
	busybox-static cpio kmod xz-utils zstd e2fsprogs \
	mmdebstrap acpica-tools \
	spin groff-base pkg-config libxml2-dev procps \
	libwlroots-dev libwayland-dev wayland-protocols libxkbcommon-dev libpixman-1-dev libdrm-dev libxcb1-dev \
	xwayland xkb-data adwaita-icon-theme xterm gtk-3-examples foot xclip \
	libgtk-3-dev libnotify-dev libconfig-dev libseccomp-dev \
	xvfb openbox xdotool x11-utils x11-xserver-utils xserver-xephyr xnest libxtst6 dunst dbus trayer

deps:
	@missing=$$(for p in $(DEPS); do dpkg-query -W -f '$${Status}\n' $$p 2>/dev/null | \
		grep -q '^install ok installed' || echo $$p; done); \
	if [ -z "$$missing" ]; then echo "deps: all packages are installed"; exit 0; fi; \
	install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; }; \
	echo "deps: installing" $$missing; \
	install || { apt-get update -q && install; }
.PHONY: deps
