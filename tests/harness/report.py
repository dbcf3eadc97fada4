# SPDX-License-Identifier: GPL-2.0-or-later
# Counting and printing of results; building through make.
import fnmatch
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

MAKE = os.environ.get("MAKE", "make")
OUT = os.environ.get("O", "build")


class Stage:
    """One stage's view of the report."""

    def __init__(self, report, name):
        self.report, self.name = report, name

    def wanted(self, name):
        only = self.report.only
        return not only or any(fnmatch.fnmatch(name, word) for word in only)

    def ok(self, name, note="", count=1):
        self.report.passed += count
        self._line("ok", name, note)

    def fail(self, name, reason, detail=""):
        self.report.failed += 1
        self.report.failures.append(f"{self.name} {name}: {reason}")
        self._line("FAIL", name, reason)
        for line in detail.rstrip().splitlines():
            print("    | " + line)
        sys.stdout.flush()

    def skip(self, name, reason):
        self.report.skipped += 1
        self._line("skip", name, reason)

    def _line(self, status, name, note):
        print(f"{status:4} {self.name} {name}" + (f": {note}" if note else ""), flush=True)


class Report:
    def __init__(self, only):
        self.only = only
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.begun = time.monotonic()

    def stage(self, name):
        return Stage(self, name)

    def close(self):
        """Prints the closing line; returns the exit code."""
        if self.failures:
            print("failed:")
            for failure in self.failures:
                print("  " + failure)
        print(f"time: {time.monotonic() - self.begun:.0f} s")
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return 1 if self.failed or not self.passed else 0


def make(*targets, keep_going=False, jobs=True):
    """Builds targets; returns (success, output)."""
    command = [MAKE, f"O={OUT}"]
    if jobs and "--jobserver" not in os.environ.get("MAKEFLAGS", ""):
        command.append(f"-j{os.cpu_count()}")
    if keep_going:
        command.append("-k")
    done = subprocess.run(command + list(targets), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    return done.returncode == 0, done.stdout


def build_each(programs):
    """Builds programs; returns (those that are up to date, make's output): what does not build hides nothing else."""
    good, output = make(*programs, keep_going=True)
    # One that is there may still be of an older source.
    return {p for p in programs if good or make("-q", p, jobs=False)[0]}, output


def each_in_order(work, items):
    """Calls work(item) for all, as many at a time as there are CPUs; yields (item, result) in the order of the items."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for item, result in [(i, pool.submit(work, i)) for i in items]:
            yield item, result.result()


def tail(text, lines=30):
    return "\n".join(text.rstrip().splitlines()[-lines:])


def build_hypervisor(stage, which):
    """What an emulated machine needs; returns whether it is there."""
    good, output = make("tools", "guest-programs", *(["hypervisor"] if which == "bulkhead" else []))
    if not good:
        stage.fail("build", "the hypervisor or a tool does not build", tail(output, 40))
    return good
