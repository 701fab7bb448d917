"""How a host gets an account connected, as its type checker sees it. Never run; `make lint` checks it."""

import webbrowser
from pathlib import Path

from provider import (
    Account,
    CredentialSupplier,
    FileVault,
    HostTokens,
    Http,
    HttpClient,
    KeyringVault,
    OAuthClient,
    OAuthCredentials,
    Search,
    SentCopies,
    Smtp,
    TokenSupplier,
    Vault,
    VaultPassword,
    find_servers,
    sign_in_with_browser,
)
from provider.testing import MemoryVault
from store.mail import AccountId

VAULTS: list[Vault] = [KeyringVault(locks=Path("locks")), FileVault(Path("vault.json")), MemoryVault()]
HTTP: Http = HttpClient()


def my_token(account: Account, *, refused: bool) -> str:
    return f"a token for {account.user}" if not refused else ""


SUPPLIER: TokenSupplier = my_token


def connected(vault: Vault) -> Account | None:
    search: Search = find_servers("me@example.org")
    found = search.found
    if found is None:
        return None
    credentials: CredentialSupplier
    if found.oauth:
        client = OAuthClient.of(found.oauth, client_id="mine")
        signed_in = OAuthCredentials(vault, client, HTTP)
        grant = sign_in_with_browser(client, HTTP, webbrowser.open, user=found.imap.user)
        signed_in.keep(AccountId("work"), grant)
        credentials = signed_in
    elif found.password:
        credentials = VaultPassword(vault)
    else:
        credentials = HostTokens(SUPPLIER)
    sent_copies: SentCopies = found.sent_copies
    return Account(
        id=AccountId("work"),
        host=found.imap.host,
        port=found.imap.port,
        security=found.imap.security,
        user=found.imap.user,
        login=found.logins[0],
        credentials=credentials,
        smtp=None if found.smtp is None else Smtp(host=found.smtp.host, sent_copies=sent_copies),
    )
