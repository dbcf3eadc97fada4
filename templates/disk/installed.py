# SPDX-License-Identifier: GPL-2.0-or-later
# A disk that boots the desktop by itself, in BIOS and in UEFI mode, and keeps what is written to it: a GPT with GRUB's core image for a
# BIOS, a FAT with the one for UEFI, and the root of dom0, in which are the hypervisor, the kernel and the template of the qubes.
import os
import subprocess
import tempfile
import uuid
from pathlib import Path

from images import debian, ext4, initramfs, problems
from images.cache import PLACE, cached, digest, own_text, run
from system import boot, desktop
from templates import images
from . import gpt

HERE = os.path.dirname(os.path.abspath(__file__))
INIT = os.path.join(HERE, "init")
# What a disk may hang on, and what dom0's root is.
MODULES = """
    nvme ahci ata_piix sd_mod xhci-pci xhci-hcd usb-storage uas usbhid hid-generic virtio_pci virtio_blk virtio_scsi ext4 crc32c_generic
    bochs evdev
""".split()
GRUB_LIB = "/usr/lib/grub"
GRUB_MODULES = "normal configfile part_gpt fat ext2 search multiboot2 gzio serial terminal echo minicmd halt reboot ls test".split()
GRUB_BIOS, GRUB_EFI = ["biosdisk"], ["all_video", "efi_gop"]
# The third partition of the disk that GRUB comes from.
PREFIX = "(,gpt3)/boot"
SIZE_GIB, LEAST_GIB = 16, 10
BIOS_MIB, EFI_MIB = 1, 64
# How long GRUB's menu waits for a person.
GRUB_SECONDS = 2
# What a new disk takes, and its root while that is put together.
SPACE_MIB = 4000
# The last one is what init and systemd speak to; logins are on both.
KERNEL_WORDS = "console=hvc0 console=tty0 quiet loglevel=3"


def grub_config(hypervisor, number, words):
    return f"""\
# The hypervisor's words are in bulkhead(7), dom0's behind its kernel.
set timeout={0 if words else GRUB_SECONDS}
set default=0
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
menuentry "Desktop of qubes" {{
    multiboot2 /boot/hypervisor.gz {boot.HV_ARGS[hypervisor]} dom0_mem=1024M {desktop.GRANTS}
    module2 /boot/vmlinux root=UUID={number} {words or KERNEL_WORDS}
    module2 /boot/initramfs
}}
"""


def disk_initramfs():
    """Path of the initramfs that finds dom0's root on a disk."""
    def build(out):
        version, place = debian.kernel_modules()
        archive = initramfs.with_busybox(INIT, "proc sys dev root sbin usr/bin usr/sbin".split())
        initramfs.add_modules(archive, version, place, MODULES)
        archive.write(out)

    key = digest(Path(INIT), Path(debian.busybox()), debian.kernel_package(),
                 own_text(__file__, initramfs.__file__, os.path.join(os.path.dirname(initramfs.__file__), "cpio.py")))
    return cached("disk-initramfs", ".cpio", key, build)


def put(image, files):
    """Puts files into an ext4 image: [(path there, file here)], and a link where the second is a string that begins with "link:"."""
    lines = []
    for name, source in files:
        lines.append(f"rm {name}")
        if source.startswith("link:"):
            lines.append(f"symlink {name} {source.removeprefix('link:')}")
        else:
            lines += [f"write {os.path.abspath(source)} {name}", f"sif {name} mode 0100644"]
    done = subprocess.run(["debugfs", "-w", "-f", "-", image], input="\n".join(lines), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, text=True)
    wrong = [line for line in done.stdout.splitlines() if not ext4.EXPECTED.match(line)]
    if done.returncode or wrong:
        raise RuntimeError(f"debugfs: exit code {done.returncode}: {wrong[:5]}")


def root(work, hypervisor, words, sectors):
    """Path of a file system of so many sectors: dom0's image with all that it boots from, and the template."""
    dom0, template = images.desktop()
    number, out = str(uuid.uuid4()), os.path.join(work, "root")
    config, fstab = os.path.join(work, "grub.cfg"), os.path.join(work, "fstab")
    Path(config).write_text(grub_config(hypervisor, number, words), encoding="ascii")
    Path(fstab).write_text(f"UUID={number} / ext4 noatime 0 1\n", encoding="ascii")
    run(["cp", "--sparse=always", dom0, out])
    # The qubes' kernel is dom0's, too.
    put(out, [("/boot/grub.cfg", config), ("/boot/hypervisor.gz", debian.hypervisor(hypervisor)), ("/boot/initramfs", disk_initramfs()),
              ("/boot/vmlinux", "link:../var/lib/qubes/kernel/vmlinux"), ("/etc/fstab", fstab),
              ("/var/lib/qubes/qubes/debian/root.img", template)])
    os.truncate(out, sectors * gpt.SECTOR)
    # Images have no journal, as nothing that is written to them stays; a disk needs one.
    for command in (["e2fsck", "-f", "-p"], ["resize2fs"], ["tune2fs", "-j", "-U", number]):
        run([*command, out])
    return out


def grub_image(work, kind, modules):
    out = os.path.join(work, kind)
    run(["grub-mkimage", "-O", kind, "-o", out, "-p", PREFIX, *GRUB_MODULES, *modules])
    return out


def efi(work):
    """Path of the file system that UEFI looks for its boot loader in."""
    out = os.path.join(work, "efi")
    run(["mkfs.vfat", "-n", "EFI", "-C", out, str(EFI_MIB << 10)])
    run(["mmd", "-i", out, "::/EFI", "::/EFI/BOOT"])
    run(["mcopy", "-i", out, grub_image(work, "x86_64-efi", GRUB_EFI), "::/EFI/BOOT/BOOTX64.EFI"])
    return out


def make_disk(path, hypervisor, gibibytes=SIZE_GIB, words=""):
    """Makes the file, sparse; one that is there already stays as it is. words: in place of those of dom0's kernel, for
    tests, which GRUB does not wait for."""
    if os.path.exists(path):
        raise RuntimeError(f"{path} is there already, and what is on it is kept: name another file, or remove it")
    if gibibytes < LEAST_GIB:
        raise RuntimeError(f"a disk of {gibibytes} GiB is too small: it has to have at least {LEAST_GIB}")
    problems.need_space(SPACE_MIB, "a disk with the desktop")
    sectors, partial = gibibytes << 21, f"{path}.partial"
    parts = [gpt.Partition(gpt.BIOS_BOOT, "GRUB for a BIOS", BIOS_MIB << 11), gpt.Partition(gpt.EFI_SYSTEM, "EFI", EFI_MIB << 11),
             gpt.Partition(gpt.LINUX_ROOT, "dom0", 0)]
    gpt.lay_out(parts, sectors)
    with tempfile.TemporaryDirectory(prefix=".disk-", dir=PLACE) as work:
        with open(partial, "wb+") as f:
            f.truncate(sectors * gpt.SECTOR)
            gpt.write_table(f, parts, sectors)
            gpt.write_grub(f, Path(GRUB_LIB, "i386-pc/boot.img").read_bytes(), Path(grub_image(work, "i386-pc", GRUB_BIOS)).read_bytes(),
                           parts[0])
            f.flush()
            gpt.copy(f, efi(work), parts[1])
            gpt.copy(f, root(work, hypervisor, words, parts[2].sectors), parts[2])
        os.rename(partial, path)
    return path
