# SPDX-License-Identifier: GPL-2.0-or-later
# Directory trees of Debian 12 from packages: what the roots of dom0 and of qubes have in common.
import glob
import os
import re
import shutil
from pathlib import Path

from . import debian, problems
from .cache import cached, digest, need_root, own_text, run
from .ext4 import EPOCH, settle_times

# Housekeeping that an image which is thrown away or replaced does not need.
MASKED = """
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
    e2scrub_reap.service systemd-pstore.service systemd-tmpfiles-clean.timer
""".split()
# Kernel modules that no emulated machine has a device for.
WITHOUT_MODULES = """
    drivers/gpu/drm/amd drivers/gpu/drm/i915 drivers/gpu/drm/nouveau drivers/gpu/drm/radeon drivers/media
    drivers/net/wireless drivers/infiniband drivers/net/ethernet/mellanox drivers/net/ethernet/chelsio
    drivers/net/ethernet/broadcom drivers/net/ethernet/qlogic drivers/net/ethernet/sfc drivers/isdn
    drivers/scsi/lpfc drivers/scsi/qla2xxx drivers/scsi/qla4xxx drivers/staging drivers/comedi drivers/iio
    sound net/bluetooth drivers/bluetooth fs/xfs fs/btrfs fs/ocfs2 fs/gfs2 fs/ceph fs/cifs fs/f2fs
""".split()
# Without documentation and translations.
BOOTSTRAP = [
    "--variant=minbase", "--aptopt=APT::Install-Recommends false", "--aptopt=Acquire::Languages none",
    "--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
]
# Written by the installation of packages, and different each time; what Python compiled of its own helper there is not always the same.
LEFTOVERS = """var/log/*.log var/log/apt/* var/log/*tmp var/log/faillog var/log/lastlog var/log/journal/* var/cache/ldconfig/aux-cache
    var/cache/apt/*.bin var/lib/apt/lists/* etc/*- var/lib/dpkg/*-old usr/share/python3/debpython/__pycache__""".split()


def versions(packages):
    """The versions that apt would install now, asked for in one go."""
    found = dict(re.findall(r"^(\S+):\n(?:.*\n)? +Candidate: (\S+)$", debian.apt_text("policy", *sorted(packages)), re.M))
    return [f"{name} {found.get(name)}" for name in sorted(packages)]


def packages_tar(packages, name):
    """A tree with these packages as an archive. Those of different names can be built at the same time."""
    def build(out):
        debian.say(f"install {len(packages)} packages and what they need (about two minutes)")
        with problems.explained():
            run(["mmdebstrap", *BOOTSTRAP, f"--include={','.join(packages)}", "bookworm", out],
                env=dict(os.environ, SOURCE_DATE_EPOCH=str(EPOCH)))

    # The one step that takes long depends on nothing else of this file.
    return cached("packages", ".tar", digest(EPOCH, *BOOTSTRAP, *versions(packages)), build, lock_name=f"packages-{name}")


def bootstrap(root, packages, name):
    """Makes the directory with these packages installed."""
    need_root()
    archive = packages_tar(packages, name)
    os.makedirs(root)
    run(["tar", "-x", "-p", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-f", archive, "-C", root])


def install_modules(root):
    version, place = debian.kernel_modules()
    target = os.path.join(root, "lib/modules", version)

    def skip(directory, names):
        below = os.path.relpath(directory, os.path.join(place, "kernel"))
        return [n for n in names if os.path.normpath(os.path.join(below, n)) in WITHOUT_MODULES]

    shutil.copytree(place, target, ignore=skip, symlinks=True)
    run(["depmod", "-b", root, version])


def copy_files(files, root):
    """Everything below the directory `files`, with its modes."""
    for directory, _, names in os.walk(files):
        for name in names:
            source = os.path.join(directory, name)
            target = os.path.join(root, os.path.relpath(source, files))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(source, target, follow_symlinks=False)


def write(root, path, text):
    with open(os.path.join(root, path), "w", encoding="utf-8") as f:
        f.write(text)


def mask(root, units):
    for unit in units:
        os.symlink("/dev/null", os.path.join(root, "etc/systemd/system", unit))


def enable(root, unit, target="multi-user.target"):
    """Starts a unit that is in /etc/systemd/system or in the package's directory with a target."""
    wants = os.path.join(root, "etc/systemd/system", f"{target}.wants")
    os.makedirs(wants, exist_ok=True)
    own = os.path.exists(os.path.join(root, "etc/systemd/system", unit))
    os.symlink(f"../{unit}" if own else f"/lib/systemd/system/{unit}", os.path.join(wants, unit))


def forget_leftovers(root):
    """Removes what would make every build another one; each system makes its own machine-id."""
    for pattern in LEFTOVERS:
        for path in glob.glob(os.path.join(root, pattern)):
            run(["rm", "-rf", path])
    write(root, "etc/machine-id", "")


def cache_fonts(root):
    """The list of fonts, which holds for directories of the image's time only: without it each program makes its own."""
    if os.path.exists(os.path.join(root, "usr/bin/fc-cache")):
        settle_times(root)
        run(["chroot", root, "fc-cache", "--force", "--system-only"], env=dict(os.environ, SOURCE_DATE_EPOCH=str(EPOCH)))


def enable_for_users(root, unit, target="default.target"):
    """Starts a unit of the package's directory in every user's session."""
    wants = os.path.join(root, "etc/systemd/user", f"{target}.wants")
    os.makedirs(wants, exist_ok=True)
    os.symlink(f"/usr/lib/systemd/user/{unit}", os.path.join(wants, unit))


def content(files):
    """Hash of the files below a directory: names, modes, bytes, targets of links."""
    paths = sorted(p for p in Path(files).rglob("*") if p.is_file() or p.is_symlink())
    names = [f"{p.relative_to(files).as_posix()} {p.lstat().st_mode:o} {os.readlink(p) if p.is_symlink() else ''}"
             for p in paths]
    return digest(*names, *(p for p in paths if not p.is_symlink()))


def inputs(packages):
    """Hash of the rest of what goes into a tree: the recipe, and the versions that apt would install now."""
    return digest(own_text(__file__, os.path.join(os.path.dirname(__file__), "ext4.py")), debian.kernel_package(),
                  *versions(packages))
