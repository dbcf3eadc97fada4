#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# "make check-reproducible": builds all images once more, from nothing but packages, and compares them with those of the cache.
import os
import re
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.environ.get("O", "build")
PLACE = os.path.join(OUT, "images")
OTHER = os.path.join(OUT, "images-again")
BLOCK = 4096
# So many files of an image are named that differ.
NAMED_MAX = 20


def build(place):
    """Paths of all images, in this cache."""
    print(f"build into {place}", flush=True)
    done = subprocess.run([sys.executable, "-B", "templates/build.py"], stdout=subprocess.PIPE, check=True, text=True,
                          env=dict(os.environ, BULKHEAD_IMAGES=place))
    return [line.split()[1] for line in done.stdout.splitlines() if f" {place}/" in line]


def data_blocks(path):
    """(number, bytes) of the blocks that are not all zeros."""
    with open(path, "rb") as f:
        size, at = os.fstat(f.fileno()).st_size, 0
        while at < size:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            f.seek(at)
            for number in range(at // BLOCK, -(-end // BLOCK)):
                block = f.read(BLOCK)
                if block.count(0) != len(block):
                    yield number, block
            at = end


def differing(one, other):
    """Numbers of the blocks that are not the same; None at the end of one of the two."""
    left, right = data_blocks(one), data_blocks(other)
    a, b = next(left, None), next(right, None)
    while a or b:
        if a == b:
            a, b = next(left, None), next(right, None)
            continue
        number = min(x[0] for x in (a, b) if x)
        yield number
        a = next(left, None) if a and a[0] == number else a
        b = next(right, None) if b and b[0] == number else b


def files_of(image, blocks):
    """Names of the files that have these blocks of an ext4 image."""
    def ask(command):
        return subprocess.run(["debugfs", "-R", command, image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=False, text=True).stdout

    inodes = set(re.findall(r"^\d+\t(\d+)$", ask("icheck " + " ".join(map(str, blocks))), re.M))
    return sorted(re.findall(r"^\d+\t(.+)$", ask("ncheck " + " ".join(sorted(inodes))), re.M)) if inodes else []


def compare(path):
    """Whether the image is the same in both caches."""
    other = os.path.join(OTHER, os.path.basename(path))
    if not os.path.exists(other):
        print(f"FAIL {os.path.basename(path)}: the other build has another name for it: its inputs are not the same")
        return False
    blocks = list(differing(path, other))
    if not blocks:
        print(f"ok   {os.path.basename(path)}")
        return True
    print(f"FAIL {os.path.basename(path)}: {len(blocks)} blocks of {BLOCK} bytes differ, the first of them {blocks[:8]}")
    if path.endswith(".img"):
        for name in files_of(path, blocks[:500])[:NAMED_MAX]:
            print(f"     | {name}")
    return False


def main():
    os.chdir(TOP)
    if os.path.isdir(OTHER):
        shutil.rmtree(OTHER)
    ours = build(PLACE)
    # Where the packages of Debian are, but not what was made of them.
    os.makedirs(OTHER)
    os.symlink(os.path.abspath(os.path.join(PLACE, "deb")), os.path.join(OTHER, "deb"))
    build(OTHER)
    same = sum(compare(path) for path in ours)
    if same == len(ours):
        shutil.rmtree(OTHER)
    print(f"{same} passed, {len(ours) - same} failed")
    sys.exit(same != len(ours))


if __name__ == "__main__":
    main()
