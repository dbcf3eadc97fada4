# SPDX-License-Identifier: GPL-2.0-or-later
# The prompt on a desktop: who can answer it, when, and what with.
import json
import os
import pwd
import re
import subprocess

from .access import Access
from .bed import LIMIT
from .daemon_checks import same

NEVER = "3600000"  # milliseconds of delay: answers do not begin to count while a test runs
TITLE = "[dom0] Question of work"


def question(targets=("vault", "mail", "@dispvm:dvm"), default="vault", **more):
    return json.dumps({"source": "work", "service": "qubes.Filecopy", "argument": "", "requested_target": "@default",
                       "default_target": default, "targets": list(targets),
                       "labels": {"work": "red", "vault": "black", "mail": "blue"}, **more})


class Prompt:
    """A prompt that is on the screen."""

    def __init__(self, bed, text, *options, title=TITLE, found=True, env=None):
        self.bed, self.desktop = bed, bed.desktop
        self.process = subprocess.Popen([bed.prompt, *options, "ask"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True,
                                        env=dict(env or bed.desktop.env, ASAN_OPTIONS="detect_leaks=0"))
        self.process.stdin.write(text)
        self.process.stdin.close()
        self.window = self.desktop.find(title) if found else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(LIMIT)
        self.process.stdout.close()

    def state(self):
        """(whether answers count, how often that has ended)"""
        numbers = re.search(r"= (\d+), (\d+)", self.desktop.property(self.window, "_QREXEC_PROMPT_ARMED"))
        return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)

    def armed(self, lost=0):
        self.desktop.until(lambda: self.state() == (1, lost), "answers do not count")

    def place(self, x, y):
        """Of a point of the window, on the screen."""
        left, top, width, height = self.desktop.geometry(self.window)
        return left + (x if x >= 0 else width + x), top + (y if y >= 0 else height + y)

    def click(self, x, y):
        self.desktop.do("mousemove", *self.place(x, y), "click", 1)

    def answer(self):
        same("exit code", self.process.wait(LIMIT), 0)
        return self.process.stdout.read()

    def open(self):
        if self.process.poll() is not None:
            raise AssertionError(f"it was answered: {self.process.stdout.read()!r}")


# Points in the buttons, and in the second line of the list.
ALLOW, REFUSE, SECOND = (-48, -30), (-130, -30), (60, 114)


def keyboard_alone(bed):
    """A target is chosen and allowed by keys; Enter allows nothing that the user has not chosen."""
    with Prompt(bed, question(), "--delay", "100") as prompt:
        prompt.armed()
        bed.desktop.do("key", "Return", "key", "Return")
        bed.desktop.do("key", "Down", "key", "Return")
        same("answer", prompt.answer(), "allow:mail\n")


def pointer_alone(bed):
    """A target of many is chosen by the pointer; the source is in the colour of its label."""
    with Prompt(bed, question(), "--delay", "100") as prompt:
        prompt.armed()
        # The window manager may still be placing it.
        bed.desktop.until(lambda: bed.desktop.picture()[prompt.place(-60, 20)] == 0xcc0000, "the colour of the source is not there")
        prompt.click(*SECOND)
        prompt.click(*ALLOW)
        same("answer", prompt.answer(), "allow:mail\n")


def default_needs_a_click(bed):
    """The target that the rule proposes is allowed by the button."""
    with Prompt(bed, question(), "--delay", "100") as prompt:
        prompt.armed()
        prompt.click(*ALLOW)
        same("answer", prompt.answer(), "allow:vault\n")


def nothing_is_chosen_by_itself(bed):
    """Where the rule proposes no target, there is none to allow until the user chooses one."""
    with Prompt(bed, question(default=""), "--delay", "100") as prompt:
        prompt.armed()
        bed.desktop.do("key", "alt+a", "key", "Return", "key", "Return")
        prompt.click(*ALLOW)
        prompt.open()
        prompt.click(*SECOND)
        prompt.click(*ALLOW)
        same("answer", prompt.answer(), "allow:mail\n")


def refuses(bed):
    """The button, Escape and closing the window say no; so does the time limit."""
    for how in (lambda p: p.click(*REFUSE), lambda p: bed.desktop.do("key", "Escape"),
                lambda p: bed.desktop.do("key", "alt+F4")):
        with Prompt(bed, question(), "--delay", "100") as prompt:
            prompt.armed()
            how(prompt)
            same("answer", prompt.answer(), "deny\n")
    with Prompt(bed, question(), "--delay", NEVER, "--timeout", "1") as prompt:
        same("answer in time", prompt.answer(), "deny\n")


def nothing_counts_before(bed):
    """What was meant for another window, as this one came up, answers nothing."""
    with Prompt(bed, question(), "--delay", NEVER) as prompt:
        bed.desktop.until(lambda: bed.desktop.do("getactivewindow") == prompt.window, "it does not have the focus")
        bed.desktop.do("key", "Down", "Return", "space", "Escape", "alt+a", "Tab", "Return")
        prompt.click(*SECOND)
        prompt.click(*ALLOW)
        prompt.click(*REFUSE)
        same("state", prompt.state(), (0, 0))
        prompt.open()


def focus_loss_disarms(bed):
    """With another window in front answers do not count any more; they do again after the wait."""
    other = bed.desktop.start("xterm", "-T", "other", "-geometry", "10x3+5+5", cwd=bed.place)
    try:
        number = bed.desktop.find("other")
        with Prompt(bed, question(), "--delay", "200") as prompt:
            prompt.armed()
            bed.desktop.do("windowactivate", "--sync", number)
            bed.desktop.until(lambda: prompt.state() == (0, 1), "it is still armed")
            bed.desktop.do("windowactivate", "--sync", prompt.window)
            prompt.armed(lost=1)
            prompt.open()
    finally:
        other.terminate()
        other.wait(LIMIT)


def popup_of_a_qube(bed):
    """A menu of a qube over the question: answers stop counting, and the question comes to the top again."""
    daemon = bed.daemon()
    with Prompt(bed, question(), "--delay", "200") as prompt:
        prompt.armed()
        x, y, width, height = bed.desktop.geometry(prompt.window)
        daemon.agent.show(2, x - 10, y - 10, width // 2, height + 20, 0x00ffff, "menu", override=1)
        bed.desktop.until(lambda: prompt.state()[0] == 1 and prompt.state()[1] >= 1,
                          "it was not disarmed by what came over it, or stays so")
        # The bar with the name of the source is not covered, and the popup is beside it.
        bed.desktop.await_pixel(*prompt.place(20, 14), 0xcc0000)
        bed.desktop.await_pixel(x - 6, y + height + 5, 0x00ffff)
        prompt.open()


def same_size_for_all(bed):
    """Whatever is asked, the window has one size: nothing of it is moved out of sight, or under the pointer."""
    sizes = []
    for text in (question(targets=["vault"]), question(targets=[f"qube{i}" for i in range(8)]),
                 question(argument="+".join(["long"] * 1000)), question(source="w" * 31)):
        title = "[dom0] Question of " + json.loads(text)["source"]
        with Prompt(bed, text, "--delay", NEVER, title=title) as prompt:
            sizes.append(bed.desktop.geometry(prompt.window)[2:])
            bed.desktop.do("windowsize", prompt.window, 200, 100)
            bed.desktop.do("getwindowgeometry", prompt.window)
            same("size", bed.desktop.geometry(prompt.window)[2:], sizes[0])


def many_targets(bed):
    """Of many targets one is found by typing a part of its name."""
    targets = [f"qube{i}" for i in range(300)]
    with Prompt(bed, question(targets=targets, default=""), "--delay", "100") as prompt:
        prompt.armed()
        prompt.click(100, 88)
        bed.desktop.do("type", "be277")
        bed.desktop.do("key", "Tab", "key", "space", "key", "Return")
        same("answer", prompt.answer(), "allow:qube277\n")


def accessible_names(bed):
    """What the user works with has a name for assistive programs: question, list, targets, service, buttons, the search."""
    with Access(bed.desktop) as access:
        for targets in (("vault", "mail", "@dispvm:dvm"), [f"qube{i}" for i in range(20)]):
            with Prompt(bed, question(targets=targets, default=""), env=access.environment()):
                bed.desktop.until(lambda: ("frame", TITLE) in access.walk(), "the prompt is not there for assistive programs")
                seen = list(access.walk())
                same("without a name", access.unnamed(), [])
                wanted = [("label", "work"), ("list box", "Targets"), ("push button", "Allow"), ("push button", "Refuse"),
                          ("text", "Service"), ("list item", "mail" if "mail" in targets else "qube19")]
                if "mail" not in targets:
                    wanted.append(("text", "Look for a target"))
                same("missing", [pair for pair in wanted if pair not in seen], [])


def one_at_a_time(bed):
    """A second question waits for the first one's answer."""
    with Prompt(bed, question(), "--delay", "100") as first:
        first.armed()
        with Prompt(bed, question(source="mail"), "--delay", "100", found=False) as second:
            first.click(*REFUSE)
            same("first", first.answer(), "deny\n")
            second.window = bed.desktop.find("[dom0] Question of mail")
            second.armed()
            second.click(*ALLOW)
            same("second", second.answer(), "allow:vault\n")


def errors(bed):
    """What cannot be asked is said, and is a no."""
    def run(text, *options, **env):
        done = subprocess.run([bed.prompt, *options], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=LIMIT, check=False,
                              env={k: v for k, v in dict(bed.desktop.env, **env).items() if v is not None})
        return done.returncode, done.stdout, done.stderr
    empty = os.path.join(bed.place, "no-sessions")
    os.makedirs(empty, exist_ok=True)
    for wanted, words, given in (
            (1, "is not understood", run("{}", "ask")), (2, "usage", run("", "maybe")),
            (1, "cannot be opened", run(question(), "ask", DISPLAY=":987")),
            (2, "usage", run("", "--delay", "soon", "ask"))):
        same(words, (given[0], given[1], words in given[2]), (wanted, "", True))
    same("nobody to choose", run(question(targets=[]), "ask")[:2], (0, "deny\n"))
    if os.geteuid() == 0:
        given = run(question(), "--session-dir", empty, "ask", DISPLAY=None)
        same("no session", (given[0], given[1], "nobody has a session" in given[2]), (1, "", True))


def session_of_the_user(bed):
    """Started by root's daemon it enters the session of the user, whose file it is; files of others do not count."""
    if os.geteuid() != 0:
        return
    sessions = os.path.join(bed.place, "sessions")
    os.makedirs(sessions, exist_ok=True)
    os.chmod(bed.place, 0o755)
    os.chmod(sessions, 0o1777)
    user = pwd.getpwnam("nobody")
    runtime = os.path.join(bed.place, "runtime-of-nobody")
    os.makedirs(runtime, exist_ok=True)
    os.chown(runtime, user.pw_uid, user.pw_gid)
    for name, owner in (("root", 0), ("daemon", user.pw_uid), ("nobody", user.pw_uid)):
        path = os.path.join(sessions, name)
        bed.write(path, f"DISPLAY={bed.desktop.env['DISPLAY']}\nXDG_RUNTIME_DIR={runtime}\n"
                  if name == "nobody" else "DISPLAY=:987\n")
        os.chown(path, owner, owner)
    env = {k: v for k, v in bed.desktop.env.items() if k not in ("DISPLAY", "XDG_RUNTIME_DIR")}
    with subprocess.Popen([bed.prompt, "--session-dir", sessions, "--delay", "100", "ask"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, env=dict(env, ASAN_OPTIONS="detect_leaks=0")) as process:
        process.stdin.write(question())
        process.stdin.close()
        bed.desktop.find(TITLE)
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as f:
            ids = re.search(r"^Uid:\t(.*)$", f.read(), re.M)[1].split()
        process.terminate()
        same("user", set(ids), {str(user.pw_uid)})


CHECKS = [keyboard_alone, pointer_alone, default_needs_a_click, nothing_is_chosen_by_itself, refuses, nothing_counts_before, focus_loss_disarms, popup_of_a_qube,
          same_size_for_all, many_targets, accessible_names, one_at_a_time, errors, session_of_the_user]
