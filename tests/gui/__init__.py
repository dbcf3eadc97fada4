# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that play the two ends of the GUI protocol, and tests that use them.
