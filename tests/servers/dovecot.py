"""A throw-away real Dovecot 2.3: own configuration, own directory, loopback, free ports.

Room: tests/servers. Works as root (mail owned by nobody) and wholly as a plain user. A profile cuts
`imap_capability` down; Dovecot then only *announces* less and would still obey, which is what a client that
looks at capabilities must not find out. The daemon ends with the context manager.
"""

from __future__ import annotations

import base64
import getpass
import grp
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .certs import Certificate
from .daemon import Daemon
from .introspection import IntrospectionServer
from .plain_client import PlainClient

__all__ = ["DOVECOT", "Dovecot", "DovecotAccount", "Profile", "configuration_text"]

DOVECOT = shutil.which("dovecot") or ("/usr/sbin/dovecot" if Path("/usr/sbin/dovecot").exists() else None)

_BASE = "IMAP4rev1 LITERAL+ IDLE"
_USUAL = f"{_BASE} SASL-IR LOGIN-REFERRALS ID ENABLE UNSELECT CHILDREN NAMESPACE UIDPLUS MOVE ESEARCH"


class Profile(Enum):
    """What the server announces after login; the value is Dovecot's `imap_capability` ("" = everything)."""

    FULL = ""
    NO_QRESYNC = f"{_USUAL} LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE"
    NO_CONDSTORE = f"{_USUAL} LIST-EXTENDED LIST-STATUS SPECIAL-USE"
    NO_MOVE = f"{_USUAL} LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE QRESYNC".replace(" MOVE", "")
    NO_UIDPLUS = f"{_USUAL} LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE QRESYNC".replace(" UIDPLUS", "")
    NEITHER = f"{_USUAL} LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE".replace(" UIDPLUS MOVE", "")
    BARE = "IMAP4rev1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DovecotAccount:
    """One user of a running Dovecot, and where to find it."""

    server: Dovecot
    user: str
    password: str

    @property
    def host(self) -> str:
        return self.server.host

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def tls_port(self) -> int:
        return self.server.tls_port

    @property
    def certificate_authority(self) -> Path | None:
        return self.server.certificate_authority

    def add_token(self, token: str) -> None:
        """Make *token* good for this user with XOAUTH2 and OAUTHBEARER."""
        if self.server.introspection is None:
            raise RuntimeError("this Dovecot has no token introspection")
        self.server.introspection.tokens[token] = self.user

    def renumber(self, folder: str, uid_validity: int) -> None:
        """Give *folder* (its path) another UIDVALIDITY, as after a restored backup. Nobody may have it open."""
        self.server.doveadm("mailbox", "update", "-u", self.user, "--uid-validity", str(uid_validity), folder)

    def client(self) -> PlainClient:
        """Return a new, logged in, independent client; close it or use `with`."""
        return PlainClient.login(host=self.host, port=self.port, user=self.user, password=self.password)


class Dovecot(Daemon):
    """A Dovecot daemon. `port` speaks plaintext and STARTTLS, `tls_port` implicit TLS (with a *certificate* only).

    *extra* is added to dovecot.conf as it is.
    """

    name, greeting = "Dovecot", b"* OK"

    def __init__(
        self,
        *,
        profile: Profile = Profile.FULL,
        mail_format: str = "mdbox",
        separator: str = "/",
        certificate: Certificate | None = None,
        certificate_authority: Path | None = None,
        introspection: IntrospectionServer | None = None,
        extra: str = "",
    ) -> None:
        self.extra = extra
        self.profile, self.mail_format, self.separator = profile, mail_format, separator
        self.certificate, self.certificate_authority = certificate, certificate_authority
        self.introspection = introspection
        super().__init__()

    # -- life -----------------------------------------------------------------------------------

    def _prepare(self, root: Path) -> None:
        if DOVECOT is None:
            raise RuntimeError("Dovecot is not installed (Debian: dovecot-imapd)")
        mail = root / "mail"
        mail.mkdir()
        if os.geteuid() == 0:
            owner = pwd.getpwnam("nobody")
            os.chown(mail, owner.pw_uid, owner.pw_gid)
        (root / "users").mkdir(mode=0o755)

    def _command(self, root: Path) -> list[str]:
        assert DOVECOT is not None
        config = root / "dovecot.conf"
        config.write_text(configuration_text(root, self))
        if self.introspection is not None:
            (root / "oauth2.conf").write_text(_oauth2_text(self.introspection.url))
        return [DOVECOT, "-F", "-c", str(config)]

    def log(self) -> str:
        """Return Dovecot's log so far (for the text of a failed test)."""
        return self._read("log")

    # -- users ----------------------------------------------------------------------------------

    def add_user(self, user: str, password: str = "pass word") -> DovecotAccount:
        """Add a user with an empty mailbox; any octets may be in the password, no slash in the name."""
        assert self._root is not None
        # A file for each user: Dovecot looks at most once a second whether a passwd-file has changed.
        file = self._root / "users" / user
        file.write_text(f"{user}:{_hidden(password)}::::::\n")
        file.chmod(0o644)
        return DovecotAccount(server=self, user=user, password=password)

    def doveadm(self, *words: str) -> None:
        """Run one command of Dovecot's own administration. Raises RuntimeError when it refuses."""
        assert self._root is not None and DOVECOT is not None
        program = shutil.which("doveadm") or str(Path(DOVECOT).parent.parent / "bin" / "doveadm")
        done = subprocess.run(
            [program, "-c", str(self._root / "dovecot.conf"), *words], capture_output=True, text=True, timeout=30
        )
        if done.returncode:
            raise RuntimeError(f"doveadm {' '.join(words)}: {done.stderr}")

    def home(self, user: str) -> Path:
        """Return the directory of a user's mail, which is there once the user has logged in."""
        assert self._root is not None
        return self._root / "mail" / user


def _hidden(password: str) -> str:
    """Return the password in a scheme that survives the colons of passwd-file."""
    return "{PLAIN.B64}" + base64.b64encode(password.encode()).decode()


def configuration_text(root: Path, server: Dovecot) -> str:
    """Return dovecot.conf for *server*, everything below *root*."""
    me, my_group = getpass.getuser(), grp.getgrgid(os.getegid()).gr_name
    is_root = os.geteuid() == 0
    mail_user, mail_group = (
        ("nobody", grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name) if is_root else (me, my_group)
    )
    owners = (
        ""
        if is_root
        else f"default_internal_user = {me}\ndefault_internal_group = {my_group}\ndefault_login_user = {me}\n"
        "service anvil {\n  chroot =\n}\n"
        f"service auth {{\n  user = {me}\n}}\nservice stats {{\n  user = {me}\n}}\n"
    )
    unchroot = "" if is_root else "  chroot =\n"
    return f"""
protocols = imap
listen = {server.host}
base_dir = {root}/base
state_dir = {root}/state
log_path = {root}/log
{owners}
first_valid_uid = 1
first_valid_gid = 1
mail_location = {mail_location(server.mail_format)}
mail_home = {root}/mail/%u
mail_fsync = never
mail_max_userip_connections = 0
imap_capability = {server.profile.value}
disable_plaintext_auth = no
auth_failure_delay = 0
auth_username_chars =
auth_mechanisms = plain login{" xoauth2 oauthbearer" if server.introspection else ""}
{_tls_text(server)}
{namespace_text(server.separator)}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {root}/users/%u
  mechanisms = plain login
}}
{_oauth2_passdb(root) if server.introspection else ""}
userdb {{
  driver = static
  args = allow_all_users=yes uid={mail_user} gid={mail_group} home={root}/mail/%u
}}
service imap-login {{
{unchroot}  service_count = 0
  process_min_avail = 1
  client_limit = 500
  process_limit = 100
  inet_listener imap {{
    port = {server.port}
  }}
  inet_listener imaps {{
    port = {server.tls_port if server.certificate else 0}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 500
  service_count = 200
}}
service anvil {{
  client_limit = 3000
  # Wrong passwords are part of the tests: no growing delay for our one address.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  client_limit = 3000
}}
{server.extra}
"""


def mail_location(mail_format: str) -> str:
    """Return `mail_location` for "mdbox", "sdbox" or "maildir" below the user's home."""
    return f"{mail_format}:~/{mail_format}"


def namespace_text(separator: str) -> str:
    """Return the one namespace, with roles for folders that do not exist until a test creates them."""
    roles = {"Drafts": "Drafts", "Sent": "Sent", "Trash": "Trash", "Junk": "Junk", "Archive": "Archive"}
    boxes = "".join(f"  mailbox {name} {{\n    special_use = \\{role}\n  }}\n" for name, role in roles.items())
    return f"namespace inbox {{\n  inbox = yes\n  separator = {separator}\n{boxes}}}\n"


def _tls_text(server: Dovecot) -> str:
    if server.certificate is None:
        return "ssl = no"
    return f"ssl = yes\nssl_cert = <{server.certificate.chain}\nssl_key = <{server.certificate.key}"


def _oauth2_passdb(root: Path) -> str:
    return f"passdb {{\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = {root}/oauth2.conf\n}}\n"


def _oauth2_text(url: str) -> str:
    return (
        f"introspection_mode = post\nintrospection_url = {url}\nforce_introspection = yes\n"
        "username_attribute = username\nactive_attribute = active\nactive_value = true\n"
    )
