"""A throw-away real Exim: a submission server with users, TLS, refusals by recipient, delivering by LMTP.

Room: tests/servers. Needs root, as Exim does: it receives and delivers as its own user. Own configuration, own spool,
loopback, free ports; the daemon and its deliveries end with the context manager.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from .certs import Certificate
from .daemon import Daemon, free_port
from .dovecot import Dovecot

__all__ = ["EXIM", "LMTP_EXTRA", "Exim"]

EXIM = shutil.which("exim4") or next((path for path in ("/usr/sbin/exim4",) if Path(path).exists()), None)
EXIM_USER = "Debian-exim"
LMTP_EXTRA = """
protocols = imap lmtp
auth_username_format = %n
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""
"""What a Dovecot needs besides, to have mail delivered: `Dovecot(extra=LMTP_EXTRA.format(port=...))`."""


class Exim(Daemon):
    """An Exim daemon. `port` speaks plaintext and STARTTLS, `tls_port` implicit TLS.

    Every user of the Dovecot behind *lmtp_port* may log in with *password*. Recipients named ``later`` are refused for
    now, ``refused`` for good; *size_max* is what SIZE announces. *extra* goes into the main section as it is.
    """

    name, greeting = "Exim", b"220"

    def __init__(
        self,
        *,
        lmtp_port: int,
        certificate: Certificate,
        certificate_authority: Path,
        password: str = "pass word",
        size_max: int = 60_000_000,
        extra: str = "",
    ) -> None:
        self.lmtp_port, self.certificate, self.certificate_authority = lmtp_port, certificate, certificate_authority
        self.password, self.size_max, self.extra = password, size_max, extra
        super().__init__()

    def _prepare(self, root: Path) -> None:
        if EXIM is None:
            raise RuntimeError("Exim is not installed (Debian: exim4-daemon-light)")
        owner = pwd.getpwnam(EXIM_USER)
        for name in ("spool", "log"):
            (root / name).mkdir(mode=0o750)
            os.chown(root / name, owner.pw_uid, owner.pw_gid)
        for source, name in ((self.certificate.chain, "chain.pem"), (self.certificate.key, "key.pem")):
            copy = root / name
            shutil.copyfile(source, copy)
            copy.chmod(0o640)
            os.chown(copy, owner.pw_uid, owner.pw_gid)

    def _command(self, root: Path) -> list[str]:
        assert EXIM is not None
        config = root / "exim.conf"
        config.write_text(_configuration_text(root, self))
        return [EXIM, "-C", str(config), "-bdf", "-q1s"]

    def waiting(self) -> int:
        """Return how many messages were accepted and are not delivered yet."""
        assert self._root is not None and EXIM is not None
        asked = subprocess.run(
            [EXIM, "-C", str(self._root / "exim.conf"), "-bpc"], capture_output=True, text=True, timeout=30
        )
        return int(asked.stdout.strip() or 0)

    def log(self) -> str:
        """Return Exim's logs so far (for the text of a failed test)."""
        return self._read("output", "log/mainlog", "log/rejectlog", "log/paniclog")


def with_lmtp(**options: object) -> tuple[Dovecot, int]:
    """Return a Dovecot, not started, that takes deliveries by LMTP, and the port where."""
    port = free_port()
    return Dovecot(extra=LMTP_EXTRA.format(port=port), **options), port  # type: ignore[arg-type]


def _configuration_text(root: Path, server: Exim) -> str:
    """Return exim.conf for *server*, everything below *root*."""
    return f"""
primary_hostname = mta.example.org
spool_directory = {root}/spool
log_file_path = {root}/log/%slog
pid_file_path = {root}/exim.pid
local_interfaces = {server.host}
daemon_smtp_ports = {server.port} : {server.tls_port}
tls_on_connect_ports = {server.tls_port}
tls_advertise_hosts = *
tls_certificate = {root}/chain.pem
tls_privatekey = {root}/key.pem
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
message_size_limit = {server.size_max}
smtputf8_advertise_hosts = *
chunking_advertise_hosts =
dsn_advertise_hosts = *
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
queue_run_max = 4
host_lookup =
rfc1413_hosts =
acl_smtp_rcpt = check_rcpt
acl_smtp_data = check_data
never_users =
keep_environment =
{server.extra}

begin acl
check_rcpt:
  deny    !authenticated = *
          message = 5.7.0 Authentication required
  defer   local_parts = later
          message = 4.2.0 Come back later
  deny    local_parts = refused
          message = 5.1.1 No such user here
  accept
check_data:
  accept

begin routers
all:
  driver = accept
  transport = dovecot

begin transports
dovecot:
  driver = smtp
  protocol = lmtp
  hosts = 127.0.0.1
  hosts_override
  allow_localhost
  port = {server.lmtp_port}
  max_rcpt = 1

begin retry
* * F,1h,1s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_set_id = $auth2
  server_condition = ${{if eq{{$auth3}}{{{server.password}}}}}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_set_id = $auth1
  server_condition = ${{if eq{{$auth2}}{{{server.password}}}}}
"""
