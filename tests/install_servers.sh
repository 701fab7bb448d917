#!/bin/sh
# Sees to the real programs that the tests start for themselves: Dovecot, Exim, the openssl command, mbsync,
# a keyring and a desktop's services on buses of their own, and Chromium.
# As root on Debian or Ubuntu it installs what is missing; elsewhere it says what to install. Never fails: tests that
# lack their server skip loudly, and fail where CI=true.
missing=""
command -v dovecot >/dev/null 2>&1 || [ -x /usr/sbin/dovecot ] || missing="$missing dovecot-imapd"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
[ -x /usr/lib/dovecot/lmtp ] || missing="$missing dovecot-lmtpd"
[ -x /usr/sbin/exim4 ] || missing="$missing exim4-daemon-light"
command -v mbsync >/dev/null 2>&1 || missing="$missing isync"
command -v gnome-keyring-daemon >/dev/null 2>&1 || missing="$missing gnome-keyring"
command -v dbus-run-session >/dev/null 2>&1 || missing="$missing dbus"
[ -d /usr/lib/python3/dist-packages/dbusmock ] || missing="$missing python3-dbusmock"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Some tests need$missing. As root: apt-get install --no-install-recommends$missing" >&2
    exit 0
fi

echo "Installing$missing for the tests ..."
# The package would start a daemon of its own; the tests start theirs, on free ports of the loopback.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT INT TERM
fi
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null; } ||
    echo "Could not install$missing: the tests that need them will say so." >&2
