# SPDX-License-Identifier: GPL-2.0-or-later
# Builders of kernels, initramfs, root images and boot media for tests and for "make run".
