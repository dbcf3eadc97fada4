# SPDX-License-Identifier: GPL-2.0-or-later
# The windows stage: programs that play one end of the GUI protocol against the other end, on a display of Xvfb.
import os
import tempfile
import traceback

from gui import attack_checks, daemon_checks, end_to_end_checks, prompt_checks, session_checks, together_checks
from gui.bed import Bed

from . import gui_agent
from .report import OUT, make, tail

PARTS = [("daemon", daemon_checks.CHECKS), ("attack", attack_checks.CHECKS),
         ("end-to-end", end_to_end_checks.CHECKS), ("prompt", prompt_checks.CHECKS), ("session", session_checks.CHECKS),
         ("together", together_checks.CHECKS)]


def name_of(part, check):
    return f"{part}-{check.__name__.replace('_', '-')}"


def run_check(stage, bed, name, check):
    problem = None
    try:
        check(bed)
    except Exception:  # pylint: disable=broad-except  # one test that fails must not end the others
        problem = traceback.format_exc()
        bed.desktop.picture().save(os.path.join(OUT, "windows", name + ".png"))
    try:
        bed.reset()
    except Exception as error:  # pylint: disable=broad-except
        problem = (problem or "") + f"\nwhat was left: {error}"
    if problem:
        stage.fail(name, "failed, see the picture in " + os.path.join(OUT, "windows"), tail(problem, 40))
    else:
        stage.ok(name)


def run_stage(stage, options):
    run_daemon(stage)
    gui_agent.run_stage(stage, options)


def run_daemon(stage):
    wanted = [(name_of(part, check), check) for part, checks in PARTS for check in checks
              if stage.wanted(name_of(part, check)) or stage.wanted(f"windows-{part}")]
    if not wanted:
        return
    good, out = make("gui-test-programs", "gui-agent-programs")
    if not good:
        stage.fail("build", "does not build", tail(out, 40))
        return
    pictures = os.path.join(OUT, "windows")
    os.makedirs(pictures, exist_ok=True)
    bed = Bed(tempfile.mkdtemp(prefix="windows-"), os.path.join(OUT, "unit/gui/gui-daemon"),
              os.path.abspath(os.path.join(OUT, "vchan/libvchan.so")),
              os.path.join(OUT, "gui/bulkhead-gui-agent"), pictures, prompt=os.path.join(OUT, "unit/desktop/qrexec-prompt"),
              programs=os.path.join(OUT, "desktop"))
    try:
        for name, check in wanted:
            run_check(stage, bed, name, check)
    finally:
        bed.close()
