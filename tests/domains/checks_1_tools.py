# SPDX-License-Identifier: GPL-2.0-or-later
# The machine as the stock tools see it, before there is a guest.
import os
import re

from lib import TOOLS, cpus, last_line, need, run, sh, xl


def check_info():
    text = xl("info")
    found = dict(re.findall(r"^(\w+) *: (.*)$", text, re.M))
    need(found["xen_version"].startswith("4.17"), f"version {found['xen_version']}")
    need("hvm hap" in found["virt_caps"], f"virt_caps {found['virt_caps']}")
    need(found["xen_scheduler"] == "credit2", f"scheduler {found['xen_scheduler']}")
    need(int(found["free_memory"]) > int(found["total_memory"]) // 2, f"free memory {found['free_memory']} MiB")
    return f"{found['free_memory']} of {found['total_memory']} MiB free"


def check_list():
    text = xl("list", "-l")
    need('"domid": 0' in text and '"name": "Domain-0"' in text, "Domain-0 is not in the list")


def check_dmesg():
    text = xl("dmesg")
    need(len(text.splitlines()) > 20, f"{len(text.splitlines())} lines")
    return f"{len(text.splitlines())} lines"


def check_xenstore_ls():
    text = sh("xenstore-ls")
    need('name = "Domain-0"' in text, "no name of Domain-0 in the store")


def check_claims():
    # "xl list" with one more column.
    need("Claimed" in xl("claims"), "no column of claims")


def check_uptime():
    need("Domain-0" in xl("uptime"), "Domain-0 is not there")


def check_debug_keys():
    xl("dmesg", "-c")
    xl("debug-keys", "h")
    text = xl("dmesg")
    need(len(text.splitlines()) > 3, f"the help that key h prints has {len(text.splitlines())} lines")
    return f"{len(text.splitlines())} lines of help"


def check_cpupool_list():
    text = xl("cpupool-list")
    need(re.search(rf"^Pool-0 +{cpus()} +credit2 +y +1$", text, re.M), last_line(text))
    every = ",".join(map(str, range(cpus())))
    need(re.search(rf"^Pool-0 +{every}$", xl("cpupool-list", "-c"), re.M), f"the pool's CPUs are not {every}")


def check_sched_credit2():
    text = xl("sched-credit2")
    need(re.search(r"^Domain-0 +0 +256 +0$", text, re.M), last_line(text))
    need(re.search(r"ratelimit=\d+us", text), "no rate limit is shown")


def check_dom0_vcpus():
    text = xl("vcpu-list", "0")
    need(len(re.findall(r"^Domain-0 +0 +\d ", text, re.M)) == cpus(), text)


def check_xentop():
    text = sh("xentop", "-b", "-i", "1")
    need("Domain-0" in text, last_line(text))


def check_info_numa():
    text = xl("info", "-n")
    need("cpu_topology" in text and "numa_info" in text, last_line(text))


def check_xenhypfs():
    tree = sh("xenhypfs", "tree")
    need("gnttab_max_frames" in tree and "compile_date" in tree, last_line(tree))
    need(sh("xenhypfs", "cat", "/buildinfo/version/major").strip() == "4", "the major version is not 4")
    code, out = run("xenhypfs", "write", "/buildinfo/version/major", "5")
    need(code != 0, f"what is read-only can be written: {last_line(out)}")


def check_set_parameters():
    before = sh("xenhypfs", "cat", "/params/guest_loglvl").strip()
    xl("set-parameters", "guest_loglvl=error")
    after = sh("xenhypfs", "cat", "/params/guest_loglvl").strip()
    need(after.startswith("error"), f"guest_loglvl is {after}")
    xl("set-parameters", f"guest_loglvl={before}")
    need(sh("xenhypfs", "cat", "/params/guest_loglvl").strip() == before, "it does not change back")
    code, _ = run("xl", "set-parameters", "no-such-parameter=1")
    need(code != 0, "an unknown parameter is accepted")


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
