# SPDX-License-Identifier: GPL-2.0-or-later
# Partition tables (UEFI specification 2.10, chapter 5) in files, and GRUB's first sectors for a BIOS.
import os
import struct
import uuid
import zlib

SECTOR = 512
# Where partitions begin: a multiple of everything that a disk likes to write at once.
ALIGNED = 2048
# Entries of a table, bytes of each, and the sectors that all of them take.
ENTRIES, ENTRY_SIZE = 128, 128
TABLE_SECTORS = ENTRIES * ENTRY_SIZE // SECTOR
BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"
EFI_SYSTEM = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
LINUX_ROOT = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
# GRUB 2: where its first sector (boot.img) has the number of the next one to load, and where that one (the first of the core image)
# has the number of the rest.
BOOT_NEXT, CORE_REST = 0x5C, 0x1F4
# What of the first sector is code; the rest is the table of an MBR.
MBR_CODE = 440


class Partition:
    def __init__(self, kind, name, sectors):
        self.kind, self.name, self.sectors, self.first = uuid.UUID(kind), name, sectors, 0

    def entry(self):
        return (self.kind.bytes_le + uuid.uuid4().bytes_le + struct.pack("<QQQ", self.first, self.first + self.sectors - 1, 0)
                + self.name.encode("utf-16-le").ljust(72, b"\0"))


def lay_out(partitions, sectors):
    """Gives each its place (in sectors), and the last one all that is left of a disk of so many sectors."""
    at = ALIGNED
    for part in partitions[:-1]:
        part.first = at
        at += -(-part.sectors // ALIGNED) * ALIGNED
    partitions[-1].first = at
    partitions[-1].sectors = (sectors - TABLE_SECTORS - 1 - at) // ALIGNED * ALIGNED


def _header(disk, at, other, table_at, sectors, table):
    def packed(own_sum):
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, own_sum, 0, at, other, 2 + TABLE_SECTORS,
                           sectors - TABLE_SECTORS - 2, disk.bytes_le, table_at, ENTRIES, ENTRY_SIZE, zlib.crc32(table))
    return packed(zlib.crc32(packed(0))).ljust(SECTOR, b"\0")


def write_table(f, partitions, sectors):
    """Both tables, and the one of an MBR that says that the disk has another."""
    disk, last = uuid.uuid4(), sectors - 1
    table = b"".join(part.entry() for part in partitions).ljust(ENTRIES * ENTRY_SIZE, b"\0")
    f.seek(MBR_CODE)
    f.write(struct.pack("<I2x", 0) + struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(last, 0xFFFFFFFF))
            + bytes(3 * 16) + b"\x55\xaa")
    f.write(_header(disk, 1, last, 2, sectors, table) + table)
    f.seek((last - TABLE_SECTORS) * SECTOR)
    f.write(table + _header(disk, last, 1, last - TABLE_SECTORS, sectors, table))


def write_grub(f, boot, core, part):
    """GRUB for a BIOS: its first sector, and its core image in the partition that is for it."""
    if len(core) > part.sectors * SECTOR:
        raise RuntimeError(f"GRUB's core image of {len(core)} bytes is larger than its partition")
    first, rest = bytearray(boot[:MBR_CODE]), bytearray(core)
    struct.pack_into("<Q", first, BOOT_NEXT, part.first)
    struct.pack_into("<Q", rest, CORE_REST, part.first + 1)
    f.seek(0)
    f.write(first)
    f.seek(part.first * SECTOR)
    f.write(rest)


def copy(f, path, part):
    """The content of a sparse file into a partition; holes stay holes."""
    with open(path, "rb") as source:
        size, at = os.fstat(source.fileno()).st_size, 0
        if size > part.sectors * SECTOR:
            raise RuntimeError(f"{path} is larger than its partition")
        while at < size:
            try:
                at = os.lseek(source.fileno(), at, os.SEEK_DATA)
            except OSError:  # only a hole is left
                break
            end = os.lseek(source.fileno(), at, os.SEEK_HOLE)
            while at < end:
                data = os.pread(source.fileno(), min(end - at, 1 << 20), at)
                os.pwrite(f.fileno(), data, part.first * SECTOR + at)
                at += len(data)
