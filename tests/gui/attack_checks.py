# SPDX-License-Identifier: GPL-2.0-or-later
# What a hostile agent may try. The daemon drops its qube with a word to the user, or bears it; others go on.
CHECKS = []
