# SPDX-License-Identifier: GPL-2.0-or-later
# The lint stage: formatting, static analysis, and the rules of the tree that a program can check.
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from . import compatibility
from .report import OUT, make


def output_of(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    return done.returncode, done.stdout


def tracked():
    code, out = output_of(["git", "-c", "safe.directory=*", "ls-files", "-z"])
    if code == 0:
        return [f for f in out.split("\0") if f and os.path.isfile(f)]
    found = []
    for top, dirs, files in os.walk("."):
        dirs[:] = [d for d in dirs if d not in (".git", OUT) and not d.startswith("build")]
        found += [os.path.relpath(os.path.join(top, f)) for f in files]
    return sorted(found)


def text_of(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        return f.read()


def hits(files, pattern, name="{path}:{line}: {text}"):
    """Every line of the files that matches the pattern."""
    regex, found = re.compile(pattern), []
    for path in files:
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if regex.search(line):
                found.append(name.format(path=path, line=number, text=line.strip()[:100]))
    return "\n".join(found)


def c_files(files, *places):
    return [f for f in files if f.endswith((".c", ".h")) and (not places or f.startswith(places))]


def check_format(files):
    sources = c_files(files)
    chunks = [sources[i::4] for i in range(4) if sources[i::4]]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda c: output_of(["clang-format", "--dry-run", "-Werror"] + c), chunks))
    return "\n".join(out for code, out in results if code)


def check_cppcheck(files):
    sources = [f for f in c_files(files, "hypervisor/", "tools/", "vchan/", "qrexec/", "qubesdb/", "desktop/",
                                      "gui/common/", "gui/daemon/", "gui/icons/", "gui/monitors/") if f.endswith(".c")]
    if not sources:
        return ""
    work = os.path.join(OUT, "lint", "cppcheck")
    os.makedirs(work, exist_ok=True)
    code, out = output_of(
        ["cppcheck", "--quiet", f"-j{os.cpu_count()}", "--std=c11", "--enable=warning,portability",
         "--inline-suppr", "--error-exitcode=1", f"--cppcheck-build-dir={work}", "--platform=unix64",
         "--suppressions-list=tests/harness/cppcheck.txt", "-Ihypervisor/include",
         "-Ihypervisor/arch/x86/include", "-D__x86_64__", "-D__GNUC__=12", "--max-configs=1"] + sources)
    return out if code else ""


def check_make(target):
    def check(_files):
        good, out = make(target, keep_going=True)
        # What make says it does is no finding.
        findings = "\n".join(line for line in out.splitlines() if not re.match(r"  [A-Z]+ +\S", line))
        return "" if good else findings or "make failed"
    return check


def check_clang(_files):
    """The other compiler accepts everything, too."""
    good, out = make("CC=clang", f"O={OUT}/clang", "hypervisor", "tools", "vchan", "qrexec", "gui",
                     keep_going=True)
    return "" if good else "\n".join(line for line in out.splitlines() if "error" in line) or "make failed"


def check_shell(files):
    """Scripts that are installed or that a fresh machine runs: those that say so in their first line, and completions."""
    scripts = {}
    for f in files:
        if f.startswith((".ci/", "qrexec/etc/", "qubesdb/", "desktop/", "gui/", "mk/", "templates/")) and not os.path.islink(f):
            shell = re.match(r"#!/bin/(?:busybox )?(sh|bash|ash)\n", text_of(f))
            if shell or "/completion/" in f:
                scripts[f] = {"sh": "sh", "ash": "dash"}.get(shell and shell[1], "bash")
    found = [output_of(["shellcheck", "-s", shell, f]) for f, shell in scripts.items()]
    return "\n".join(out for code, out in found if code)


def stray_branches(place, returns):
    """Indirect branches that go through no thunk, and returns that no trap follows, of one build."""
    # Before there are guests: the jump to the image's own addresses, that to a stack of its own (and tables among the code).
    boot = "boot_"
    code, out = output_of(["objdump", "-d", "--no-show-raw-insn", os.path.join(place, "bulkhead.elf")])
    if code:
        return out
    found, function, before = [], "", ""
    for line in out.splitlines():
        name = re.match(r"[0-9a-f]+ <(\S+)>:$", line)
        if name:
            function = name[1]
            continue
        if re.search(r"\t(call|jmp)q? +\*", line) and not function.startswith(boot):
            found.append(f"{function}: {line.strip()}")
        if returns and re.search(r"\tret", before) and "int3" not in line:
            found.append(f"{function}: nothing stops speculation behind {before.strip()}")
        before = line
    return "\n".join(found)


def check_branches(_files):
    good, out = make("hypervisor")
    return stray_branches(OUT, returns="gcc" in os.environ.get("CC", "gcc")) if good else out


def check_clang_branches(_files):
    good, out = make("CC=clang", f"O={OUT}/clang", "hypervisor")
    return stray_branches(f"{OUT}/clang", returns=False) if good else out


def check_neutral(files):
    common = c_files(files, "hypervisor/common/")
    arch = r"^\s*#\s*(if|ifdef|ifndef|elif)\b.*(x86|X86|arm|ARM|aarch64|amd64|i386|riscv)"
    return hits(common, arch) or hits(common, r"(?i)\b(svm|vmx)(_\w+)?\b|\b(vmcb|vmcs)")


def check_vendor(files):
    allowed = re.compile(r"/(svm|vmx)/|/vendor\.h$|/(msr|cpuid|cpufeature|hvm_ops|hvm_vendor)[a-z_-]*\.[ch]$")
    outside = [f for f in c_files(files, "hypervisor/") if not allowed.search(f)]
    return hits(outside, r"\b(vmcb|vmcs)(_\w+)?\b")


def check_paths(files):
    own = [f for f in files if f not in ("tests/harness/lint.py",)]
    return hits(own, r"(^|[^\w.])/(work|home/\w+|root|tmp/b)/|/usr/src/\w")


def check_spdx(files):
    wanted = (".c", ".h", ".S", ".py", ".sh", ".mk")
    return "\n".join(f"{f}: no SPDX line among the first three" for f in files
                     if f.endswith(wanted) and "SPDX-License-Identifier:" not in
                     "\n".join(text_of(f).splitlines()[:3]))


def check_leftovers(files):
    own = [f for f in c_files(files) + [f for f in files if f.endswith((".S", ".py", ".mk"))]
           if f != "tests/harness/lint.py"]
    return hits(own, r"\b(TODO|FIXME|XXX)\b")


def check_length(files):
    def limit(path):
        return 1500 if path.startswith("tests/") else 1100

    sizes = [(f, len(text_of(f).splitlines())) for f in c_files(files) + [f for f in files if f.endswith(".S")]]
    return "\n".join(f"{f}: {n} lines, more than {limit(f)}" for f, n in sizes if n > limit(f))


CHECKS = [
    ("clang-format", check_format),
    ("cppcheck", check_cppcheck),
    ("clang-tidy", check_make("lint-tidy")),
    ("builds-with-clang", check_clang),
    ("shellcheck", check_shell),
    ("indirect-branches", check_branches),
    ("indirect-branches-clang", check_clang_branches),
    ("headers-alone", check_make("lint-headers")),
    ("common-is-neutral", check_neutral),
    ("vendor-words", check_vendor),
    ("machine-paths", check_paths),
    ("spdx", check_spdx),
    ("leftovers", check_leftovers),
    ("file-length", check_length),
    ("compatibility-list", compatibility.check),
]


def run(stage, _options):
    files = tracked()
    for name, check in CHECKS:
        if not stage.wanted(name):
            continue
        problems = check(files)
        if problems:
            lines = problems.rstrip().splitlines()
            more = [f"… {len(lines) - 60} more lines"] if len(lines) > 60 else []
            stage.fail(name, f"{len(lines)} lines of findings", "\n".join(lines[:60] + more))
        else:
            stage.ok(name)
