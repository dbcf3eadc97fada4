# SPDX-License-Identifier: GPL-2.0-or-later
# The machine as the stock tools see it, before there is a guest.
import os
import re
import signal

from lib import TOOLS, WORK, answer, cpus, domains, last_line, need, run, sh, until, value, xl


def check_help():
    """All commands that xl has: docs/xen-compatibility.md has to list them, which is a test of its own (make lint)."""
    value("commands", " ".join(sorted(re.findall(r"^ ([a-z][\w-]*) ", xl("help"), re.M))))


def check_info():
    text = xl("info")
    found = dict(re.findall(r"^(\w+) *: (.*)$", text, re.M))
    need(found["xen_version"].startswith("4.17"), f"version {found['xen_version']}")
    need({"hvm", "hap"} <= set(found["virt_caps"].split()), f"virt_caps {found['virt_caps']}")
    value("fields", list(found))
    for key in ("nr_nodes", "cores_per_socket", "threads_per_core", "total_memory", "sharing_freed_memory",
                "sharing_used_memory", "outstanding_claims", "xen_major", "xen_minor", "xen_caps", "xen_scheduler",
                "xen_pagesize", "xend_config_format"):
        value(key, found[key])
    need(found["xen_scheduler"] == "credit2", f"scheduler {found['xen_scheduler']}")
    need(int(found["free_memory"]) > int(found["total_memory"]) // 2, f"free memory {found['free_memory']} MiB")
    return f"{found['free_memory']} of {found['total_memory']} MiB free"


def check_list():
    text = xl("list", "-l")
    need('"domid": 0' in text and '"name": "Domain-0"' in text, "Domain-0 is not in the list")
    for option in ("-v", "-Z", "-c", "-n"):
        value(option, xl("list", option).splitlines()[0])
    value("vm-list", xl("vm-list"))


def check_dmesg():
    """The hypervisor's own lines, from its first one on; -c takes what was read away."""
    text = xl("dmesg")
    need(len(text.splitlines()) > 20, f"{len(text.splitlines())} lines")
    need(re.match(r"\((BH|XEN)\) ", text), f"it begins with {text.splitlines()[0]}")
    need("console=com1" in text, "the command line is not told")
    return f"{len(text.splitlines())} lines"


def check_xenstore_ls():
    text = sh("xenstore-ls")
    need('name = "Domain-0"' in text, "no name of Domain-0 in the store")


def check_claims():
    # "xl list" with one more column.
    text = xl("claims")
    need(re.search(r"^Domain-0 .* 0$", text, re.M), last_line(text))
    value("head", text.splitlines()[0])


def check_uptime():
    need(re.search(r"^Domain-0 +0 +[\d:, days]+$", xl("uptime"), re.M), xl("uptime"))
    need(re.search(r"^ *[\d:]+ up .*Domain-0 \(0\)$", xl("uptime", "-s"), re.M), xl("uptime", "-s"))


def check_debug_keys():
    xl("dmesg", "-c")
    need(not xl("dmesg").strip(), "dmesg -c leaves something")
    xl("debug-keys", "h")
    text = xl("dmesg")
    need(len(text.splitlines()) > 3, f"the help that key h prints has {len(text.splitlines())} lines")
    xl("debug-keys", "q")
    need(re.search(r"[Dd]omain 0|d0", xl("dmesg")), "key q does not print domain 0")
    return f"{len(text.splitlines())} lines of help"


def check_cpupool_list():
    text = xl("cpupool-list")
    value("pools", text)
    need(re.search(rf"^Pool-0 +{cpus()} +credit2 +y +1$", text, re.M), last_line(text))
    every = ",".join(map(str, range(cpus())))
    need(re.search(rf"^Pool-0 +{every}$", xl("cpupool-list", "-c"), re.M), f"the pool's CPUs are not {every}")


def check_sched_credit2():
    text = xl("sched-credit2")
    need(re.search(r"^Domain-0 +0 +256 +0$", text, re.M), last_line(text))
    need(re.search(r"ratelimit=\d+us", text), "no rate limit is shown")
    value("all", text)
    xl("sched-credit2", "-s", "-r", "2500")
    need("ratelimit=2500us" in xl("sched-credit2", "-s"), xl("sched-credit2", "-s"))
    xl("sched-credit2", "-s", "-r", "1000")
    answer("ratelimit-too-long", "xl", "sched-credit2", "-s", "-r", "900000")
    answer("weight-too-large", "xl", "sched-credit2", "-d", "0", "-w", "100000")


def check_dom0_vcpus():
    text = xl("vcpu-list", "0")
    need(len(re.findall(r"^Domain-0 +0 +\d ", text, re.M)) == cpus(), text)


def check_xentop():
    text = sh("xentop", "-b", "-i", "1")
    need(re.search(r"^ +Domain-0 -----r ", text, re.M), last_line(text))
    value("head", next(line for line in text.splitlines() if "NAME" in line))


def check_info_numa():
    text = xl("info", "-n")
    need("cpu_topology" in text and "numa_info" in text, last_line(text))


def check_xenhypfs():
    tree = sh("xenhypfs", "tree")
    need("gnttab_max_frames" in tree and "compile_date" in tree, last_line(tree))
    need(sh("xenhypfs", "cat", "/buildinfo/version/major").strip() == "4", "the major version is not 4")
    need(answer("read-only", "xenhypfs", "write", "/buildinfo/version/major", "5"), "what is read-only can be written")
    need(answer("absent", "xenhypfs", "cat", "/buildinfo/nothing"), "what is not there can be read")
    value("version", sh("xenhypfs", "ls", "/buildinfo/version"))
    frames = sh("xenhypfs", "cat", "/params/gnttab_max_frames").strip()
    sh("xenhypfs", "write", "/params/gnttab_max_frames", "63")
    need(sh("xenhypfs", "cat", "/params/gnttab_max_frames").strip() == "63", "what can be written keeps its value")
    sh("xenhypfs", "write", "/params/gnttab_max_frames", frames)
    value("gnttab_max_frames", frames)


def check_set_parameters():
    before = sh("xenhypfs", "cat", "/params/guest_loglvl").strip()
    xl("set-parameters", "guest_loglvl=error")
    after = sh("xenhypfs", "cat", "/params/guest_loglvl").strip()
    need(after.startswith("error"), f"guest_loglvl is {after}")
    xl("set-parameters", f"guest_loglvl={before}")
    need(sh("xenhypfs", "cat", "/params/guest_loglvl").strip() == before, "it does not change back")
    need(answer("unknown", "xl", "set-parameters", "no-such-parameter=1"), "an unknown parameter is accepted")


# What this machine, its schedulers and its build of the tools do not have: refused, or an empty list.
NOT_THERE = """sched-credit; sched-rtds; psr-hwinfo; psr-cmt-attach 0; psr-cmt-detach 0; psr-cat-show; psr-mba-show; getenforce;
    setenforce 1; loadpolicy /etc/hostname; cpupool-create name="other"; cpupool-destroy Pool-0; cpupool-cpu-add Pool-0 7;
    cpupool-cpu-remove Pool-0 0; pci-assignable-list; pci-list 0; pci-assignable-add 0000:77:00.0;
    pci-assignable-remove 0000:77:00.0; usbdev-list 0; vtpm-list 0; channel-list 0; sharing; restore /nowhere"""


def check_not_there():
    """Each answers as on stock Xen, and leaves all as it was."""
    pool = xl("cpupool-list", "-c")
    for line in NOT_THERE.split(";"):
        words = line.split()
        answer("-".join(words[:2]).replace("/", "-"), "xl", *words)
    # Stock Xen has made it.
    run("xl", "cpupool-destroy", "other")
    need(xl("cpupool-list", "-c") == pool, "the pool has changed")
    need(list(domains()) == ["Domain-0"], "a domain is there")
    return f"{len(NOT_THERE.split(';'))} commands"


def check_devd():
    """It waits for domains that would have this one drive their devices, until it is ended."""
    place = os.path.join(WORK, "devd.pid")
    xl("devd", "-p", place)
    until("it says who it is", lambda: os.path.exists(place) and os.path.getsize(place))
    with open(place, encoding="ascii") as f:
        pid = int(f.read())
    need(os.path.exists(f"/proc/{pid}"), "it has ended")
    os.kill(pid, signal.SIGTERM)
    until("it ends", lambda: not os.path.exists(f"/proc/{pid}"))
    os.unlink(place)


def check_cpupool_rename():
    xl("cpupool-rename", "Pool-0", "only")
    need(re.search(r"^only +1 +credit2 +y +1$", xl("cpupool-list"), re.M) or cpus() > 1, xl("cpupool-list"))
    answer("absent", "xl", "cpupool-rename", "Pool-0", "other")
    # There is one node, which gets the only pool.
    answer("split", "xl", "cpupool-numa-split")
    value("after", xl("cpupool-list"))
    run("xl", "cpupool-rename", "Pool-node0", "Pool-0")
    run("xl", "cpupool-rename", "only", "Pool-0")
    need("Pool-0" in xl("cpupool-list"), "it does not get its name back")


def test_program(name):
    """The package's own tests end with 0 also where they skipped what is not there."""
    code, out = run(os.path.join(TOOLS, name))
    need(code == 0 and not re.search(r"^ *[Ff]ail", out, re.M), f"exit code {code}: {last_line(out)}")
    return last_line(out).strip()


def check_test_xenstore():
    return test_program("test-xenstore")


def check_test_resource():
    return test_program("test-resource")


def check_test_paging_mempool():
    return test_program("test-paging-mempool")


def check_test_cpu_policy():
    return test_program("test-cpu-policy")
