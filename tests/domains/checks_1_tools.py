# SPDX-License-Identifier: GPL-2.0-or-later
# The machine as the stock tools see it, before there is a guest.
import re

from lib import need, sh, xl


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
