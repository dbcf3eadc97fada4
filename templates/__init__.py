# SPDX-License-Identifier: GPL-2.0-or-later
# Root images and initramfs of qubes and of dom0, from packages of the distribution and from this tree.
