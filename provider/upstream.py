"""Whether an account is still the one that was synchronized last, and wants what it wanted then. Pure.

The store keeps two texts of each account: digests of where its mail comes from (it never knows a host), and its
criteria. Another server or user: everything is compared, as if it was asked for, and the history says why. Other
criteria: it is said which way they changed; what follows is the policies' own.
"""

import json
from hashlib import blake2b

from .account import Account, FolderPolicy, Keep, Security

__all__ = ["criteria_changes", "criteria_of", "identity_of", "upstream_of", "why_full"]

_DEPTH = {Keep.NONE.value: 0, Keep.HEADERS.value: 1, Keep.FULL.value: 2}
CHANGES_MAX = 10
"""Folders that are named; the others are counted."""


def identity_of(account: Account) -> str:
    """Return digests of the place and of the user of *account*. The way in (security, login) is no part of it."""
    port = account.port or (993 if account.security is Security.TLS else 143)
    # The way in may change without the server: 143 with STARTTLS and 993 are one place.
    standard = port in (143, 993)
    place = (account.kind, account.host.rstrip(".").casefold(), "" if standard else str(port), str(account.path or ""))
    return f"{_digest(*place)} {_digest(account.user)}"


def upstream_of(account: Account) -> tuple[str, str]:
    """Return what the store keeps of *account*: its identity, and its criteria."""
    return identity_of(account), criteria_of(account)


def why_full(before: str, account: Account) -> str:
    """Return why *account*, whose identity was *before*, is compared as a whole; empty: it is the same, or new."""
    pairs = zip(("server", "user"), before.split(), identity_of(account).split(), strict=True) if before else ()
    changed = [f"another {name}" for name, old, new in pairs if old != new]
    return f"{' and '.join(changed)} than at the last whole synchronization" if changed else ""


def criteria_of(account: Account) -> str:
    """Return what *account* wants, as a text that is the same for the same wishes."""
    said = {path: _policy(one) for path, one in account.policies}
    return json.dumps({"": _policy(account.policy), "folders": said}, sort_keys=True)


def criteria_changes(before: str, account: Account) -> tuple[str, ...]:
    """Return what is wider or narrower than in *before*, for people; empty where nothing is, or nothing was known."""
    if not before or before == criteria_of(account):
        return ()
    old, new = json.loads(before), json.loads(criteria_of(account))
    told = _compared("every other folder" if old["folders"] or new["folders"] else "every folder", old[""], new[""])
    for path in sorted({*old["folders"], *new["folders"]}):
        told += _compared(path, old["folders"].get(path, old[""]), new["folders"].get(path, new[""]))
    rest = len(told) - CHANGES_MAX
    return (*told[:CHANGES_MAX], f"and {rest} more") if rest > 0 else tuple(told)


def _compared(where: str, old: list[object], new: list[object]) -> list[str]:
    names = ("what is kept", "the size limit", "the age limit")
    told = []
    for name, was, now in zip(names, old, new, strict=True):
        if was != now:
            told.append(f"{where}: {name} is {'wider' if _rank(now) > _rank(was) else 'narrower'}")
    return told


def _rank(value: object) -> float:
    """Return how wide one criterion is; no limit is the widest."""
    if isinstance(value, str):
        return _DEPTH[value]
    return float("inf") if value is None else float(str(value))


def _policy(policy: FolderPolicy) -> list[object]:
    return [policy.keep.value, policy.size_octets_max, policy.age_days_max]


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=12).hexdigest()
