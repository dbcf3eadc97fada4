# SPDX-License-Identifier: GPL-2.0-or-later
# The vchan stage: the library as others get it, its programs over the local transport, models, the thread sanitizer.
import os
import re
import signal
import subprocess
import tempfile
import time

from .report import OUT, make, tail

LIMIT = 600  # against hangs only: a loaded machine is slow
WORK = os.path.join(OUT, "vchan")
PORT = 7

USER = r"""
#include <libvchan.h>
#include <stdio.h>
int main(void)
{
	libvchan_t *s = libvchan_server_init(2, 1, 4096, 4096);
	int fine = s && libvchan_is_open(s) == VCHAN_WAITING && libvchan_write(s, "x", 1) == 1;
	libvchan_close(s);
	puts(fine ? "fine" : "bad");
	return !fine;
}
"""

# (parameters, whether the checker has to find an error). BUG=n are mistakes: a model that misses them checks nothing.
OLD_OLD, NEW_NEW = "WRITER=OLD READER=OLD", "WRITER=NEW READER=NEW"
MODELS = [
    (f"SIZE=4 TOTAL=6 {OLD_OLD}", False),
    ("SIZE=4 TOTAL=6 WRITER=NEW READER=OLD", False),
    ("SIZE=4 TOTAL=6 WRITER=OLD READER=NEW", False),
    (f"SIZE=4 TOTAL=6 {NEW_NEW} WAIT_W=1 WAIT_R=1", False),
    (f"SIZE=4 TOTAL=6 {NEW_NEW} WAIT_W=1 WAIT_R=1 NEED=3", False),
    (f"SIZE=8 TOTAL=15 {NEW_NEW} WAIT_W=2 NEED=5", False),
    # An end that only looks does not release a writer before it looks again: until then there is the clock.
    (f"SIZE=8 TOTAL=15 {NEW_NEW} WAIT_W=1 NEED=5 BUG=5", False),
    (f"SIZE=4 TOTAL=6 {OLD_OLD} BUG=1", True),
    (f"SIZE=4 TOTAL=6 {OLD_OLD} BUG=2", True),
    (f"SIZE=4 TOTAL=6 {NEW_NEW} BUG=3", True),
    (f"SIZE=4 TOTAL=6 {NEW_NEW} BUG=4", True),
    (f"SIZE=8 TOTAL=15 {NEW_NEW} WAIT_W=2 NEED=5 BUG=5", True),
]


def run(command, env=None, cwd=None, stdin=subprocess.DEVNULL):
    """(exit code, output)"""
    try:
        done = subprocess.run(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False, timeout=LIMIT, cwd=cwd,
                              env=dict(os.environ, **(env or {})))
    except subprocess.TimeoutExpired as late:
        return -1, (late.stdout or b"").decode(errors="replace") + f"\nnot finished after {LIMIT} s"
    return done.returncode, done.stdout


def exported():
    with open("vchan/libvchan.map", encoding="ascii") as f:
        return set(re.findall(r"^\t(libvchan_\w+);", f.read(), re.M))


def declared():
    with open("vchan/libvchan.h", encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    return set(re.findall(r"\b(libvchan_\w+)\(", text))


def map_versions():
    """The versions that the map of the library defines."""
    with open("vchan/libvchan.map", encoding="ascii") as f:
        return set(re.findall(r"^(LIBVCHAN_[\d.]+) \{", f.read(), re.M))


def documented():
    names = set()
    for page in os.listdir("docs/man"):
        if page.startswith("libvchan") and page.endswith(".3"):
            with open(os.path.join("docs/man", page), encoding="utf-8") as f:
                names |= set(re.findall(r"\b(libvchan_[a-z_]+)\b", f.read()))
    return names


def check_symbols(_place):
    """The library exports what its header declares, with a version; the archive nothing else."""
    wanted = exported()
    if wanted != declared():
        return f"header and map differ: {sorted(wanted ^ declared())}"
    if not wanted <= documented():
        return f"no manual page has {sorted(wanted - documented())}"
    _, out = run(["nm", "-D", "--defined-only", f"{WORK}/libvchan.so"])
    seen = set(re.findall(r" T (\w+)@@LIBVCHAN_1\.\d$", out, re.M))
    versions = set(re.findall(r" A (LIBVCHAN_1\.\d)$", out, re.M))
    if seen != wanted or versions != map_versions() or len(re.findall(r" [A-Z] ", out)) != len(wanted) + len(versions):
        return f"exports: {out}"
    _, out = run(["nm", "-g", "--defined-only", f"{WORK}/libvchan.a"])
    if set(re.findall(r" [A-Z] (\w+)$", out, re.M)) != wanted:
        return f"archive: {out}"
    return None


def check_installed(place):
    """Installed below another root, a C and a C++ program build with pkg-config, shared and static, and run. Each function has its page."""
    root = os.path.join(place, "root")
    good, out = make("install-vchan", f"DESTDIR={root}", "PREFIX=/opt/vchan", jobs=False)
    if not good:
        return out
    with open("vchan/libvchan.h", encoding="utf-8") as f:
        functions = set(re.findall(r"\b(libvchan_\w+)\(", f.read()))
    without = {name for name in functions if not os.path.exists(f"{root}/opt/vchan/share/man/man3/{name}.3")}
    if without or not functions:
        return f"no page: {sorted(without)}"
    env = {"PKG_CONFIG_PATH": f"{root}/opt/vchan/lib/pkgconfig", "PKG_CONFIG_SYSROOT_DIR": root,
           "LD_LIBRARY_PATH": f"{root}/opt/vchan/lib", "LIBVCHAN_URI": f"local:{place}/sockets?domain=1"}
    code, flags = run(["pkg-config", "--cflags", "--libs", "vchan"], env)
    if code:
        return flags
    for compiler, suffix, static in (("gcc", "c", []), ("g++", "cc", []), ("gcc", "c", ["-static"])):
        source, program = os.path.join(place, f"user.{suffix}"), os.path.join(place, "user")
        with open(source, "w", encoding="ascii") as f:
            f.write(USER)
        code, out = run([compiler, "-Wall", "-Werror", *static, "-o", program, source, *flags.split()], env)
        if not code:
            code, out = run([program], env)
        if code or out != "fine\n":
            return f"{compiler} {static}: {out}"
    return None


def program(place, role, *mode, options=()):
    own, peer = (1, 2) if role == "server" else (2, 1)
    return subprocess.Popen([f"{WORK}/vchan-echo", "-u", f"local:{place}/sockets?domain={own}", *options, role,
                             str(peer), str(PORT), *map(str, mode)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
    try:
        return process.communicate(timeout=LIMIT)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0] + "\nhangs"


def both(place, server, client, rings):
    sizes = ["-r", str(rings), "-w", str(rings)]
    ends = [program(place, "server", *server, options=sizes), program(place, "client", *client)]
    outputs = [finish(p) for p in ends]
    if all("result=ok" in out for out in outputs) and not any(p.returncode for p in ends):
        return None
    return f"rings of {rings}: " + "".join(outputs)


def check_programs(place):
    for rings in (1024, 4096, 65536, 1 << 20):
        for pair in ((["sink"], ["source", 5000000, 65536]), (["echo"], ["check", 1000000, 700]),
                     (["source", 3000000, 9999], ["sink"]), (["echo"], ["ping", 200, 1000])):
            bad = both(place, *pair, rings)
            if bad:
                return bad
    return None


def await_names(place, wanted):
    """Waits until there is the name of a server, or none; it goes when the client is there."""
    names, end = os.path.join(place, "sockets"), time.monotonic() + LIMIT
    while time.monotonic() < end:
        if (os.path.isdir(names) and bool(os.listdir(names))) == wanted:
            return
        time.sleep(0.002)
    raise TimeoutError("a server does not come or does not go")


def check_killed(place):
    """Either program killed in the middle of a transfer: the other one ends by itself, and a new pair works."""
    for victim in range(2):
        for delay in (0, 0.01, 0.1):
            ends = [program(place, "server", "sink")]
            await_names(place, True)
            ends.append(program(place, "client", "source", 1 << 40, 65536))
            await_names(place, False)
            time.sleep(delay)
            os.kill(ends[victim].pid, signal.SIGKILL)
            outputs = [finish(end) for end in ends]
            if "result=" not in outputs[1 - victim]:
                return f"victim {victim}: {outputs}"
    return both(place, ["sink"], ["source", 100000, 1000], 4096)


def check_threads(_place):
    code, out = run([f"{WORK}/stress"], {"TSAN_OPTIONS": "halt_on_error=1"})
    return None if code == 0 and out == "stress: ok\n" else tail(out, 40)


def check_model(place, parameters):
    """Output of the checker; parameters are macros of the model."""
    model = os.path.abspath("tests/vchan/notify.pml")
    code, out = run(["spin", *(f"-D{p}" for p in parameters.split()), "-a", model], cwd=place)
    if not code:
        code, out = run(["gcc", "-O1", "-w", "-o", "pan", "pan.c"], cwd=place)
    return out if code else run(["./pan", "-a", "-f", "-m100000"], cwd=place)[1]


def check_models(place):
    for parameters, wrong in MODELS:
        out = check_model(place, parameters)
        errors = re.search(r"errors: (\d+)", out)
        if not errors or "max search depth too small" in out or bool(int(errors[1])) != wrong:
            return f"{parameters}: {'no error found' if wrong else 'error'}\n{tail(out, 30)}"
    return None


def check_manuals(_place):
    pages = [os.path.join("docs/man", p) for p in sorted(os.listdir("docs/man")) if p.startswith("libvchan")]
    for page in pages:
        code, out = run(["groff", "-man", "-Tutf8", "-ww", "-z", page])
        if code or out:
            return f"{page}: {tail(out)}"
    return None if pages else "there are none"


CHECKS = [
    ("symbols", check_symbols), ("installed", check_installed), ("programs", check_programs),
    ("killed", check_killed), ("thread-sanitizer", check_threads), ("models", check_models),
    ("manuals", check_manuals),
]


def run_stage(stage, _options):
    wanted = [(name, check) for name, check in CHECKS if stage.wanted(f"vchan-{name}") or stage.wanted(name)]
    if not wanted:
        return
    good, out = make("vchan-programs")
    if not good:
        stage.fail("build", "does not build", tail(out, 40))
        return
    for name, check in wanted:
        with tempfile.TemporaryDirectory(prefix="vchan-") as place:
            bad = check(place)
        if bad:
            stage.fail(name, "failed", bad)
        else:
            stage.ok(name)
