# SPDX-License-Identifier: GPL-2.0-or-later
# The hypervisor's structures in the memory of a running machine: layouts from the debug information of the build.
import bisect
import os
import re
import subprocess

OUT = os.environ.get("O", "build")


def readelf(*args):
    return subprocess.run(["readelf", "-W", *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=True).stdout


class Layout:
    """Offsets of members of structures that object files know."""

    ENTRY = re.compile(r"^ <(\d+)><[0-9a-f]+>: Abbrev Number: \d+(?: \((\S+)\))?$", re.M)

    def __init__(self, *sources):
        self.members = {}
        for source in sources:
            self._load(readelf("--debug-dump=info", os.path.join(OUT, "hv", source + ".o")))

    def _load(self, text):
        marks, structure = list(self.ENTRY.finditer(text)), None
        for mark, following in zip(marks, marks[1:] + [None]):
            body = text[mark.end():following.start() if following else len(text)]
            name = re.search(r"DW_AT_name\s*:.*\s(\S+)\s*$", body, re.M)
            name = name[1] if name else None
            if mark[1] == "1":
                structure = name if mark[2] == "DW_TAG_structure_type" else None
            if mark[2] == "DW_TAG_member" and mark[1] == "2" and structure:
                offset = re.search(r"DW_AT_data_member_location:(?: \(.*?\))? (\d+)", body)
                if offset:
                    self.members[structure, name] = int(offset[1])

    def offset(self, structure, member):
        return self.members[structure, member]


def symbols(*names):
    """Addresses of the hypervisor's own variables."""
    found = {}
    for line in readelf("-s", os.path.join(OUT, "bulkhead.elf")).splitlines():
        fields = line.split()
        if len(fields) == 8 and fields[7] in names:
            found[fields[7]] = int(fields[1], 16)
    return [found[n] for n in names]


def constants(header, *names):
    """Values of macros that are plain numbers."""
    with open(header, encoding="utf-8") as f:
        text = f.read()
    return [int(re.search(rf"^#\s*define {n}\s+(\w+)", text, re.M)[1], 0) for n in names]


def enumerators(header, name):
    """{name: value} of an enum without values of its own: compilers leave types out that no variable has."""
    with open(header, encoding="utf-8") as f:
        body = re.search(rf"^enum {name} {{$(.*?)^}};$", f.read(), re.M | re.S)[1]
    words = re.findall(r"^\t(\w+),?", body, re.M)
    return {word: number for number, word in enumerate(words)}


class Memory:
    """The hypervisor's memory by its own addresses, through the mappings (virtual, physical, size) of one CPU."""

    def __init__(self, vm, mappings):
        self.vm = vm
        self.runs = []  # what follows each other in both spaces, in one piece
        for virtual, physical, size in sorted(mappings):
            last = self.runs[-1] if self.runs else (0, 0, 0)
            if (last[0] + last[2], last[1] + last[2]) == (virtual, physical):
                self.runs[-1] = (last[0], last[1], last[2] + size)
            else:
                self.runs.append((virtual, physical, size))
        self.starts = [r[0] for r in self.runs]

    def read(self, virtual, size):
        data = b""
        while len(data) < size:
            at = virtual + len(data)
            i = bisect.bisect_right(self.starts, at) - 1
            start, physical, length = self.runs[i] if i >= 0 else (0, 0, 0)
            if not start <= at < start + length:
                raise LookupError(f"0x{at:x} is not mapped")
            data += self.vm.physical(physical + at - start, min(size - len(data), start + length - at))
        return data

    def number(self, virtual, size=8):
        return int.from_bytes(self.read(virtual, size), "little")

    def list(self, head):
        """The links of a list (bulkhead/list.h: the first word points to the next one)."""
        link = self.number(head)
        for _ in range(100000):
            if link == head:
                return
            yield link
            link = self.number(link)
        raise RuntimeError(f"the list at 0x{head:x} has no end")
