"""The command's own leaves: accounts.toml, the home, passwords, exit codes, harmless output."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from provider import Account, ErrorKind, FolderPolicy, Keep, Limits, LoginRefused, Security
from provider.cli.__main__ import main
from provider.cli.accounts_file import AccountEntry, AccountsFile, ImportEntry
from provider.cli.credentials import CommandPassword, EnvironmentPassword, NoPassword, split_command
from provider.cli.exits import ExitCode, Trouble, exit_of_kinds, hint_of
from provider.cli.home import Home
from provider.cli.output import many_lines, one_line
from store.mail import AccountId

SECRET = "s3cret-of-the-test"
ADD = ["account", "add", "work", "--host", "imap.example.org", "--user", "jo@example.org"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that does not exist yet, named by MAILDOCK_HOME."""
    place = tmp_path / "home"
    monkeypatch.setenv("MAILDOCK_HOME", str(place))
    return place


def account(name: str = "work") -> Account:
    return Account(id=AccountId(name), host="h", user="u")


def test_an_account_that_was_added_is_listed_with_its_place_and_never_a_password(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORK_PASSWORD", SECRET)

    assert main([*ADD, "--password-env", "WORK_PASSWORD", "--security", "starttls"]) == 0
    assert main(["account", "list", "--json"]) == 0

    out = capsys.readouterr().out
    assert json.loads(out.splitlines()[-1]) == {
        "account": "work",
        "host": "imap.example.org",
        "port": 143,
        "security": "starttls",
        "user": "jo@example.org",
        "login": "auto",
        "password": "variable WORK_PASSWORD",
    }
    assert SECRET not in out + (home / "accounts.toml").read_text()


def test_the_home_and_the_accounts_file_belong_to_their_owner_alone(home: Path) -> None:
    before = os.umask(0)
    try:
        assert main([*ADD, "--password-command", "pass show mail"]) == 0
    finally:
        os.umask(before)

    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "accounts.toml").stat().st_mode) == 0o600
    assert os.listdir(home) == ["accounts.toml"]


def test_an_accounts_file_that_others_could_read_is_closed_to_them(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(ADD) == 0
    (home / "accounts.toml").chmod(0o644)

    assert main(["account", "list"]) == 0
    assert stat.S_IMODE((home / "accounts.toml").stat().st_mode) == 0o600
    assert "could be read by others" in capsys.readouterr().err


def test_a_home_with_files_of_others_in_it_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "novel.txt").touch()
    tmp_path.chmod(0o755)

    Home(tmp_path).prepare()

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_setting_an_account_changes_what_was_given_and_nothing_else(home: Path) -> None:
    assert main([*ADD, "--password-env", "A"]) == 0
    assert main(["account", "set", "work", "--port", "1993", "--password-command", "pass show 'my mail'"]) == 0

    entry = AccountsFile.read(home / "accounts.toml").find("work")
    assert entry == AccountEntry(
        name="work",
        host="imap.example.org",
        port=1993,
        user="jo@example.org",
        password_command="pass show 'my mail'",
    )


def test_a_removed_account_is_gone_from_the_file(home: Path) -> None:
    assert main(ADD) == 0
    assert main(["account", "remove", "work"]) == 0

    assert AccountsFile.read(home / "accounts.toml") == AccountsFile()


def test_every_setting_survives_being_written_and_read(tmp_path: Path) -> None:
    file = AccountsFile(
        accounts=(
            AccountEntry(
                name='odd "name"',
                host="h",
                port=1,
                security="none",
                user="ü",
                login="plain",
                password_env="V",
                ca_file="/ca.pem",
                plaintext_host="h",
                keep="headers",
                size_octets_max=0,
                age_days_max=30,
                folders=(("Lists/a\\/b", FolderPolicy(keep=Keep.NONE, age_days_max=1)),),
                limits=Limits(connect_seconds=60, folders=7),
            ),
        ),
        imports=(ImportEntry(name="old", kind="mbox", path="/x"),),
    )
    file.write(tmp_path / "accounts.toml")

    assert AccountsFile.read(tmp_path / "accounts.toml") == file


def test_an_entry_becomes_an_account_with_its_policies() -> None:
    entry = AccountEntry(
        name="a", host="h", user="u", security="starttls", keep="headers", folders=(("X", FolderPolicy()),)
    )

    made = entry.account()

    assert (made.security, made.policy.keep, made.policy_of("X").keep) == (Security.STARTTLS, Keep.HEADERS, Keep.FULL)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("accounts = 3", "no table"),
        ("[accounts.a]\nhost = 3", "host is no text"),
        ("[accounts.a]\nport = 'x'", "port is no number"),
        ("[accounts.a]\npassword = 'x'", "unknown setting, password"),
        ("[accounts.a", "cannot be understood"),
        ("[accounts.a.limits]\nfolders = 0", "folders is no number above 0"),
        ("[accounts.a.limits]\nfolders = 1.5", "folders is no number above 0"),
        ("[accounts.a.limits]\nspeed = 1", "unknown setting, speed"),
        ("[accounts.a.folders.X]\nkeep = 'some'", "cannot be understood"),
    ],
)
def test_a_file_that_cannot_be_understood_is_one_sentence(
    home: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    home.mkdir()
    (home / "accounts.toml").write_text(text)
    (home / "accounts.toml").chmod(0o600)

    assert main(["account", "list"]) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["account", "add", "x", "--user", "u"], "needs --host and --user"),
        (["account", "add", "x", "--host", "h", "--user", "u", "--port", "0"], "--port"),
        (["account", "add", "x", "--host", "h\r\n", "--user", "u"], "control characters"),
        (["account", "add", "x\ny", "--host", "h", "--user", "u"], "1 to 64 printable characters"),
        (["account", "add", "x", "--host", "h", "--user", "u", "--security", "maybe"], "--security"),
        (
            ["account", "add", "x", "--host", "h", "--user", "u", "--password-env", "A", "--password-command", "b"],
            "both",
        ),
        (["account", "add", "x", "--host", "h", "--user", "u", "--password-command", "a 'b"], "quotes"),
        (["account", "add", "x", "--host", "h", "--user", "u", "--password-command", " "], "a program to run"),
        (["account", "set", "nobody", "--host", "h"], "no account 'nobody'"),
        (["account", "remove", "nobody"], "no account 'nobody'"),
        (["account", "test", "nobody"], "no account 'nobody'"),
        (["account", "set", "work"], "no account 'work'"),
        (["sync"], "There is no account yet"),
        (["list"], "Name a folder, or say --all"),
        (["list", "INBOX", "--all"], "Name a folder, or say --all"),
        (["list", "INBOX", "--limit", "-1"], "--limit"),
        (["show", "many"], "ID"),
        (["show", "1", "--raw", "--headers"], "exclude each other"),
        (["show", "0"], "no message 0"),
        (["dance"], "No such command"),
        (["sync", "--fast"], "No such option"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_2(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(words) == ExitCode.USAGE
    told = capsys.readouterr()
    assert says in told.err
    assert "Traceback" not in told.err
    assert not home.exists()


def test_a_name_is_added_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(ADD) == 0
    assert main(ADD) == ExitCode.USAGE
    assert "already" in capsys.readouterr().err


def test_an_unknown_account_names_those_that_there_are(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(ADD) == 0
    assert main(["sync", "wrok"]) == ExitCode.USAGE
    assert "Known: work." in capsys.readouterr().err


def test_a_variable_gives_the_password_at_each_login(monkeypatch: pytest.MonkeyPatch) -> None:
    supplier = EnvironmentPassword("WORK_PASSWORD")
    monkeypatch.setenv("WORK_PASSWORD", SECRET)

    assert supplier(account(), refused=False).secret == SECRET
    monkeypatch.delenv("WORK_PASSWORD")
    with pytest.raises(LoginRefused, match="WORK_PASSWORD") as told:
        supplier(account(), refused=False)
    assert told.value.kind is ErrorKind.CREDENTIALS_MISSING


def test_an_account_without_a_source_of_its_password_says_so() -> None:
    with pytest.raises(LoginRefused, match="has no password"):
        NoPassword()(account(), refused=False)


def command(code: str) -> CommandPassword:
    return CommandPassword((sys.executable, "-c", code))


def test_the_first_line_of_a_command_is_the_password() -> None:
    supplier = command(f"print('{SECRET} ä '); print('comment')")

    assert supplier(account(), refused=False).secret == f"{SECRET} ä "
    assert SECRET not in repr(supplier)


def test_a_command_runs_once_and_again_when_its_password_was_refused(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    supplier = command(f"open({str(runs)!r}, 'a').write('x'); print(open({str(runs)!r}).read())")

    secrets = [supplier(account(), refused=refused).secret for refused in (False, False, True)]

    assert secrets == ["x", "x", "xx"]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (f"print('{SECRET}'); raise SystemExit(3)", "status 3"),
        (f"import sys; print(); print('{SECRET}'); print('{SECRET}', file=sys.stderr)", "empty first line"),
        (f"import sys; sys.stdout.buffer.write(b'\\xff{SECRET}')", "no text"),
    ],
)
def test_a_command_that_fails_is_a_sentence_without_its_output(
    code: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(LoginRefused) as told:
        command(code)(account(), refused=False)

    assert says in str(told.value)
    assert told.value.kind is ErrorKind.CREDENTIALS_MISSING
    seen = capfd.readouterr()
    assert SECRET not in str(told.value) + seen.out + seen.err


def test_a_command_that_does_not_exist_is_a_sentence() -> None:
    with pytest.raises(LoginRefused, match="cannot be run"):
        CommandPassword(("/nowhere/to/be/found",))(account(), refused=False)


def test_a_command_line_is_split_and_never_given_to_a_shell() -> None:
    assert split_command("pass 'my mail' $(reboot) ; true") == ("pass", "my mail", "$(reboot)", ";", "true")
    with pytest.raises(Trouble):
        split_command("a 'b")


@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        ([ErrorKind.MESSAGE_MISSING], ExitCode.ERRORS),
        ([ErrorKind.LOGIN_REFUSED, ErrorKind.CONNECTION_LOST], ExitCode.LOGIN),
        ([ErrorKind.CREDENTIALS_MISSING], ExitCode.LOGIN),
        ([ErrorKind.TLS_CERTIFICATE_EXPIRED], ExitCode.UNREACHABLE),
        ([ErrorKind.WRONG_PROTOCOL], ExitCode.UNREACHABLE),
        ([ErrorKind.STORE_FULL, ErrorKind.LOGIN_REFUSED], ExitCode.STORE),
        ([ErrorKind.UNKNOWN_ITEM], ExitCode.USAGE),
        ([ErrorKind.UNKNOWN_ITEM, ErrorKind.PROTOCOL], ExitCode.ERRORS),
        ([], ExitCode.ERRORS),
    ],
)
def test_the_most_telling_error_chooses_the_exit_code(kinds: list[ErrorKind], code: ExitCode) -> None:
    assert exit_of_kinds(kinds) is code


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_hint_can_name_its_account(kind: ErrorKind) -> None:
    assert "{" not in hint_of(kind, "work")


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("\x1b[2J\x1b]0;title\x07", "[2J]0;title"),
        ("a\u202eb\u2066c", "abc"),
        ("a\x9b31mb\x00", "a31mb"),
        ("line\r\none\u2028two", "line one two"),
    ],
)
def test_server_text_cannot_move_the_cursor(hostile: str, harmless: str) -> None:
    assert one_line(hostile) == harmless


def test_a_text_keeps_its_lines_and_loses_its_controls() -> None:
    assert many_lines("a\r\n\tb\x1b[1m\u202e\x9b\x7f\x00é\u200d\nc\ud800") == "a\n\tb[1mé\u200d\nc?"
