"""The way from an address to a working account, on the command line."""

import io
import json
import stat
import subprocess
import threading
import tomllib
import urllib.request
from pathlib import Path

import keyring
import pytest
from keyring.backends import fail
from keyring.backends.SecretService import Keyring as SecretService

from provider import Login, Security, SentCopies, Smtp
from provider.access import autoconfig
from provider.access.names import Service
from provider.cli.account_entry import AccountEntry, OAuthEntry, SmtpEntry
from provider.cli.accounts_file import AccountsFile
from provider.cli.exits import ExitCode

from ..scenarios.cli_rig import Cli, spawned
from ..secret_hunt import SecretHunt
from ..servers.dovecot import DovecotAccount
from ..servers.fakeimap import FakeImap
from ..servers.keyring_daemon import KeyringDaemon
from ..servers.oauth_server import CLIENT_ID, OAuthServer
from .internet import Internet

SECRET = "s3cret-of-the-vault"
CLIENT_SECRET = "client-s3cret-of-the-vault"


@pytest.fixture
def maildock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, secret_hunt: SecretHunt
) -> Cli:
    secret_hunt.learn(SECRET)
    return Cli(tmp_path / "home", capsys, monkeypatch, SECRET)


@pytest.fixture
def online(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> Internet:
    """The small internet, and its resolver for the command."""
    monkeypatch.setattr(autoconfig, "DnsNames", lambda: internet.names)
    return internet


def typed(monkeypatch: pytest.MonkeyPatch, text: str, *, terminal: bool = False) -> None:
    """Let *text* be what comes by standard input, from a person where it is a terminal."""
    stdin = io.StringIO(text)
    stdin.isatty = lambda: terminal  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", stdin)


def entry_of(maildock: Cli, name: str) -> AccountEntry:
    entry = AccountsFile.read(maildock.home / "accounts.toml").find(name)
    assert entry is not None
    return entry


# -- finding --------------------------------------------------------------------------------------


def test_an_address_alone_is_enough_where_the_provider_is_known(maildock: Cli, online: Internet) -> None:
    added = maildock("account", "add", "jo@gmx.de", "--yes", "--json")

    assert added.code == 0
    assert added.rows == [
        {
            "account": "jo@gmx.de",
            "host": "imap.gmx.net",
            "port": 993,
            "security": "tls",
            "user": "jo@gmx.de",
            "login": "auto",
            "password": "none",
            "smtp_host": "mail.gmx.net",
            "smtp_port": 465,
            "smtp_security": "tls",
            "sent_copies": "auto",
            "found": "table",
            "where": "GMX",
        }
    ]
    assert "imap.gmx.net:993 (tls), as jo@gmx.de" in added.err
    made = entry_of(maildock, "jo@gmx.de").account()
    assert made.smtp == Smtp(host="mail.gmx.net", port=465)
    assert online.requests == []


def test_the_name_is_ones_own_and_what_is_said_goes_before_what_was_found(maildock: Cli, online: Internet) -> None:
    added = maildock("account", "add", "jo@icloud.com", "--name", "home", "--yes", "--user", "jo.other")

    assert added.code == 0
    entry = entry_of(maildock, "home")
    assert (entry.user, entry.smtp.user, entry.smtp.sent_copies) == ("jo.other", "jo@icloud.com", "provider")
    assert "maildock account login home" in added.err


def test_nothing_is_used_before_somebody_agreed(
    maildock: Cli, online: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "")
    unasked = maildock("account", "add", "jo@gmx.de")
    typed(monkeypatch, "n\n", terminal=True)
    refused = maildock("account", "add", "jo@gmx.de")
    assert (unasked.code, refused.code) == (ExitCode.USAGE, ExitCode.USAGE)
    assert "Say --yes" in unasked.err and "Nothing was added" in refused.err
    assert not maildock.home.exists()

    typed(monkeypatch, "y\n", terminal=True)
    assert maildock("account", "add", "jo@gmx.de").code == 0


def test_what_dns_alone_says_of_other_domains_is_never_taken_unseen(
    maildock: Cli, online: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    online.names.records["_imaps._tcp.example.org"] = (Service(host="imap.hoster.net", port=993),)

    unseen = maildock("account", "add", "jo@example.org", "--yes", "--ca-file", online.certs.authority)
    typed(monkeypatch, "y\n", terminal=True)
    seen = maildock("account", "add", "jo@example.org", "--ca-file", online.certs.authority)

    assert (unseen.code, seen.code) == (ExitCode.USAGE, 0)
    assert "--yes does not agree to that" in unseen.err
    assert "may have forged" in seen.err


def test_an_address_whose_servers_cannot_be_found_says_what_was_tried(maildock: Cli, online: Internet) -> None:
    added = maildock("account", "add", "jo@example.org", "--yes", "--ca-file", online.certs.authority)

    assert added.code == ExitCode.ERRORS
    assert "could not be found" in added.err and "--host H --user U" in added.err
    assert {"domain:", "ispdb:", "srv:", "guess:"} <= set(added.err.split())


def test_a_hostile_name_of_a_provider_cannot_move_the_cursor(maildock: Cli, online: Internet) -> None:
    file = b"""<clientConfig><emailProvider><displayName>Evil&#x9b;31m\xe2\x80\xae!</displayName>
        <incomingServer type="imap"><hostname>imap.example.org</hostname><port>993</port>
        <socketType>SSL</socketType></incomingServer>
        </emailProvider></clientConfig>"""
    online.web("autoconfig.example.org", {"/mail/config-v1.1.xml?emailaddress=jo%40example.org": file})

    added = maildock("account", "add", "jo@example.org", "--yes", "--ca-file", online.certs.authority)

    assert added.code == 0
    assert "Evil31m! (said by the domain itself" in added.err


def test_an_address_with_a_host_is_added_by_hand_as_ever(maildock: Cli, online: Internet) -> None:
    assert maildock("account", "add", "jo@gmx.de", "--host", "mail.example.org", "--user", "u").code == 0
    assert entry_of(maildock, "jo@gmx.de").host == "mail.example.org"


# -- passwords in a vault -------------------------------------------------------------------------


def test_a_password_in_the_vault_file_opens_the_account(
    maildock: Cli, fake_imap: FakeImap, monkeypatch: pytest.MonkeyPatch
) -> None:
    maildock.add(fake_imap.port)
    typed(monkeypatch, fake_imap.password + "\n")

    kept = maildock("account", "login", "work", "--vault", "file", "--password-stdin", "--json")
    tested = maildock("account", "test", "work", "--json")

    assert (kept.rows, tested.code) == ([{"account": "work", "kept": "password", "vault": "file"}], 0)
    assert stat.S_IMODE((maildock.home / "vault.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(maildock.home.stat().st_mode) == 0o700
    entry = entry_of(maildock, "work")
    assert (entry.vault, entry.password_env) == ("file", ""), "it takes the place of the variable"
    assert fake_imap.password not in (maildock.home / "accounts.toml").read_text()
    assert maildock("account", "list", "--json").rows[0]["password"] == "password in the vault file"


def test_without_a_safe_keyring_nothing_is_kept_and_nothing_falls_back(
    maildock: Cli, fake_imap: FakeImap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "get_keyring", fail.Keyring)
    maildock.add(fake_imap.port)
    typed(monkeypatch, SECRET + "\n")

    kept = maildock("account", "login", "work", "--password-stdin")

    assert kept.code == ExitCode.LOGIN
    assert "no keyring that keeps secrets safe" in kept.err
    assert "--vault file" in kept.err
    assert not (maildock.home / "vault.json").exists()
    assert entry_of(maildock, "work").vault == ""


@pytest.mark.servers
def test_a_password_in_a_real_keyring_opens_the_account(
    maildock: Cli, fake_imap: FakeImap, keyring_daemon: KeyringDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in keyring_daemon.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(keyring, "get_keyring", SecretService)
    maildock.add(fake_imap.port)
    typed(monkeypatch, fake_imap.password + "\n")

    assert maildock("account", "login", "work", "--password-stdin").code == 0
    assert maildock("account", "test", "work").code == 0
    assert fake_imap.password.encode() not in b"".join(
        path.read_bytes() for path in maildock.home.rglob("*") if path.is_file()
    )


def test_a_variable_takes_the_place_of_a_vault(maildock: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    maildock.add(1)
    typed(monkeypatch, SECRET + "\n")
    assert maildock("account", "login", "work", "--vault", "file", "--password-stdin").code == 0
    assert maildock("account", "set", "work", "--password-env", "V").code == 0

    entry = entry_of(maildock, "work")
    assert (entry.vault, entry.password_env) == ("", "V")
    assert SECRET not in (maildock.home / "vault.json").read_text(), "and what was there is forgotten"


def test_an_account_that_is_removed_takes_its_secrets_along(maildock: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("work", "home"):
        maildock.add(1, name=name)
        typed(monkeypatch, f"{SECRET} of {name}\n")
        assert maildock("account", "login", name, "--vault", "file", "--password-stdin").code == 0
    assert maildock("account", "remove", "work").code == 0

    kept = (maildock.home / "vault.json").read_text()
    assert f"{SECRET} of home" in kept and f"{SECRET} of work" not in kept


def test_a_vault_that_cannot_be_used_is_told_of_when_an_account_goes(
    maildock: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    maildock.add(1)
    typed(monkeypatch, SECRET + "\n")
    assert maildock("account", "login", "work", "--vault", "file", "--password-stdin").code == 0
    (maildock.home / "vault.json").chmod(0o644)

    removed = maildock("account", "remove", "work")

    assert removed.code == 0
    assert "could not be removed from the vault file" in removed.err


def test_a_vault_without_a_password_says_how_to_keep_one(maildock: Cli, fake_imap: FakeImap) -> None:
    maildock.add(fake_imap.port)
    assert maildock("account", "set", "work", "--vault", "file").code == 0

    tested = maildock("account", "test", "work")

    assert tested.code == ExitCode.LOGIN
    assert "maildock account login work" in tested.err


# -- signing in with OAuth ------------------------------------------------------------------------


@pytest.fixture
def oauth(maildock: Cli, dovecot: DovecotAccount) -> "OAuthServer":
    """An authorization server that Dovecot believes, and an account that signs in there."""
    assert dovecot.server.introspection is not None
    good = dovecot.server.introspection.tokens
    server = OAuthServer()
    server.interval_seconds = 0.05
    server.issued = lambda token, user: good.update({token: user})
    client = server.client()
    entry = AccountEntry(
        name="work",
        host="localhost",
        port=dovecot.tls_port,
        user=dovecot.user,
        ca_file=str(dovecot.certificate_authority),
        vault="file",
        oauth=OAuthEntry(
            client_id=CLIENT_ID,
            authorization_url=client.authorization_url,
            token_url=client.token_url,
            device_url=client.device_url,
            scopes=client.scopes,
        ),
    )
    maildock.home.mkdir(mode=0o700)
    AccountsFile(accounts=(entry,)).write(maildock.home / "accounts.toml")
    return server


def test_a_browser_signs_in_and_the_account_works(
    maildock: Cli, oauth: OAuthServer, dovecot: DovecotAccount, secret_hunt: SecretHunt
) -> None:
    with oauth:
        login = spawned(maildock.home, "account", "login", "work", "--json", stdout=subprocess.PIPE)
        assert login.stdout is not None
        shown = json.loads(login.stdout.readline())
        with urllib.request.urlopen(shown["open"], timeout=10) as page:
            assert b"You are signed in" in page.read()
        rest, _ = login.communicate(timeout=30)
        tested = maildock("account", "test", "work", "--json")

    assert json.loads(rest) == {"account": "work", "kept": "sign-in", "vault": "file"}
    assert (tested.code, tested.rows[0]["ok"]) == (0, True)
    for token in (oauth.sign_ins[0].refresh, *oauth.sign_ins[0].access):
        secret_hunt.learn(token)
        assert token not in rest + (maildock.home / "accounts.toml").read_text()
        assert token in (maildock.home / "vault.json").read_text()


def test_another_device_signs_in_and_the_account_works(
    maildock: Cli, oauth: OAuthServer, dovecot: DovecotAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIENT_SECRET", CLIENT_SECRET)

    def type_in_the_code() -> None:
        while not oauth.devices:
            waiting.wait(0.01)
        oauth.devices[next(iter(oauth.devices))] = dovecot.user

    waiting = threading.Event()
    person = threading.Thread(target=type_in_the_code)
    with oauth:
        person.start()
        login = maildock("account", "login", "work", "--device", "--client-secret-env", "CLIENT_SECRET", "--json")
        person.join(10)
        tested = maildock("account", "test", "work")

    assert login.rows[0] == {"open": f"{oauth.url}/activate", "code": "ABCD-EFGH"}
    assert (login.code, tested.code) == (0, 0)
    assert CLIENT_SECRET not in login.out + login.err + (maildock.home / "accounts.toml").read_text()


def test_a_sign_in_that_ended_says_sign_in_again(maildock: Cli, oauth: OAuthServer) -> None:
    with oauth:
        tested = maildock("account", "test", "work")

    assert tested.code == ExitCode.LOGIN
    assert "a person has to sign in" in tested.err
    assert "maildock account login work" in tested.err


def test_an_account_without_a_client_id_cannot_sign_in(maildock: Cli, online: Internet) -> None:
    added = maildock("account", "add", "jo@outlook.com", "--name", "work", "--yes")
    login = maildock("account", "login", "work", "--device")

    assert "maildock account set work --client-id ID" in added.err
    assert login.code == ExitCode.USAGE
    assert "--oauth PROVIDER --client-id ID" in login.err


def test_a_client_id_makes_an_account_sign_in_its_providers_way(maildock: Cli, online: Internet) -> None:
    assert maildock("account", "add", "jo@outlook.com", "--name", "work", "--yes").code == 0
    assert maildock("account", "set", "work", "--client-id", "mine").code == 0

    made = entry_of(maildock, "work").account()

    assert made.login is Login.XOAUTH2
    assert made.smtp is not None
    assert (made.smtp.login, made.smtp.security, made.smtp.sent_copies) == (
        Login.XOAUTH2,
        Security.STARTTLS,
        SentCopies.PROVIDER,
    )


# -- the way out, and the file --------------------------------------------------------------------


def test_the_way_out_is_said_by_options(maildock: Cli) -> None:
    maildock.add(1, "--smtp-host", "smtp.example.org", "--smtp-security", "starttls", "--sent-copies", "append")
    assert maildock("account", "set", "work", "--smtp-user", "relay", "--no-smtp-auth").code == 0

    assert entry_of(maildock, "work").smtp == SmtpEntry(
        host="smtp.example.org", security="starttls", sent_copies="append", user="relay", authenticate=False
    )
    made = entry_of(maildock, "work").account()
    assert made.smtp == Smtp(
        host="smtp.example.org",
        security=Security.STARTTLS,
        sent_copies=SentCopies.APPEND,
        user="relay",
        authenticate=False,
    )


def test_every_new_setting_survives_being_written_and_read(tmp_path: Path) -> None:
    entry = AccountEntry(
        name="a",
        host="h",
        user="u",
        vault="keyring",
        smtp=SmtpEntry(
            host="s", port=1, security="none", user="u", login="plain", sent_copies="none", authenticate=False
        ),
        oauth=OAuthEntry(
            provider="p",
            client_id="c",
            authorization_url="https://a",
            token_url="https://t",
            device_url="https://d",
            scopes=("x", "y"),
        ),
    )
    AccountsFile(accounts=(entry,)).write(tmp_path / "accounts.toml")

    read = AccountsFile.read(tmp_path / "accounts.toml")
    assert read == AccountsFile(accounts=(entry,))
    assert read.accounts[0].place == tmp_path
    assert set(tomllib.loads((tmp_path / "accounts.toml").read_text())["accounts"]["a"]) == {
        "host", "user", "login", "security", "keep", "vault", "smtp", "oauth",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[accounts.a]\nsmtp = 3", "smtp is no table"),
        ("[accounts.a.smtp]\nhots = 'x'", "unknown setting, hots"),
        ("[accounts.a.smtp]\nauthenticate = 'yes'", "neither true nor false"),
        ("[accounts.a.smtp]\nport = -1", "port is no number"),
        ("[accounts.a.oauth]\nclient_secret = 'x'", "unknown setting, client_secret"),
        ("[accounts.a.oauth]\nscopes = 'x'", "no list of texts"),
    ],
)
def test_a_file_that_cannot_be_understood_says_where(maildock: Cli, text: str, words: str) -> None:
    maildock.home.mkdir()
    (maildock.home / "accounts.toml").write_text(text)
    (maildock.home / "accounts.toml").chmod(0o600)

    listed = maildock("account", "list")

    assert listed.code == ExitCode.USAGE and words in listed.err


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"vault": "drawer"}, "vault"),
        ({"vault": "file", "password_env": "V"}, "both"),
        ({"smtp": {"host": "s", "security": "maybe"}}, "security"),
        ({"smtp": {"host": "s\n"}}, "control characters"),
        ({"vault": "file", "oauth": {"client_id": "c", "provider": "nobody"}}, "not known"),
        ({"vault": "file", "oauth": {"client_id": "c", "token_url": "http://example.org"}}, "without TLS"),
    ],
)
def test_an_entry_that_cannot_work_is_a_sentence(maildock: Cli, setting: dict[str, object], says: str) -> None:
    import tomli_w

    maildock.home.mkdir()
    table = {"host": "h", "user": "u", **setting}
    (maildock.home / "accounts.toml").write_text(tomli_w.dumps({"accounts": {"a": table}}))
    (maildock.home / "accounts.toml").chmod(0o600)

    tested = maildock("account", "test", "a")

    assert tested.code == ExitCode.USAGE and says in tested.err
