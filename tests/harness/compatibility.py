# SPDX-License-Identifier: GPL-2.0-or-later
# docs/xen-compatibility.md against Xen's headers, what "xl help" says, and the tests that there are.
import glob
import os
import re

DOCUMENT = "docs/xen-compatibility.md"
HEADERS = "/usr/include/xen"
# What "xl help" printed on stock Xen, as a check of tests/domains/ records it.
RECORD, COMMANDS = "tests/oracle/xl.txt", r"^VALUE help commands (.*)$"
# Section: (header, what its operations' names begin with, names that are arguments of another operation).
SECTIONS = {
    "Hypercalls": ("xen.h", "__HYPERVISOR_", "dom0_op"),
    "memory_op": ("memory.h", "XENMEM_", "(paging_op|access_op|sharing_op|resource)_.*"),
    "xen_version": ("version.h", "XENVER_", None),
    "sched_op": ("sched.h", "SCHEDOP_", None),
    "vcpu_op": ("vcpu.h", "VCPUOP_", None),
    "console_io": ("xen.h", "CONSOLEIO_", None),
    "event_channel_op": ("event_channel.h", "EVTCHNOP_", None),
    "grant_table_op": ("grant_table.h", "GNTTABOP_", None),
    "hvm_op": ("hvm/hvm_op.h", "HVMOP_", "altp2m_.*"),
    "physdev_op": ("physdev.h", "PHYSDEVOP_", None),
    "hypfs_op": ("hypfs.h", "XEN_HYPFS_OP_", None),
    "platform_op": ("platform.h", "XENPF_", None),
    "sysctl": ("sysctl.h", "XEN_SYSCTL_", "(pm_op|cpu_featureset|cpu_policy)_.*"),
    "cpupool_op": ("sysctl.h", "XEN_SYSCTL_CPUPOOL_OP_", None),
    "domctl": ("domctl.h", "XEN_DOMCTL_", "vmtrace_(?!op$).*"),
    "shadow_op": ("domctl.h", "XEN_DOMCTL_SHADOW_OP_", None),
}
# Here names are of capitals only; elsewhere those are no operations.
CAPITALS = ("cpupool_op", "shadow_op")
STATES = ("yes", "no", "part", "version 1", "for the control domain", "what is so already", "no CPU is parked", "-EINVAL", "as domctl")


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def numbers_in(cell):
    """"0, 3–5" is {0, 3, 4, 5}."""
    found = set()
    for first, last in re.findall(r"(\d+)(?:–(\d+))?", cell):
        found.update(range(int(first), int(last or first) + 1))
    return found


def sections():
    """{heading: [cells of a row]}"""
    found, rows = {}, None
    for line in text_of(DOCUMENT).splitlines():
        if line.startswith("## "):
            rows = found.setdefault(line[3:].strip(), [])
        elif line.startswith("| ") and rows is not None:
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return {heading: rows[1:] for heading, rows in found.items()}


def operations(section):
    """{name in small letters: number} of what a header defines."""
    header, prefix, arguments = SECTIONS[section]
    names = "[A-Z0-9_]+" if section in CAPITALS else r"[a-z]\w*"
    defined = re.findall(rf"^ *# *define +{prefix}({names})\s+(\d+)\b", text_of(os.path.join(HEADERS, header)), re.M)
    return {name.lower(): int(number) for name, number in defined if not re.fullmatch(arguments or "", name)}


def check_operations(section, rows):
    for name, number in operations(section).items():
        if not any(number in numbers_in(row[0]) and re.search(rf"(?<!\w){name}(?!\w)", row[1] + " " + row[2]) for row in rows):
            yield f"{section}: there is no row with {number} and {name}"
    seen = set()
    for row in rows:
        double = seen & numbers_in(row[0])
        seen |= numbers_in(row[0])
        if double:
            yield f"{section}: more than one row has {sorted(double)}"


def check_commands(rows):
    """Names in the first column are whole: no abbreviation, so that they can be looked for."""
    recorded = re.search(COMMANDS, text_of(RECORD), re.M)
    if not recorded:
        yield f"{RECORD} has no list of xl's commands"
        return
    listed = {word for row in rows for word in re.findall(r"[\w-]+", row[0])}
    for command in recorded[1].split():
        if command not in listed:
            yield f"xl: there is no row with {command}"


def known_tests():
    """{kind: names} of all tests that a row may name."""
    checks = "".join(text_of(path) for kind in ("checks", "soak") for path in glob.glob(f"tests/domains/{kind}_*.py"))
    kernels = glob.glob("tests/guests/*.c") + glob.glob("tests/guests/x86_32/*.c")
    return {"unit": {os.path.basename(path)[5:-2] for path in glob.glob("tests/unit/test_*.c")},
            "guests": {os.path.basename(path)[:-2] for path in kernels},
            "domains": set(re.findall(r"^def check_(\w+)", checks, re.M)),
            "system": set(re.findall(r"^@test\ndef (\w+)", text_of("tests/system/tests.py"), re.M))}


def check_tests(section, rows):
    known = known_tests()
    for row in rows:
        for part in row[-1].split(";"):
            kind, _, names = part.strip().partition(" ")
            missing = [name for name in names.split(", ") if name not in known.get(kind, ())]
            if missing or not names:
                yield f"{section}, {row[0]}: there is no test {kind} {', '.join(missing)}"


def check(_files):
    found = sections()
    problems = [f"there is no section {section}" for section in list(SECTIONS) + ["xl"] if section not in found]
    for section, rows in found.items():
        problems += [f"{section}: a row of {len(row)} cells: {' | '.join(row)}" for row in rows
                     if len(row) != (3 if section == "xl" else 4)]
        state = 1 if section == "xl" else 2
        problems += [f"{section}, {row[0]}: its state is '{row[state]}'" for row in rows if not row[state].startswith(STATES)]
        if section in SECTIONS:
            problems += check_operations(section, rows)
        if section == "xl":
            problems += check_commands(rows)
        problems += check_tests(section, rows)
    return "\n".join(f"{DOCUMENT}: {problem}" for problem in problems)
