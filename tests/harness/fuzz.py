# SPDX-License-Identifier: GPL-2.0-or-later
# The fuzz stage: each libFuzzer target over its seed corpus, then for a bounded time.
import glob
import os
import re
import shutil
import subprocess

from .report import OUT, make, tail

SHORT_RUNS = 20000


def run_target(stage, name, seconds, bounded):
    corpus = os.path.join("tests/fuzz/corpus", name.removeprefix("fuzz_"))
    if not glob.glob(os.path.join(corpus, "*")):
        stage.fail(name, f"has no seed corpus in {corpus}")
        return
    work = os.path.join(OUT, "fuzz", "found", name)
    if bounded:
        # The short run starts from the committed seeds alone: the same work on every machine.
        shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work, exist_ok=True)
    command = [os.path.join(OUT, "fuzz", name), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024",
               "-print_final_stats=1", f"-artifact_prefix={work}/crash-", "-seed=1"]
    if bounded:
        command.append(f"-runs={SHORT_RUNS}")
    done = subprocess.run(command + [work, corpus], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                          timeout=seconds + 120)
    ran = re.search(r"number_of_executed_units: *(\d+)", done.stdout)
    if done.returncode:
        stage.fail(name, f"exit code {done.returncode}, input kept in {work}", tail(done.stdout, 40))
    elif not ran or not int(ran[1]):
        stage.fail(name, "executed nothing", tail(done.stdout))
    else:
        stage.ok(name, f"{ran[1]} inputs")


def run(stage, options):
    names = sorted(os.path.basename(s)[:-2] for s in glob.glob("tests/fuzz/fuzz_*.c"))
    names = [n for n in names if stage.wanted(n)]
    if not names:
        return
    _, output = make(*(os.path.join(OUT, "fuzz", n) for n in names), keep_going=True)
    for name in names:
        fresh, _ = make("-q", os.path.join(OUT, "fuzz", name), jobs=False)
        if fresh:
            run_target(stage, name, options.fuzz_seconds, options.fuzz_seconds <= 10)
        else:
            stage.fail(name, "does not build", tail(output, 20))
