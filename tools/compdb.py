#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Prints a compilation database: compdb.py source… -- compiler flags…
import json
import os
import sys

cut = sys.argv.index("--")
sources, command = sys.argv[1:cut], sys.argv[cut + 1:]
json.dump([{"directory": os.getcwd(), "file": s, "arguments": command + ["-c", s]}
           for s in sources if s.endswith(".c")], sys.stdout, indent=1)
