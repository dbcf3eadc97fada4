#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# /init of the test initramfs. The kernel command line says what to do:
#   bh.test=word,word…   checks to run (functions check_word below); each prints "TEST word: ok [note]" or
#                        "TEST word: FAIL reason"
#   bh.cpus=N            CPUs that must be online     bh.mem=MiB  memory that must be there at least
#   bh.disk.sum=SHA256   of the first 16 MiB of the data disk
#   bh.root=DEVICE  switch to the root there instead
#   bh.end=poweroff|reboot|halt|crash|shell
# Checks that need the other side print a line with a question mark; the harness answers (a key, a mail).

/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /run
exec </dev/console >/dev/console 2>&1

echo "BULKHEAD-USERSPACE"

arg() {
    for word in $(cat /proc/cmdline); do
        case "$word" in
            "bh.$1="*) echo "${word#bh.$1=}"; return 0 ;;
        esac
    done
    echo "$2"
}

# A full root in place of the checks: bh.root=/dev/…
root=$(arg root "")
if [ -n "$root" ]; then
    modprobe nvme
    modprobe crc32c_generic
    modprobe ext4
    n=0
    while [ ! -b "$root" ] && [ $n -lt 100 ]; do usleep 100000; n=$((n + 1)); done
    mount -t ext4 -o noatime "$root" /mnt || exec sh
    umount /run /sys /proc
    exec switch_root /mnt /sbin/init
fi

ok() { echo "TEST $name: ok $*"; }
fail() { echo "TEST $name: FAIL $*"; }
# Repeats a command until it succeeds; the first argument is the number of tenths of seconds.
until_true() {
    local left=$1
    shift
    while ! "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        usleep 100000
    done
}
# How often interrupts whose /proc/interrupts line matches came, over all CPUs.
interrupts() {
    awk -v re="$1" '$0 ~ re { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' \
        /proc/interrupts
}
pci_by_id() {
    for dev in /sys/bus/pci/devices/*; do
        [ "$(cat "$dev/vendor"):$(cat "$dev/device")" = "$1" ] && basename "$dev" && return 0
    done
    return 1
}

check_cpus() {
    local want n
    want=$(arg cpus 1)
    n=$(grep -c ^processor /proc/cpuinfo)
    [ "$n" = "$want" ] && ok "$n online" || fail "$n of $want online"
}

check_mem() {
    local want have
    want=$(arg mem 256)
    have=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
    [ "$have" -ge "$want" ] && ok "$have MiB" || fail "$have MiB, less than $want"
}

# Writes and compares a pattern over most of the free memory: a frame given twice would show.
check_memfill() {
    local mib sum i
    mib=$(awk '/^MemFree/ { print int($2 / 1024 / 2) }' /proc/meminfo)
    [ "$mib" -gt 128 ] && mib=128
    mount -t tmpfs -o size=100% fill /mnt
    dd if=/dev/urandom of=/mnt/block bs=1M count=1 2>/dev/null
    sum=$(md5sum < /mnt/block)
    i=1
    while [ $i -lt "$mib" ]; do cp /mnt/block /mnt/copy$i; i=$((i + 1)); done
    i=1
    while [ $i -lt "$mib" ]; do
        cmp -s /mnt/block /mnt/copy$i || { fail "copy $i differs"; umount /mnt; return; }
        i=$((i + 1))
    done
    [ "$sum" = "$(md5sum < /mnt/block)" ] && ok "$mib MiB" || fail "the pattern itself changed"
    umount /mnt
}

check_xen() {
    local version
    modprobe xenfs
    mount -t xenfs xenfs /proc/xen
    version="$(cat /sys/hypervisor/version/major).$(cat /sys/hypervisor/version/minor)$(cat /sys/hypervisor/version/extra)"
    [ "$(cat /sys/hypervisor/type)" = xen ] || { fail "no hypervisor in sysfs"; return; }
    grep -q control_d /proc/xen/capabilities || { fail "dom0 is not the control domain"; return; }
    ok "$version"
}

# Three clocks over the same time: that of the day, that since the boot, and the RTC's, which is the machine's.
clocks() { echo "$(date +%s) $(cut -d. -f1 /proc/uptime) $(cat /sys/class/rtc/rtc0/since_epoch)"; }
check_clock() {
    local source day up rtc before
    source=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
    before=$(clocks)
    sleep 4
    # shellcheck disable=SC2046,SC2086 # six numbers
    set -- $before $(clocks)
    day=$(($4 - $1)) up=$(($5 - $2)) rtc=$(($6 - $3))
    # Each is cut to whole seconds.
    if [ $day -ge 4 ] && [ $((day - up)) -ge -1 ] && [ $((day - up)) -le 1 ] && [ $((day - rtc)) -ge -1 ] &&
        [ $((day - rtc)) -le 1 ]; then
        ok "$source"
    else
        fail "in a sleep of 4 s the day's clock moved by $day s, that since the boot by $up s, the RTC by $rtc s"
    fi
}

check_rtc() {
    local rtc now
    rtc=$(date -u -d "$(hwclock -u -r | sed 's/  .*//;s/\..*//')" +%s 2>/dev/null)
    [ -e /sys/class/rtc/rtc0/since_epoch ] && rtc=$(cat /sys/class/rtc/rtc0/since_epoch)
    now=$(date +%s)
    [ -n "$rtc" ] || { fail "no RTC"; return; }
    [ $((now - rtc)) -le 3 ] && [ $((rtc - now)) -le 3 ] && ok "epoch $now" || fail "RTC says $rtc, the clock $now"
}

# Reads the data disk, compares with what the harness wrote there; writes, drops caches, reads again.
disk() {
    local dev=$1 match=$2 sum back irqs
    until_true 100 test -b "$dev" || { fail "$dev did not appear"; return; }
    irqs=$(interrupts "$match")
    sum=$(dd if="$dev" bs=1M count=16 iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1)
    [ "$sum" = "$(arg disk.sum none)" ] || { fail "read $sum"; return; }
    dd if=/dev/urandom of=/run/block bs=1M count=8 2>/dev/null
    sum=$(sha256sum < /run/block | cut -d' ' -f1)
    dd if=/run/block of="$dev" bs=1M seek=16 conv=fsync 2>/dev/null
    echo 3 > /proc/sys/vm/drop_caches
    back=$(dd if="$dev" bs=1M skip=16 count=8 iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1)
    rm /run/block
    [ "$sum" = "$back" ] || { fail "wrote $sum, read $back"; return; }
    [ "$(interrupts "$match")" -gt "$irqs" ] || { fail "no interrupt came"; return; }
    echo "DISK-WROTE $name $sum"
    ok "$(interrupts "$match") interrupts"
}
check_nvme() { modprobe nvme; disk /dev/nvme0n1 nvme0q; }
check_ahci() { modprobe ahci; modprobe sd_mod; disk /dev/sda 'ahci'; }

# A file system on the scratch part of the NVMe disk, under parallel load.
check_ext4() {
    local i
    modprobe nvme
    modprobe crc32c_generic
    modprobe ext4
    modprobe loop
    until_true 100 test -b /dev/nvme0n1 || { fail "no disk"; return; }
    losetup -o 33554432 /dev/loop0 /dev/nvme0n1 && mke2fs /dev/loop0 >/dev/null 2>&1 || { fail "mke2fs"; return; }
    mount -t ext4 /dev/loop0 /mnt || { fail "mount"; return; }
    for i in 1 2 3 4; do
        (dd if=/dev/urandom of=/mnt/f$i bs=64k count=32 2>/dev/null; sha256sum /mnt/f$i > /mnt/f$i.sum) &
    done
    wait
    sync
    umount /mnt
    echo 3 > /proc/sys/vm/drop_caches
    mount -t ext4 /dev/loop0 /mnt || { fail "mount again"; return; }
    for i in 1 2 3 4; do
        sha256sum -c /mnt/f$i.sum >/dev/null || { fail "file $i differs"; umount /mnt; return; }
    done
    umount /mnt
    losetup -d /dev/loop0
    ok
}

check_net() {
    modprobe e1000e
    until_true 50 test -d /sys/class/net/eth0 || { fail "eth0 did not appear"; return; }
    ip addr add 10.0.2.15/24 dev eth0
    ip link set eth0 up
    until_true 100 grep -q 1 /sys/class/net/eth0/carrier || { fail "no carrier"; return; }
    until_true 20 ping -c 1 -W 2 10.0.2.2 || { fail "no answer to ping"; return; }
    ping -c 20 -i 0.05 -s 1400 -W 5 -q 10.0.2.2 > /run/ping || { fail "$(grep loss /run/ping)"; return; }
    ok "$(interrupts eth0) interrupts"
}

# The same card with its pin in place of messages: a level-triggered interrupt through the I/O APIC.
check_intx() {
    local irqs
    ip link set eth0 down
    modprobe -r e1000e
    modprobe e1000e IntMode=0
    until_true 50 test -d /sys/class/net/eth0 || { fail "eth0 did not come back"; return; }
    ip addr add 10.0.2.15/24 dev eth0
    ip link set eth0 up
    until_true 100 grep -q 1 /sys/class/net/eth0/carrier || { fail "no carrier"; return; }
    grep -q 'IO-APIC.*fasteoi.*eth0' /proc/interrupts || { fail "$(grep eth0 /proc/interrupts)"; return; }
    until_true 20 ping -c 1 -W 2 10.0.2.2 || { fail "no answer to ping"; return; }
    irqs=$(interrupts eth0)
    ping -c 20 -i 0.05 -s 1400 -W 5 -q 10.0.2.2 > /run/ping || { fail "$(grep loss /run/ping)"; return; }
    irqs=$(($(interrupts eth0) - irqs))
    [ "$irqs" -ge 5 ] && ok "$irqs interrupts" || fail "$irqs interrupts for 20 packets"
}

check_usb() {
    local tablet
    modprobe xhci-pci
    modprobe usbhid
    modprobe hid-generic
    modprobe evdev
    until_true 150 grep -q 'QEMU USB Tablet' /proc/bus/input/devices || { fail "no tablet"; return; }
    tablet=$(awk '/QEMU.*Tablet/ { t = 1 } t && /Handlers/ { match($0, /event[0-9]+/); print substr($0, RSTART, RLENGTH); exit }' /proc/bus/input/devices)
    until_true 30 test -c "/dev/input/$tablet" || { fail "no /dev/input/$tablet"; return; }
    timeout 20 dd if="/dev/input/$tablet" of=/run/event bs=24 count=1 2>/dev/null &
    sleep 1
    echo "MOVE-TABLET?"
    wait
    [ -s /run/event ] && ok "$(interrupts xhci_hcd) interrupts" || fail "no event from the tablet"
    rm -f /run/event
}

check_keyboard() {
    local dev
    modprobe evdev
    dev=$(awk '/AT.*keyboard/ { t = 1 } t && /Handlers/ { match($0, /event[0-9]+/); print substr($0, RSTART, RLENGTH); exit }' /proc/bus/input/devices)
    [ -n "$dev" ] || { fail "no i8042 keyboard"; return; }
    until_true 30 test -c "/dev/input/$dev"
    timeout 20 dd if="/dev/input/$dev" of=/run/event bs=24 count=1 2>/dev/null &
    sleep 1
    echo "PRESS-KEY?"
    wait
    [ -s /run/event ] && ok || fail "no key event"
    rm -f /run/event
}

# Input at the console: a line for us, after some for the hypervisor.
check_console() {
    local line
    echo "TYPE-LINE?"
    read -r -t 30 line
    [ "$line" = "the quick brown fox" ] && ok || fail "read '$line'"
}

check_display() {
    local size bytes
    modprobe bochs
    until_true 50 test -c /dev/fb0 || { fail "no /dev/fb0"; return; }
    until_true 30 grep -q bochs /proc/fb || { fail "frame buffer is $(cat /proc/fb)"; return; }
    size=$(cat /sys/class/graphics/fb0/virtual_size)
    # Bytes of a pixel in memory: blue, green, red, unused; doubled until there are 4096 of them.
    printf '\040\140\300\000' > /run/pixels
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
        cat /run/pixels /run/pixels > /run/two
        mv /run/two /run/pixels
    done
    bytes=$((${size%,*} * ${size#*,} * 4))
    while [ $bytes -gt 0 ]; do
        cat /run/pixels
        bytes=$((bytes - 16384))
    done > /dev/fb0 2>/dev/null
    echo "LOOK-AT-DISPLAY?"
    sleep 2
    ok "$size"
}

# PCI: every device can be removed and found again, with its BARs sized and placed anew.
check_rescan() {
    local dev sum
    dev=$(pci_by_id 0x1234:0x11e8) || { fail "no edu device"; return; }
    sum=$(cut -d' ' -f1 "/sys/bus/pci/devices/$dev/resource" | head -n 1)
    echo 1 > "/sys/bus/pci/devices/$dev/remove"
    [ -e "/sys/bus/pci/devices/$dev" ] && { fail "not removed"; return; }
    echo 1 > /sys/bus/pci/rescan
    until_true 20 test -e "/sys/bus/pci/devices/$dev/resource0" || { fail "not found again"; return; }
    dma-attack --probe "$dev" && ok "BAR was $sum, is $(cut -d' ' -f1 "/sys/bus/pci/devices/$dev/resource" | head -n 1)" ||
        fail "registers do not answer"
}

# Waits for the harness to put words at the end of the data disk's first 32 MiB.
mail() {
    local text=""
    echo "MAIL?"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
        text=$(dd if=/dev/nvme0n1 bs=4096 skip=8191 count=1 iflag=direct 2>/dev/null | tr -d '\000')
        [ -n "$text" ] && echo "$text" > /run/mail && return 0
        usleep 300000
    done
    return 1
}

check_dma() {
    local dev how target
    modprobe nvme
    until_true 100 test -b /dev/nvme0n1
    dev=$(pci_by_id 0x1234:0x11e8) || { fail "no edu device"; return; }
    dma-attack --control "$dev" || { fail "the positive control failed"; return; }
    mail || { fail "no target"; return; }
    while read -r how target; do
        dma-attack "--$how" "$dev" "$target" || { fail "attack on $target could not run"; return; }
    done < /run/mail
    # The device must still work where it may.
    dma-attack --control "$dev" || { fail "the positive control failed after the attack"; return; }
    ok "$(wc -l < /run/mail) attacks"
}

# Every CPU computes the same sum while tasks are moved between CPUs.
check_smp() {
    local n sums i
    n=$(grep -c ^processor /proc/cpuinfo)
    i=0
    rm -f /run/sum.*
    while [ $i -lt $((n * 2)) ]; do
        (dd if=/dev/zero bs=64k count=300 2>/dev/null | taskset -c $((i % n)) sha256sum > /run/sum.$i) &
        i=$((i + 1))
    done
    wait
    sums=$(cat /run/sum.* | sort -u | wc -l)
    [ "$sums" = 1 ] && ok "$n CPUs" || fail "$sums different sums"
}

check_hotplug() {
    local n
    n=$(grep -c ^processor /proc/cpuinfo)
    [ "$n" -gt 1 ] || { fail "one CPU only"; return; }
    for _ in 1 2 3; do
        echo 0 > /sys/devices/system/cpu/cpu1/online || { fail "not offline"; return; }
        [ "$(grep -c ^processor /proc/cpuinfo)" = $((n - 1)) ] || { fail "still $n CPUs"; return; }
        echo 1 > /sys/devices/system/cpu/cpu1/online || { fail "not online again"; return; }
    done
    taskset -c 1 true || { fail "cannot run on it"; return; }
    ok
}

# Idle time must be idle: a dom0 that spins in place of halting would show as busy.
check_idle() {
    local a b idle total
    a=$(head -n 1 /proc/stat)
    sleep 3
    b=$(head -n 1 /proc/stat)
    idle=$(echo "$a $b" | awk '{ print $16 - $5 }')
    total=$(echo "$a $b" | awk '{ for (i = 2; i <= 9; i++) n += $(i + 11) - $i; print n }')
    [ $((idle * 100)) -ge $((total * 70)) ] && ok "$idle of $total ticks" || fail "$idle of $total ticks idle"
}

check_stress() {
    local i
    for i in 1 2 3 4; do
        (n=0; while [ $n -lt 150 ]; do /bin/true; n=$((n + 1)); done; touch /run/stress.$i) &
    done
    for i in 5 6; do
        (n=0; while [ $n -lt 60 ]; do usleep 3000; n=$((n + 1)); done; touch /run/stress.$i) &
    done
    wait
    [ "$(ls /run/stress.* | wc -l)" = 6 ] && ok || fail "some workers did not finish"
}

# Nothing that the kernel itself calls a defect.
check_dmesg() {
    dmesg > /run/dmesg
    grep -E 'BUG:|WARNING: CPU|Call Trace|Oops|soft lockup|hung task|unchecked MSR|spurious|nobody cared|lost interrupt|RIP: 0010' /run/dmesg > /run/bad
    if [ -s /run/bad ]; then
        sed 's/^/DMESG /' /run/bad | head -n 20
        fail "$(head -n 1 /run/bad)"
    else
        ok "$(wc -l < /run/dmesg) lines"
    fi
}

# Much memory of a pattern that the harness must not find behind the hypervisor's page tables.
check_tables() {
    local i
    mount -t tmpfs -o size=100% fill /mnt
    printf 'BULKHEAD-GUEST-FRAME' > /run/page
    dd if=/dev/zero bs=4076 count=1 2>/dev/null >> /run/page
    for i in 1 2 3 4 5 6 7 8; do
        cat /run/page /run/page > /run/two
        mv /run/two /run/page
    done
    i=0
    while [ $i -lt 64 ]; do
        cp /run/page /mnt/frame$i
        i=$((i + 1))
    done
    echo "WALK-TABLES?"
    sleep 6
    umount /mnt
    rm /run/page
    ok "64 MiB of pattern"
}

dmesg -n 1
for name in $(arg test "" | tr , ' '); do
    check_$name
done
echo "TESTS-DONE"
sync
case "$(arg end poweroff)" in
    poweroff) poweroff -f ;;
    reboot) reboot -f ;;
    halt) halt -f ;;
    crash) echo c > /proc/sysrq-trigger ;;
    shell) setsid cttyhack sh ;;
esac
sleep 1000
