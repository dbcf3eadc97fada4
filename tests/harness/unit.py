# SPDX-License-Identifier: GPL-2.0-or-later
# The unit stage: builds the cmocka programs, runs each, sums up their tests.
import glob
import os
import re
import subprocess

from .report import OUT, make, tail

LIMIT = 120


def sources():
    return sorted(glob.glob("tests/unit/**/test_*.c", recursive=True))


def run_program(stage, name):
    program = os.path.join(OUT, "unit", name)
    env = dict(os.environ, ASAN_OPTIONS="abort_on_error=0:detect_leaks=1:strict_string_checks=1",
               UBSAN_OPTIONS="print_stacktrace=1", CMOCKA_MESSAGE_OUTPUT="STDOUT")
    try:
        done = subprocess.run([program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", env=env,
                              timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired as late:
        stage.fail(name, f"not finished after {LIMIT} s", tail((late.stdout or b"").decode(errors="replace")))
        return
    passed = re.findall(r"\[  PASSED  \] (\d+) test", done.stdout)
    failed = re.findall(r"\[  FAILED  \] (?!\d+ test)(\S+)", done.stdout)
    for test in dict.fromkeys(failed):
        stage.fail(f"{name}.{test}", "failed", tail(done.stdout, 15) if test == failed[0] else "")
    count = sum(map(int, passed))
    if done.returncode and not failed:
        stage.fail(name, f"exit code {done.returncode}", tail(done.stdout, 40))
    elif not count and not failed:
        stage.fail(name, "ran no test", tail(done.stdout))
    if count:
        stage.ok(name, f"{count} tests", count=count)


def run(stage, _options):
    names = [os.path.basename(s)[:-2] for s in sources()]
    names = [n for n in names if stage.wanted(n)]
    if not names:
        return
    built = {n: os.path.join(OUT, "unit", n) for n in names}
    _, output = make(*built.values(), keep_going=True)
    for name, program in built.items():
        # A stale program must not pass for a source that no longer builds.
        fresh, _ = make("-q", program, jobs=False)
        if fresh:
            run_program(stage, name)
        else:
            stage.fail(name, "does not build", tail(output, 20))
