# SPDX-License-Identifier: GPL-2.0-or-later
# ext4 images of directory trees: the same tree and key give the same bytes.
import hashlib
import os
import re
import subprocess
import uuid
from pathlib import Path

from .cache import run

# All times in an image: long past, and after everything that refuses to be older than some release.
EPOCH = 1700000000
# What debugfs says when all is well: each command, and that there was nothing to remove or a directory is there.
EXPECTED = re.compile(r"debugfs(:| [0-9])|Allocated inode|rm: File not found|(ext2fs_)?mkdir: Ext2 directory already exists|$")


def identity(key, what):
    return str(uuid.UUID(bytes=hashlib.sha256(f"{key} {what}".encode()).digest()[:16], version=4))


def settle_times(tree):
    """Modification times of a tree; the change times of its inodes cannot be set here."""
    for directory, names, files in os.walk(tree):
        for name in names + files:
            os.utime(os.path.join(directory, name), (EPOCH, EPOCH), follow_symlinks=False)
    os.utime(tree, (EPOCH, EPOCH))


def inodes_in_use(image):
    text = subprocess.run(["dumpe2fs", "-h", image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
                          text=True).stdout
    total, free = (int(re.search(rf"^{name}: *(\d+)$", text, re.M)[1]) for name in ("Inode count", "Free inodes"))
    return total - free


def image(tree, out, label, size, key):
    """Makes the file `out`, an ext4 file system of this size with the content of the tree, without a journal."""
    settle_times(tree)
    env = dict(os.environ, E2FSPROGS_FAKE_TIME=str(EPOCH))
    run(["mke2fs", "-q", "-t", "ext4", "-L", label, "-O", "^has_journal", "-U", identity(key, "file system"),
         "-E", f"hash_seed={identity(key, 'directories')},lazy_itable_init=1", "-d", tree, out, size], env=env)
    # mke2fs takes them from the tree and gives out inodes one after the other.
    commands = "".join(f"sif <{number}> {field} @{EPOCH}\n" for number in range(11, inodes_in_use(out) + 1)
                       for field in ("ctime", "atime"))
    subprocess.run(["debugfs", "-w", "-f", "-", out], input=commands.encode(), stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True, env=env)


def add(tree, out):
    """Adds what is below a directory to the image, as root's; a file that is there already is replaced."""
    lines = []
    for path in sorted(Path(tree).rglob("*")):
        name = "/" + path.relative_to(tree).as_posix()
        if path.is_symlink():
            lines += [f"rm {name}", f"symlink {name} {os.readlink(path)}"]
        elif path.is_dir():
            lines.append(f"mkdir {name}")
        else:
            lines += [f"rm {name}", f"write {path.absolute()} {name}", f"sif {name} mode 0{path.stat().st_mode:o}"]
            lines += [f"sif {name} {field} @{EPOCH}" for field in ("atime", "ctime", "mtime")]
    done = subprocess.run(["debugfs", "-w", "-f", "-", out], input="\n".join(lines).encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, env=dict(os.environ, E2FSPROGS_FAKE_TIME=str(EPOCH)))
    problems = [line for line in done.stdout.decode(errors="replace").splitlines()
                if not EXPECTED.match(line)]
    if done.returncode or problems:
        raise RuntimeError(f"{out}: debugfs: exit code {done.returncode}: {problems[:5]}")
