#!/bin/sh
# Boots a stand-in for a phone, in network, mount and process namespaces of its own (`unshare` starts this):
# this machine's files read as they are, /data and /sdcard of its own, no device node but the harmless ones.
# Ends with adb's server in the foreground; with it everything here ends.
#
# boot.sh ROOT STATE LIBRARIES SOCKET PORT...
set -eu
root=$1 state=$2 libraries=$3 socket=$4
shift 4

mount -t tmpfs tmpfs "$root"
for entry in /*; do
    case $entry in /proc | /sys | /dev | /data | /sdcard) continue ;; esac
    if [ -L "$entry" ]; then
        cp -P "$entry" "$root$entry"
    elif [ -d "$entry" ]; then
        mkdir "$root$entry"
        mount --rbind "$entry" "$root$entry"
    fi
done
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/data/local/tmp" "$root/data/phone" "$root/sdcard"
mount -t proc proc "$root/proc"
mount --bind "$state/sys" "$root/sys"
mount --bind "$state" "$root/data/phone"
mount -t tmpfs -o size=24m tmpfs "$root/data/local/tmp"

mount -t tmpfs tmpfs "$root/dev"
mkdir "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for node in null zero random urandom; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done

ip link set lo up
loader=$(ls "$libraries"/ld-linux*.so.*) # Debian's adbd runs with Debian's libraries, whatever this machine has
export HOME=/data/phone PATH="/data/phone/bin:$PATH"
for port in "$@"; do
    ADBD_PORT=$port chroot "$root" "$loader" \
        --library-path "$libraries:$libraries/android" \
        "$libraries/../android-sdk/platform-tools/adbd" >"$state/adbd-$port.log" 2>&1 &
    echo $! >"$state/adbd-$port.pid"
done
exec chroot "$root" adb -L "localfilesystem:$socket" server nodaemon >"$state/server.log" 2>&1
