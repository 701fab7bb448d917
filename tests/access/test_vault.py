"""Vaults keep secrets, for one at a time, and refuse to keep them where others could read them."""

import json
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from keyring.backends.SecretService import Keyring as SecretService
from keyring.errors import KeyringLocked, PasswordSetError

from provider import Account, ErrorKind, LoginRefused
from provider.access.filevault import FileVault
from provider.access.locks import Locks
from provider.access.vault import KeyringVault, Vault, VaultPassword
from provider.errors import VaultUnusable
from provider.testing import MemoryVault
from store.mail import AccountId

from ..secret_hunt import SecretHunt

ROOT = Path(__file__).parent.parent.parent
SECRET = "vault-s3cret-ä-\u4f1a"


@pytest.fixture(autouse=True)
def hunted(secret_hunt: SecretHunt) -> None:
    secret_hunt.learn(SECRET)


@pytest.fixture(params=["file", "memory", pytest.param("keyring", marks=pytest.mark.servers)])
def vault(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """Each kind of vault, empty."""
    if request.param == "file":
        return FileVault(tmp_path / "home" / "vault.json")
    if request.param == "memory":
        return MemoryVault()
    for name, value in request.getfixturevalue("keyring_daemon").environment.items():
        monkeypatch.setenv(name, value)
    made = KeyringVault(tmp_path / "locks", backend=SecretService())
    for name in ("password", "oauth"):
        made.delete("work", name)
    return made


def test_what_was_put_is_got_by_account_and_name(vault: Vault) -> None:
    vault.put("work", "password", SECRET)
    vault.put("work", "oauth", "another one")

    assert vault.get("work", "password") == SECRET
    assert vault.get("work", "oauth") == "another one"
    assert vault.get("home", "password") is None
    assert SECRET not in repr(vault)


def test_a_later_secret_takes_the_place_of_an_earlier_one(vault: Vault) -> None:
    vault.put("work", "password", "old")
    vault.put("work", "password", SECRET)

    assert vault.get("work", "password") == SECRET


def test_a_deleted_secret_is_gone_and_may_be_deleted_twice(vault: Vault) -> None:
    vault.put("work", "password", SECRET)
    vault.delete("work", "password")
    vault.delete("work", "password")

    assert vault.get("work", "password") is None


def test_one_thread_at_a_time_is_alone_with_an_account(vault: Vault) -> None:
    inside, most, rounds = 0, 0, 5

    def work() -> None:
        nonlocal inside, most
        for _ in range(rounds):
            with vault.alone("work"):
                inside += 1
                most = max(most, inside)
                vault.put("work", "oauth", str(int(vault.get("work", "oauth") or 0) + 1))
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (most, vault.get("work", "oauth")) == (1, str(4 * rounds))


def test_a_password_supplier_reads_the_vault_at_each_login(vault: Vault) -> None:
    account = Account(id=AccountId("work"), host="h", user="u")
    supplier = VaultPassword(vault)
    with pytest.raises(LoginRefused) as told:
        supplier(account, refused=False)
    vault.put("work", "password", SECRET)

    assert told.value.kind is ErrorKind.CREDENTIALS_MISSING
    assert supplier(account, refused=False).secret == SECRET


# -- the file -----------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a vault with one secret in it."""
    path = tmp_path / "vault.json"
    FileVault(path).put("work", "password", SECRET)
    return path


def test_a_vault_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        FileVault(tmp_path / "home" / "vault.json").put("work", "password", SECRET)
    finally:
        os.umask(before)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sorted((tmp_path / "home").rglob("*"))}
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert modes["vault.json"] == 0o600
    assert {mode for name, mode in modes.items() if name.endswith(".lock")} == {0o600}
    assert not any(name.endswith(".new") for name in modes)


def spoiled_open(path: Path) -> None:
    path.chmod(0o640)


def spoiled_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def spoiled_text(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def spoiled_version(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 2}))


@pytest.mark.parametrize("spoil", [spoiled_open, spoiled_link, spoiled_text, spoiled_version])
def test_a_vault_file_that_cannot_be_trusted_is_refused_and_left_as_it_is(
    file: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(file)
    before = file.read_bytes()

    for use in (lambda vault: vault.get("work", "password"), lambda vault: vault.put("work", "password", "x")):
        with pytest.raises(VaultUnusable) as told:
            use(FileVault(file))
        assert told.value.kind is ErrorKind.VAULT
        assert SECRET not in f"{told.value!r}"

    assert file.read_bytes() == before


def test_what_a_writer_left_behind_when_it_died_is_in_nobodys_way(file: Path) -> None:
    file.with_name("vault.json.new").write_text("half a fi")

    FileVault(file).put("work", "oauth", "x")

    assert FileVault(file).get("work", "password") == SECRET
    assert not file.with_name("vault.json.new").exists()


def test_a_full_disk_leaves_the_vault_as_it_was(file: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path; from provider.access.filevault import FileVault\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "FileVault(Path(sys.argv[1])).put('work', 'oauth', 'x' * 500)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(file)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )

    assert "VaultUnusable" in ran.stderr
    assert FileVault(file).get("work", "password") == SECRET
    assert sorted(os.listdir(file.parent)) == ["vault.json", "vault.json.locks"]


def _count(path: Path, name: str, rounds: int) -> None:
    vault = FileVault(path)
    for number in range(rounds):
        with vault.alone(name):
            vault.put(name, "count", str(int(vault.get(name, "count") or 0) + 1))
            vault.put(f"{name}-{number}", "mine", "x")


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path, rounds = tmp_path / "vault.json", 20
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count, args=(path, name, rounds)) for name in ("a", "a", "b")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (FileVault(path).get("a", "count"), FileVault(path).get("b", "count")) == (str(2 * rounds), str(rounds))


def test_a_lock_that_never_comes_free_is_an_error_that_may_pass(tmp_path: Path) -> None:
    with Locks(tmp_path).alone("x"), pytest.raises(VaultUnusable) as told, Locks(tmp_path, wait_seconds=0).alone("x"):
        pass
    assert (told.value.kind, told.value.retryable) == (ErrorKind.BUSY, True)


# -- the keyring --------------------------------------------------------------------------------


class Plaintext(KeyringBackend):
    """Stands where `keyrings.alt.file.PlaintextKeyring` would."""

    priority = 5  # type: ignore[assignment]
    __module__ = "keyrings.alt.file"

    def get_password(self, service: str, username: str) -> str | None:
        raise AssertionError("it was used")

    set_password = delete_password = get_password  # type: ignore[assignment]


class Kept(KeyringBackend):
    """A backend that works."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


class Quoting(Kept):
    """Its errors quote what it was given."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise PasswordSetError(f"cannot keep {password}")


class Forgetful(Kept):
    """Says nothing and keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        return


class Locked(Kept):
    """Nobody entered its password."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("locked")


@pytest.mark.parametrize("backend", [null.Keyring, fail.Keyring, Plaintext], ids=["null", "fail", "plaintext"])
def test_a_keyring_that_keeps_secrets_in_plain_sight_or_nowhere_is_refused(
    tmp_path: Path, backend: type[KeyringBackend]
) -> None:
    vault = KeyringVault(tmp_path, backend=backend())

    for use in (
        vault.check,
        lambda: vault.get("a", "b"),
        lambda: vault.put("a", "b", SECRET),
        lambda: vault.delete("a", "b"),
    ):
        with pytest.raises(VaultUnusable, match="no keyring that keeps secrets safe") as told:
            use()
        assert "Install or unlock" in str(told.value)


def test_of_several_keyrings_the_first_safe_one_is_taken_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe = Kept()
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [Plaintext(), safe])
    vault = KeyringVault(tmp_path, backend=chainer.ChainerBackend())

    vault.put("work", "password", SECRET)

    assert safe.kept == {("maildock/work", "password"): SECRET}


@pytest.mark.parametrize("backend", [Quoting, Forgetful, Locked])
def test_a_keyring_that_fails_is_an_error_without_the_secret(tmp_path: Path, backend: type[Kept]) -> None:
    with pytest.raises(VaultUnusable) as told:
        KeyringVault(tmp_path, backend=backend()).put("work", "password", SECRET)

    assert SECRET not in f"{told.value!r} {told.value.__cause__}"
    assert told.value.__suppress_context__ or told.value.__context__ is None


def test_without_the_extra_the_keyring_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(VaultUnusable, match=r"pip install 'maildock\[keyring\]'"):
        KeyringVault(tmp_path).check()
