# SPDX-License-Identifier: GPL-2.0-or-later
# The fuzz stage: each libFuzzer target over its seed corpus, then for a bounded time.
import glob
import os
import re
import shutil
import subprocess

from .report import OUT, build_each, each_in_order, tail

# The short run ends by count; a machine that is busy with other things gets more time for it than --fuzz-seconds.
SHORT_RUNS = 20000
SHORT_SECONDS = 30
CORPUS = "tests/fuzz/corpus"
FOUND = os.path.join(OUT, "fuzz", "found")


def execute(name, seconds, bounded):
    """Exit code and output of one target's run."""
    corpus = os.path.join(CORPUS, name.removeprefix("fuzz_"))
    work = os.path.join(FOUND, name)
    if bounded:
        # The short run starts from the committed seeds alone: the same work on every machine.
        shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work, exist_ok=True)
    limit = SHORT_SECONDS if bounded else seconds
    command = [os.path.join(OUT, "fuzz", name), f"-max_total_time={limit}", "-timeout=10", "-rss_limit_mb=1024",
               "-print_final_stats=1", f"-artifact_prefix={work}/crash-", "-seed=1"]
    if bounded:
        command.append(f"-runs={SHORT_RUNS}")
    done = subprocess.run(command + [work, corpus], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                          timeout=seconds + 600)
    return done.returncode, done.stdout


def judge(stage, name, code, output):
    ran = re.search(r"number_of_executed_units: *(\d+)", output)
    if code:
        stage.fail(name, f"exit code {code}, input kept in {os.path.join(FOUND, name)}", tail(output, 40))
    elif not ran or not int(ran[1]):
        stage.fail(name, "executed nothing", tail(output))
    else:
        stage.ok(name, f"{ran[1]} inputs")


def run(stage, options):
    names = sorted(os.path.basename(s)[:-2] for s in glob.glob("tests/fuzz/fuzz_*.c"))
    names = [n for n in names if stage.wanted(n)]
    if not names:
        return
    programs = {n: os.path.join(OUT, "fuzz", n) for n in names}
    fresh, output = build_each(programs.values())
    ready = []
    for name, program in programs.items():
        if program not in fresh:
            stage.fail(name, "does not build", tail(output, 20))
        elif not glob.glob(os.path.join(CORPUS, name.removeprefix("fuzz_"), "*")):
            stage.fail(name, f"has no seed corpus in {CORPUS}")
        else:
            ready.append(name)
    seconds = options.fuzz_seconds
    for name, (code, text) in each_in_order(lambda n: execute(n, seconds, seconds <= 10), ready):
        judge(stage, name, code, text)
