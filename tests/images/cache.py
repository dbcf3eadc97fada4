# SPDX-License-Identifier: GPL-2.0-or-later
# A cache of built files under build/images, named by a hash of everything they are made from.
import fcntl
import hashlib
import os
import subprocess
import sys
import time

from . import progress

OUT = os.environ.get("O", "build")
# Who is not root may not have the tools of file systems and modules there.
os.environ["PATH"] = f"{os.environ['PATH']}:/usr/sbin:/sbin"
# Another place is for comparing builds.
PLACE = os.environ.get("BULKHEAD_IMAGES", os.path.join(OUT, "images"))
# Built files that nothing asked for during this long are removed.
KEEP_SECONDS = 3 * 24 * 3600


def digest(*inputs):
    """Hash of inputs: bytes and strings as they are, os.PathLike by content."""
    total = hashlib.sha256()
    for item in inputs:
        if isinstance(item, os.PathLike):
            with open(item, "rb") as f:
                part = hashlib.file_digest(f, "sha256").digest()
        else:
            part = hashlib.sha256(item if isinstance(item, bytes) else str(item).encode()).digest()
        total.update(part)
    return total.hexdigest()[:20]


def own_text(*modules):
    """The source of the builders: an image is rebuilt when its recipe changes."""
    text = []
    for module in modules:
        with open(module, encoding="utf-8") as f:
            text.append(f.read())
    return "\n".join(text)


def cached(kind, suffix, key, build, check=None, lock_name=None):
    """Path of the file of this kind and key; build(path) makes it when it is not there, or when check(path) says what is wrong
    with it. One of a kind, or of a lock's name, is built at a time."""
    os.makedirs(PLACE, exist_ok=True)
    path = os.path.join(PLACE, f"{kind}-{key}{suffix}")
    with open(os.path.join(PLACE, f".{lock_name or kind}.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        problem = check(path) if check and os.path.exists(path) else None
        if problem:
            print(f"{path}: damaged, and built anew: {problem}", file=sys.stderr)
            run(["rm", "-rf", path])
        if os.path.exists(path):
            os.utime(path)
        else:
            partial = os.path.join(PLACE, f".partial-{kind}-{key}{suffix}")
            progress.tell(f"build {kind}")
            run(["rm", "-rf", partial])
            build(partial)
            os.rename(partial, path)
            os.utime(path)
            forget_old(kind)
    return path


def forget_old(kind):
    for name in os.listdir(PLACE):
        path = os.path.join(PLACE, name)
        if name.startswith(kind + "-") and time.time() - os.lstat(path).st_mtime > KEEP_SECONDS:
            run(["rm", "-rf", path])


class NeedsRoot(RuntimeError):
    """Trees of a Debian system have files of all its users."""
    outcome = "needs root"


def need_root():
    if os.geteuid():
        raise NeedsRoot("only root can build the file system of a Debian system: run this as root")


def run(command, **kwargs):
    """Runs a command; its output appears only when it fails."""
    try:
        if progress.active():
            return checked(command, *progress.follow(command, progress.hear, **kwargs))
        done = subprocess.run(command, stdin=kwargs.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, **kwargs)
    except FileNotFoundError as missing:
        raise RuntimeError(f"{missing.filename} is missing: install what this needs with \"make deps\"") from missing
    return checked(command, done.returncode, done.stdout)


def checked(command, code, output):
    if code:
        text = output.decode(errors="replace")
        # mmdebstrap has a place of its own that may be full.
        if "No space left on device" in text and command[0] != "mmdebstrap":
            raise RuntimeError(f"not enough space on the disk of {PLACE}: {command[0]} found no space left on device. Make room, or choose "
                               "another place with O=DIRECTORY. What has been built already is kept.")
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {code}\n{text[-4000:]}")
    return output
