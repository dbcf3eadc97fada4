#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs those of the named Debian packages that are missing, as root or through sudo: deps.sh PACKAGE…
set -uo pipefail

fail() {
	printf 'packages: %s\n' "$@" >&2
	exit 1
}

clock() {
	printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
}

# Shows apt's status lines as progress.
show() {
	local kind percent text shown=-1
	while IFS=: read -r kind _ percent text; do
		[ "$kind" = dlstatus ] && text="download: $text"
		percent=${percent%%.*}
		if [ -t 2 ]; then
			printf '\r\033[Kpackages: %3s %% %s %.50s' "$percent" "$(clock $SECONDS)" "$text" >&2
		elif [ "$((percent / 25))" != "$shown" ]; then
			shown=$((percent / 25))
			printf 'packages: %3s %% %s %s\n' "$percent" "$(clock $SECONDS)" "$text" >&2
		fi
	done
	[ -t 2 ] && printf '\r\033[K' >&2
	return 0
}

# The status has a descriptor of its own, as apt makes it non-blocking: a package's script could not write to it. It is opened
# behind sudo, which closes all but the first three; the log is opened here, as root may not write to it everywhere.
apt() {
	: >"$log"
	# shellcheck disable=SC2016 # the inner shell's arguments
	"${as_root[@]}" bash -c 'exec 3>&1 1>&2; export DEBIAN_FRONTEND=noninteractive LC_ALL=C
		exec apt-get -y -q -o APT::Status-Fd=3 -o Dpkg::Use-Pty=0 "$@"' apt "$@" </dev/null 2>>"$log" | show
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	fail "this is no Debian system; install what these packages of Debian 12 contain: $*"
fi
installed=$(dpkg-query -W -f '${Package} ${Status}\n' "$@" 2>/dev/null | sed -n 's/ install ok installed$//p')
missing=()
for package; do
	grep -qxF -- "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

by_hand="apt-get update && apt-get install --no-install-recommends ${missing[*]}"
as_root=()
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || fail "${#missing[@]} are missing, and there is no sudo to install them. Run as root:" "  $by_hand"
	as_root=(sudo)
	if ! sudo -n true 2>/dev/null; then
		[ -t 0 ] || fail "${#missing[@]} are missing, and sudo cannot ask for a password here. Run as root:" "  $by_hand"
		sudo -v -p 'packages: sudo password of %u, to install what is missing: ' ||
			fail "sudo did not let you in. Run as root:" "  $by_hand"
	fi
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
printf 'packages: %d of %d are missing: %s\n' ${#missing[@]} $# "${missing[*]}" >&2
if ! apt install --no-install-recommends "${missing[@]}"; then
	# The lists may be missing or older than the archive.
	printf 'packages: fetch the lists of packages\n' >&2
	apt update
	if ! apt install --no-install-recommends "${missing[@]}"; then
		grep -E '^(E:|W:|Err:|dpkg: error)' "$log" | tail -n 12 >&2
		if grep -qE 'Temporary failure resolving|Could not (resolve|connect)|Cannot initiate|Unable to connect|Network is unreachable' "$log"; then
			fail "no package server answers: is this machine connected to a network? Try again, or run as root:" "  $by_hand"
		fi
		fail "apt could not install them; see its messages above. By hand, as root:" "  $by_hand"
	fi
fi
printf 'packages: %d installed after %s\n' ${#missing[@]} "$(clock $SECONDS)" >&2
