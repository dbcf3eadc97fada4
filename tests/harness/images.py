# SPDX-License-Identifier: GPL-2.0-or-later
# The images stage: how building of images ends when something is missing, is interrupted or is damaged; on the host, with small trees.
import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import time

from images import cache, debian_tree, ext4, problems
from system import play

from .report import tail


class Failed(Exception):
    """A check's reason to fail."""


def expect(condition, what):
    if not condition:
        raise Failed(what)


@contextlib.contextmanager
def place():
    """A cache of its own."""
    before = cache.PLACE
    with tempfile.TemporaryDirectory(prefix="images-") as directory:
        cache.PLACE = directory
        try:
            yield directory
        finally:
            cache.PLACE = before


@contextlib.contextmanager
def quiet():
    """(what is written to standard error)."""
    text = io.StringIO()
    with contextlib.redirect_stderr(text):
        yield text


def message_of(work):
    try:
        work()
    except RuntimeError as problem:
        return str(problem)
    raise Failed("it succeeded")


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def small_tree(directory):
    os.makedirs(os.path.join(directory, "usr/bin"))
    for name in ("b", "a", "usr/bin/c"):
        write(os.path.join(directory, name), name * 3000)
    os.symlink("a", os.path.join(directory, "link"))


def check_resumed():
    """A build that fails half-way leaves nothing that would be taken for the result, and the next one begins anew."""
    with place():
        def fails(out):
            write(out, "half")
            raise RuntimeError("in the middle")

        expect("in the middle" in message_of(lambda: cache.cached("x", ".img", "1", fails)), "another message")
        path = cache.cached("x", ".img", "1", lambda out: write(out, "whole"))
        expect(read(path) == "whole", "it is not the second build's")
        cache.cached("x", ".img", "1", fails)
        expect(sorted(os.listdir(cache.PLACE)) == [".x.lock", "x-1.img"], f"left: {os.listdir(cache.PLACE)}")


def check_killed():
    """The same when the builder is killed: no lock is left, and no half of a file."""
    with place() as directory:
        program = ("import sys, time; sys.path[:0] = ['tests']; from images import cache\n"
                   "def build(out):\n    open(out, 'w').write('half'); print('begun', flush=True); time.sleep(1000)\n"
                   "cache.cached('x', '.img', '1', build)")
        with subprocess.Popen([sys.executable, "-B", "-c", program], env=dict(os.environ, BULKHEAD_IMAGES=directory),
                              stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        expect(read(cache.cached("x", ".img", "1", lambda out: write(out, "whole"))) == "whole", "it is not the second build's")


def check_damaged():
    """An image that is cut off or overwritten is noticed and built anew; a good one is kept."""
    with place() as directory:
        tree = os.path.join(directory, "tree")
        small_tree(tree)
        built = []

        def build(out):
            built.append(out)
            ext4.image(tree, out, "small", "16M", "key")

        def get():
            return cache.cached("x", ".img", "1", build, problems.damage)

        path = get()
        get()
        expect(len(built) == 1, "a good one was built again")
        for damage in (lambda f: f.truncate(1 << 20), lambda f: (f.seek(1024), f.write(bytes(1024))),
                       lambda f: (f.seek(2048), f.write(b"x" * 32))):
            with open(path, "r+b") as f:
                damage(f)
            with quiet() as said:
                get()
            expect("damaged" in said.getvalue(), f"nothing was said: {said.getvalue()}")
            expect(not problems.damage(path), "it is still damaged")
        expect(len(built) == 4, f"{len(built)} builds")


def check_no_space():
    """Too little disk is said before anything is built, with how much is needed."""
    with place():
        text = message_of(lambda: problems.need_space(1 << 40, "the image x"))
        expect("not enough space" in text and "MiB are free" in text and "O=DIRECTORY" in text, text)
        problems.need_space(1, "the image x")


def check_no_memory():
    """Too little memory for the machine is said before anything is built."""
    text = message_of(lambda: play.need_memory(1 << 30))
    expect("not enough memory" in text and "RUN_ARGS='--mem" in text, text)
    play.need_memory(-1 << 20)


def check_no_packages():
    """Without a package server there is a message that names the reason; what is there already stays, and the next try succeeds."""
    with place() as directory:
        tool = os.path.join(directory, "bin/mmdebstrap")
        os.makedirs(os.path.dirname(tool))
        # What apt says in a machine without network; then a server that answers.
        write(tool, '#!/bin/sh\nfor out; do :; done\nif [ -e "$0.works" ]; then echo tree >"$out"; exit 0; fi\n'
                    "echo \"W: Failed to fetch http://deb.debian.org/debian/dists/bookworm/InRelease  Temporary failure resolving "
                    "'deb.debian.org'\"\necho half >\"$out\"\nexit 25\n")
        os.chmod(tool, 0o755)
        path = os.environ["PATH"]
        os.environ["PATH"] = f"{os.path.dirname(tool)}:{path}"
        try:
            with quiet():
                text = message_of(lambda: debian_tree.packages_tar(["less"], "x"))
                expect("No package server answers" in text and "is kept" in text, text)
                write(f"{tool}.works", "")
                expect(read(debian_tree.packages_tar(["less"], "x")) == "tree\n", "the next try has another result")
        finally:
            os.environ["PATH"] = path


def check_same_bytes():
    """The same tree gives the same image, whenever and wherever it is made; another key gives another identity."""
    images = []
    for key in ("key", "key", "other"):
        with place() as directory:
            tree = os.path.join(directory, "tree")
            small_tree(tree)
            more = os.path.join(directory, "more")
            small_tree(more)
            write(os.path.join(more, "new"), "new")
            out = os.path.join(directory, "out.img")
            ext4.image(tree, out, "small", "16M", key)
            # As if the second came much later: its files have other times.
            os.utime(os.path.join(more, "new"), (time.time(), 1e9 + len(images)))
            ext4.add(more, out)
            with open(out, "rb") as f:
                images.append(f.read())
    expect(images[0] == images[1], "two builds of one tree differ")
    expect(images[0] != images[2], "the key has no part in it")


CHECKS = [check_resumed, check_killed, check_damaged, check_no_space, check_no_memory, check_no_packages, check_same_bytes]


def run(stage, _options):
    for check in CHECKS:
        name = check.__name__.removeprefix("check_").replace("_", "-")
        if not stage.wanted(name):
            continue
        try:
            check()
            stage.ok(name)
        except (Failed, RuntimeError, OSError) as problem:
            stage.fail(name, str(problem).splitlines()[0], tail(str(problem)))
