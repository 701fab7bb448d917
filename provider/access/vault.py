"""Vaults: where secrets are kept. The system's keyring, or a file of our own for those who ask for it.

Rules: a secret is in no ``repr``, no log and no error text (M19: a library's error may quote it, so that only the
class of a foreign error is told). A vault that would keep secrets readable for others is refused, never used quietly.
``put`` has reached the disk when it returns: a rotated refresh token is used only after that.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..account import Account, Credential
from ..errors import ErrorKind, LoginRefused, VaultUnusable
from .locks import Locks

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

__all__ = ["PASSWORD", "KeyringVault", "Vault", "VaultPassword"]

PASSWORD = "password"
"""The name under which an account's password lies in a vault."""

SERVICE = "maildock"

READABLE = frozenset({"keyrings.alt", "keyring.backends.null", "keyring.backends.fail"})
"""Backends that keep secrets in plain sight, nowhere, or not at all."""
ENCRYPTED = frozenset({("keyrings.alt.file", "EncryptedKeyring"), ("keyrings.alt.Windows", "EncryptedKeyring")})
"""What of ``keyrings.alt`` encrypts."""

HELP = (
    "Install or unlock the system's keyring (GNOME Keyring, KWallet, macOS Keychain, Windows Credential Locker), "
    "or ask for a vault in a file."
)


class Vault(Protocol):
    """Keeps secrets by account and name. Thread-safe; blocks the thread that calls (a keyring may ask a person).

    Every method raises VaultUnusable when the vault cannot be used.
    """

    def get(self, account: str, name: str) -> str | None:
        """Return a secret, None when there is none."""
        ...

    def put(self, account: str, name: str, secret: str) -> None:
        """Keep a secret in the place of an older one. It is durable when this returns."""
        ...

    def delete(self, account: str, name: str) -> None:
        """Forget a secret; nothing happens when there is none."""
        ...

    def alone(self, account: str) -> AbstractContextManager[object]:
        """While inside, nobody else is for that account, in any thread or process. ``get`` and ``put`` may be used."""
        ...


@dataclass(frozen=True, slots=True)
class VaultPassword:
    """A CredentialSupplier: the password of an account, from a vault, asked for at each login."""

    vault: Vault
    name: str = PASSWORD

    def __call__(self, account: Account, *, refused: bool) -> Credential:
        secret = self.vault.get(account.id, self.name)
        if secret is None:
            raise LoginRefused(
                f"The vault holds no password for account {account.id}.", kind=ErrorKind.CREDENTIALS_MISSING
            )
        return Credential(secret)


@dataclass(frozen=True, slots=True)
class KeyringVault:
    """The system's keyring, through the library keyring (extra ``keyring``), which is imported at the first use.

    *locks*: a directory of ours for lock files; a keyring has none. *backend*: one of the library's, in place of the
    one that it chooses. A backend that keeps secrets readable is refused; of several in a row, the first safe one is
    taken and no other.
    """

    locks: Path
    backend: "KeyringBackend | None" = field(default=None, repr=False)

    def get(self, account: str, name: str) -> str | None:
        """Return a secret, None when there is none."""
        backend = self._safe()
        try:
            return backend.get_password(_service(account), name)
        except Exception as error:
            raise _unusable("read", error) from None

    def put(self, account: str, name: str, secret: str) -> None:
        """Keep a secret in the place of an older one; it is read back before this returns."""
        backend = self._safe()
        try:
            backend.set_password(_service(account), name, secret)
            kept = backend.get_password(_service(account), name)
        except Exception as error:
            raise _unusable("written", error) from None
        if kept != secret:
            raise VaultUnusable(f"The keyring did not keep what it was given. {HELP}")

    def delete(self, account: str, name: str) -> None:
        """Forget a secret; nothing happens when there is none."""
        backend = self._safe()
        try:
            if backend.get_password(_service(account), name) is not None:
                backend.delete_password(_service(account), name)
        except Exception as error:
            raise _unusable("written", error) from None

    def alone(self, account: str) -> AbstractContextManager[object]:
        """While inside, nobody else is for that account, in any thread or process."""
        return Locks(self.locks).alone(account)

    def check(self) -> None:
        """Raise VaultUnusable when there is no keyring that may be used. Reads and writes nothing."""
        self._safe()

    def _safe(self) -> "KeyringBackend":
        try:
            import keyring
        except ImportError:
            raise VaultUnusable(
                "The system's keyring needs the extra of that name: pip install 'maildock[keyring]'."
            ) from None
        try:
            chosen = keyring.get_keyring() if self.backend is None else self.backend
            row: list[KeyringBackend] = list(getattr(chosen, "backends", ())) or [chosen]
        except Exception as error:
            raise _unusable("found", error) from None
        safe = next((one for one in row if not _is_readable(one)), None)
        if safe is None:
            names = ", ".join(sorted({f"{type(one).__module__}.{type(one).__qualname__}" for one in row}))
            raise VaultUnusable(f"There is no keyring that keeps secrets safe here (found: {names}). {HELP}")
        return safe


def _service(account: str) -> str:
    return f"{SERVICE}/{account}"


def _is_readable(backend: object) -> bool:
    kind = type(backend)
    place = kind.__module__
    if (place, kind.__qualname__) in ENCRYPTED:
        return False
    return any(place == room or place.startswith(f"{room}.") for room in READABLE) or "plaintext" in place.lower() + (
        kind.__qualname__.lower()
    )


def _unusable(what: str, error: Exception) -> VaultUnusable:
    return VaultUnusable(f"The keyring could not be {what} ({type(error).__name__}). {HELP}")
