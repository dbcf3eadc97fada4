# SPDX-License-Identifier: GPL-2.0-or-later
# System tests: whole machines in an emulator.
