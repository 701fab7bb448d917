#!/bin/sh
# Installs the programs that `make bench` measures beside us: mbsync (Debian: isync) and OfflineIMAP.
# As root on Debian or Ubuntu it installs what is missing; elsewhere it says what to install. Never fails: a peer that is
# missing is named in the table as not measured.
missing=""
command -v mbsync >/dev/null 2>&1 || missing="$missing isync"
command -v offlineimap >/dev/null 2>&1 || missing="$missing offlineimap"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "To measure the peers too, as root: apt-get install --no-install-recommends$missing" >&2
    exit 0
fi

echo "Installing$missing for the benchmark ..."
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null; } ||
    echo "Could not install$missing: the table will say so." >&2
