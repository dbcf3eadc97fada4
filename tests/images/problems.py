# SPDX-License-Identifier: GPL-2.0-or-later
# What can be missing, fail or be damaged when images are built, and what to do about it.
import contextlib
import os
import re
import shutil
import subprocess

from . import cache


def need_space(mebibytes, what):
    """Before work that takes long and would end in the middle."""
    os.makedirs(cache.PLACE, exist_ok=True)
    free = shutil.disk_usage(cache.PLACE).free >> 20
    if free < mebibytes:
        raise RuntimeError(f"not enough space on the disk of {cache.PLACE}: {what} takes {mebibytes} MiB there, and {free} MiB are free. "
                           "Make room, or choose another place with O=DIRECTORY. What has been built already is kept.")


@contextlib.contextmanager
def explained():
    """Adds advice to the failure of what installs packages."""
    try:
        yield
    except RuntimeError as problem:
        raise RuntimeError(f"{problem}\n{advice(str(problem))}") from problem


def advice(output):
    """What to do about a failure of mmdebstrap, by what it says."""
    if re.search(r"Temporary failure resolving|Could not (resolve|connect)|Cannot initiate|Unable to connect|Network is unreachable",
                 output):
        text = "No package server answers: is this machine connected to a network?"
    elif "No space left on device" in output:
        text = "The disk of the temporary directory is full: make room, or choose another one with TMPDIR=DIRECTORY."
    else:
        text = "Packages could not be installed into an image, see above."
    return f"{text} Then start again: what has been built already is kept."


def damage(image_path):
    """What is wrong with an image, as far as its own checksums of what describes it tell; None: nothing."""
    done = subprocess.run(["dumpe2fs", image_path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    blocks, size = (re.search(rf"^Block {name}: *(\d+)$", text, re.M) for name in ("count", "size"))
    if done.returncode or not blocks:
        return text.rstrip().splitlines()[-1]
    if "(EXPECTED" in text:
        return "what describes its groups has not the checksum of it"
    if int(blocks[1]) * int(size[1]) != os.path.getsize(image_path):
        return "it is cut off"
    return None
