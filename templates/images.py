# SPDX-License-Identifier: GPL-2.0-or-later
# The images that dom0 and qubes boot from: roots, the initramfs of qubes. Cached by the content of all that goes in.
import fcntl
import functools
import glob
import inspect
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.report import make
from images import debian, debian_root, debian_tree, ext4, initramfs, problems
from images.cache import OUT, PLACE, cached, digest, own_text, run

HERE = os.path.dirname(os.path.abspath(__file__))
QUBE = os.path.join(HERE, "qube")
DOM0 = os.path.join(HERE, "dom0")
INIT = os.path.join(QUBE, "init")
MODULES = "xen-blkfront ext4 crc32c_generic overlay".split()
# Sizes are limits: the files are sparse.
ROOT_SIZE = "8G"
# What one of them takes while it is built: the packages, their tree, the image and that with our programs.
SPACE_MIB = 4000
# What this tree installs into qubes, below /usr: all have calls and their database, the desktop's has windows, too.
INSTALL = {"minimal": ["install-qubesdb", "install-qrexec-vm"]}
INSTALL["desktop"] = INSTALL["minimal"] + ["install-gui-agent"]
ENABLED = {"qubes-db.service": "multi-user.target", "qubes-sysinit.service": "multi-user.target",
           "qubes-qrexec-agent.service": "multi-user.target", "qubes-private.service": "local-fs.target"}
# Where dom0 finds its qubes' root: the second NVMe disk.
TEMPLATE_DISK = "/dev/nvme1n1"
# The desktop's starter of qubes is the one to stay.
DOM0_INSTALL = ["install-qubesdb", "install-qrexec-dom0", "install-desktop"]
# Not of use to a machine without anything of its own to repair or to ask: each of these costs a start more than it looks.
NEITHER = """
    systemd-binfmt.service systemd-repart.service systemd-firstboot.service systemd-update-utmp.service
    systemd-update-utmp-runlevel.service modprobe@drm.service dev-hugepages.mount sys-kernel-debug.mount
    sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount
""".split()
DOM0_MASKED = NEITHER + ["xendomains.service"]
QUBE_MASKED = NEITHER + ["dev-mqueue.mount", "systemd-random-seed.service", "systemd-journald-audit.socket"]
# What they would find is not there: no swap or root by its partition's type, no encrypted disk, no boot loader.
GENERATORS = """
    systemd-bless-boot-generator systemd-cryptsetup-generator systemd-debug-generator systemd-gpt-auto-generator
    systemd-hibernate-resume-generator systemd-integritysetup-generator systemd-rc-local-generator systemd-run-generator
    systemd-system-update-generator systemd-veritysetup-generator
""".split()
DOM0_ENABLED = ["qube-manager.service", "qubes-desktop.service"]
# Only for building programs.
NOT_SHIPPED = "usr/include usr/lib/*.a usr/lib/pkgconfig usr/share/man".split()


def package_list(path):
    with open(path, encoding="ascii") as f:
        return [line.strip() for line in f if line.strip() and not line.startswith("#")]


def packages(flavour):
    """Those of "minimal", and of the flavour if it is another one."""
    lists = [package_list(os.path.join(QUBE, f"packages.{name}")) for name in dict.fromkeys(["minimal", flavour])]
    return sorted(set(sum(lists, [])))


def one_at_a_time(build):
    """Of all that use this place for what they stage: make run and make check may run beside each other."""
    @functools.wraps(build)
    def locked(*arguments):
        os.makedirs(os.path.join(OUT, "templates"), exist_ok=True)
        with open(os.path.join(OUT, "templates/.lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return build(*arguments)
    return locked


def stage(name, targets):
    """Directory with what this tree installs: what targets of make install do."""
    place = os.path.join(OUT, "templates", name)
    run(["rm", "-rf", place])
    good, out = make(*targets, f"DESTDIR={os.path.abspath(place)}", "PREFIX=/usr", "SYSCONFDIR=/etc",
                     "UNITDIR=/usr/lib/systemd/system", jobs=False)
    if not good:
        raise RuntimeError(out)
    for pattern in NOT_SHIPPED:
        for path in glob.glob(os.path.join(place, pattern)):
            run(["rm", "-rf", path])
    for path in Path(place).rglob("*"):
        if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF":
            run(["strip", path])
    return place


def nothing_to_update(staged):
    """What systemd makes at the first start of a new /usr (libraries, hardware database) is in the image already."""
    for path in ("etc", "var"):
        os.makedirs(os.path.join(staged, path), exist_ok=True)
        debian_tree.write(staged, f"{path}/.updated", f"TIMESTAMP_NSEC={ext4.EPOCH}000000000\n")


def make_users(root):
    """The person's account, whose programs may talk to other domains."""
    run(["chroot", root, "groupadd", "--system", "qubes"])
    run(["chroot", root, "useradd", "--uid", "1000", "--create-home", "--shell", "/bin/bash", "--groups", "qubes",
         "user"])
    # Lingering: the user's services, and so the session's bus, run from the start.
    os.makedirs(os.path.join(root, "var/lib/systemd/linger"), exist_ok=True)
    debian_tree.write(root, "var/lib/systemd/linger/user", "")
    for account in ("root", "user"):
        run(["chroot", root, "passwd", "-d", account])
        # Or the day of the build is in the image.
        run(["chroot", root, "chage", "-d", "19675", account])


def base(name, wanted, hostname, root_line=""):
    """Path of an image with packages, modules and users: what takes long, and does not change with this tree's programs."""
    key = digest(own_text(debian_tree.__file__, ext4.__file__), inspect.getsource(base), inspect.getsource(make_users),
                 debian_tree.inputs(wanted), hostname, root_line)

    def build(out):
        problems.need_space(SPACE_MIB, f"the image {name}")
        debian.say(f"put {name} together")
        root = os.path.join(PLACE, f".partial-{name}")
        run(["rm", "-rf", root])
        try:
            debian_tree.bootstrap(root, wanted, name)
            debian_tree.install_modules(root)
            make_users(root)
            debian_tree.mask(root, debian_tree.MASKED)
            debian_tree.write(root, "etc/hostname", f"{hostname}\n")
            debian_tree.write(root, "etc/fstab", root_line)
            debian_tree.forget_leftovers(root)
            debian_tree.cache_fonts(root)
            ext4.image(root, out, hostname, ROOT_SIZE, key)
        finally:
            run(["rm", "-rf", root])

    return cached(f"base-{name}", ".img", key, build, problems.damage)


def qube_base(flavour):
    return base(f"qube-{flavour}", packages(flavour), "qube")


def dom0_base():
    return base("dom0", dom0_packages(), "dom0", "/dev/nvme0n1 / ext4 noatime 0 0\n")


def prepare(*bases):
    """Calls these functions at the same time: what takes longest is the work of one processor."""
    # What all of them need, once.
    debian.kernel_modules()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for made in [pool.submit(make_base) for make_base in bases]:
            made.result()


def finished(kind, under, staged):
    """Path of an image: the base with the staged files in it."""
    key = digest(own_text(ext4.__file__), inspect.getsource(finished), os.path.basename(under), debian_tree.content(staged))

    def build(out):
        run(["cp", "--sparse=always", under, out])
        ext4.add(staged, out)

    return cached(kind, ".img", key, build, problems.damage)


def mask(staged, units, generators):
    """In the image; as sysv scripts have units by a generator, it depends on the image which are there."""
    for place, names in (("system", units), ("system-generators", generators)):
        os.makedirs(os.path.join(staged, "etc/systemd", place), exist_ok=True)
        for name in names:
            os.symlink("/dev/null", os.path.join(staged, "etc/systemd", place, name))


@one_at_a_time
def qube_root(flavour):
    """Path of a template's root, an ext4 image: minimal, or desktop."""
    staged = stage(flavour, INSTALL[flavour])
    debian_tree.copy_files(os.path.join(QUBE, "root"), staged)
    nothing_to_update(staged)
    for unit, target in ENABLED.items():
        debian_tree.enable(staged, unit, target)
    mask(staged, QUBE_MASKED, GENERATORS + ["systemd-sysv-generator"])
    if flavour == "desktop":
        debian_tree.enable_for_users(staged, "bulkhead-gui-agent.service")
    return finished(f"qube-{flavour}", qube_base(flavour), staged)


def build_initramfs(out):
    version, place = debian.kernel_modules()
    archive = initramfs.with_busybox(INIT, "proc sys dev root lower upper sbin usr/bin usr/sbin".split())
    initramfs.add_modules(archive, version, place, MODULES)
    archive.write(out)


def qube_initramfs():
    """Path of the initramfs that every qube boots with."""
    key = digest(Path(INIT), Path(debian.busybox()), debian.kernel_package(),
                 own_text(__file__, initramfs.__file__, os.path.join(os.path.dirname(initramfs.__file__), "cpio.py")))
    return cached("qube-initramfs", ".cpio", key, build_initramfs)


def fill_menu(place, root):
    """The template's applications, as its own service lists them: dom0's menu has them before the template ever ran."""
    with tempfile.TemporaryDirectory(prefix="menu-") as work:
        run(["debugfs", "-R", f"rdump /usr/share/applications {work}", root])
        listed = os.path.join(work, "list")
        # Ours hide some of them.
        places = ":".join([os.path.join(QUBE, "root/usr/local/share/applications"), os.path.join(work, "applications")])
        with open(listed, "wb") as f:
            subprocess.run(["sh", os.path.join(HERE, "../qrexec/etc/lib/desktop-run"), "list"], stdout=f, check=True,
                           stdin=subprocess.DEVNULL, env=dict(os.environ, QUBES_APPLICATIONS=places))
        # Its reader has no rights but to read.
        os.chmod(work, 0o755)
        run([os.path.join(OUT, "desktop/qube-menu-update"), "--dir", os.path.join(place, "menus"), "--from", listed, "debian"])


def fill_qubes(staged):
    """The qubes of a new machine: their list, and what they boot. The template's root is on a disk of its own."""
    place = os.path.join(staged, "var/lib/qubes")
    for path in ("kernel", "qubes/debian"):
        os.makedirs(os.path.join(place, path))
    shutil.copy(os.path.join(DOM0, "qubes.xml"), place)
    shutil.copy(debian.kernel_elf(), os.path.join(place, "kernel/vmlinux"))
    shutil.copy(qube_initramfs(), os.path.join(place, "kernel/initramfs"))
    fill_menu(place, qube_base("desktop"))
    os.symlink(TEMPLATE_DISK, os.path.join(place, "qubes/debian/root.img"))


@one_at_a_time
def dom0_root():
    """Path of dom0's image: the whole system, but for the template of its qubes."""
    # Devices and groups are those of a qube: programs of the user talk to other domains here, too.
    staged = stage("dom0", DOM0_INSTALL)
    for path in ("etc/modules-load.d", "etc/modprobe.d", "etc/udev/rules.d"):
        debian_tree.copy_files(os.path.join(QUBE, "root", path), os.path.join(staged, path))
    debian_tree.copy_files(os.path.join(DOM0, "root"), staged)
    fill_qubes(staged)
    nothing_to_update(staged)
    for unit in DOM0_ENABLED:
        debian_tree.enable(staged, unit)
    mask(staged, DOM0_MASKED, GENERATORS)
    return finished("dom0", dom0_base(), staged)


def desktop():
    """Paths of dom0's image and of the template of its qubes."""
    prepare(dom0_base, lambda: qube_base("desktop"))
    return dom0_root(), qube_root("desktop")


def dom0_packages():
    return sorted(set(debian_root.PACKAGES + package_list(os.path.join(DOM0, "packages"))))
