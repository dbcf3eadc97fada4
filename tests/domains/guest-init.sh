#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# /init of the guests of the domains test: runs the commands that come by the console, each "number command", and
# answers "GUEST-DONE number status".

/bin/busybox --install -s /bin
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /run
exec </dev/console >/dev/console 2>&1
stty -echo
dmesg -n 1
echo "GUEST-UP"
while true; do
    read -r number line || { sleep 1; continue; }
    eval "$line"
    echo "GUEST-DONE $number $?"
done
