# SPDX-License-Identifier: GPL-2.0-or-later
# The unit stage: builds the cmocka programs, runs each, sums up their tests.
import glob
import os
import re
import subprocess

from .report import OUT, build_each, each_in_order, tail

LIMIT = 600  # against hangs only: a loaded machine is slow


def sources():
    return sorted(glob.glob("tests/unit/**/test_*.c", recursive=True))


def execute(name):
    """(exit code, output) of a test program; the code is None when it had to be stopped."""
    program = os.path.join(OUT, "unit", name)
    env = dict(os.environ, ASAN_OPTIONS="abort_on_error=0:detect_leaks=1:strict_string_checks=1",
               UBSAN_OPTIONS="print_stacktrace=1", CMOCKA_MESSAGE_OUTPUT="STDOUT")
    try:
        done = subprocess.run([program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", env=env,
                              timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace")
    return done.returncode, done.stdout


def judge(stage, name, code, output):
    if code is None:
        stage.fail(name, f"not finished after {LIMIT} s", tail(output))
        return
    passed = re.findall(r"\[  PASSED  \] (\d+) test", output)
    failed = re.findall(r"\[  FAILED  \] (?!\d+ test)(\S+)", output)
    for test in dict.fromkeys(failed):
        stage.fail(f"{name}.{test}", "failed", tail(output, 15) if test == failed[0] else "")
    count = sum(map(int, passed))
    if code and not failed:
        stage.fail(name, f"exit code {code}", tail(output, 40))
    elif not count and not failed:
        stage.fail(name, "ran no test", tail(output))
    if count:
        stage.ok(name, f"{count} tests", count=count)


def run(stage, _options):
    names = [os.path.basename(s)[:-2] for s in sources()]
    names = [n for n in names if stage.wanted(n)]
    if not names:
        return
    built = {n: os.path.join(OUT, "unit", n) for n in names}
    fresh, output = build_each(built.values())
    good = [n for n in names if built[n] in fresh]
    for name in [n for n in names if n not in good]:
        stage.fail(name, "does not build", tail(output, 20))
    for name, (code, text) in each_in_order(execute, good):
        judge(stage, name, code, text)
