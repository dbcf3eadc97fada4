# SPDX-License-Identifier: GPL-2.0-or-later
# Disks that boot the desktop by themselves.
