# SPDX-License-Identifier: GPL-2.0-or-later
# Writes newc archives: the same input gives the same bytes, and device nodes need no privilege.
import os
import stat


class Archive:
    def __init__(self):
        self.entries = {}

    def directory(self, path, mode=0o755):
        self._parents(path)
        self.entries.setdefault(path.strip("/"), (stat.S_IFDIR | mode, b"", 0, 0))

    def file(self, path, data, mode=0o644):
        self._parents(path)
        self.entries[path.strip("/")] = (stat.S_IFREG | mode, data, 0, 0)

    def copy(self, path, source, mode=None):
        with open(source, "rb") as f:
            self.file(path, f.read(), os.stat(source).st_mode & 0o777 if mode is None else mode)

    def link(self, path, target):
        self._parents(path)
        self.entries[path.strip("/")] = (stat.S_IFLNK | 0o777, target.encode(), 0, 0)

    def char_device(self, path, major, minor, mode=0o600):
        self._parents(path)
        self.entries[path.strip("/")] = (stat.S_IFCHR | mode, b"", major, minor)

    def _parents(self, path):
        parts = path.strip("/").split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            self.entries.setdefault("/".join(parts[:depth]), (stat.S_IFDIR | 0o755, b"", 0, 0))

    def write(self, out):
        with open(out, "wb") as f:
            for inode, (name, entry) in enumerate(sorted(self.entries.items()), 1):
                self._entry(f, inode, name, *entry)
            self._entry(f, 0, "TRAILER!!!", 0, b"", 0, 0)

    @staticmethod
    def _entry(f, inode, name, mode, data, major, minor):
        raw = name.encode() + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(raw), 0)
        f.write(b"070701" + b"".join(b"%08X" % n for n in fields) + raw)
        f.write(b"\0" * (-(110 + len(raw)) % 4) + data + b"\0" * (-len(data) % 4))
