"""Asking DNS for what an operating system's look-up does not give: SRV and MX records.

``Names`` is the seam. ``DnsNames`` uses dnspython (extra ``autoconfig``), imported at the first question.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..errors import ErrorKind, InvalidRequest, Unreachable

if TYPE_CHECKING:
    from dns.resolver import Answer

__all__ = ["DnsNames", "Names", "Service"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One SRV record (RFC 2782). ``host`` is in lower case, without the last dot; "" says: not offered here."""

    host: str
    port: int
    priority: int = 0
    weight: int = 0


class Names(Protocol):
    """A resolver. Thread-safe. Raises Unreachable when no name server answers."""

    def services(self, name: str) -> tuple[Service, ...]:
        """Return the SRV records of *name*, best first; none when there are none."""
        ...

    def mail_hosts(self, domain: str) -> tuple[str, ...]:
        """Return the hosts of the MX records of *domain*, best first, in lower case; none when there are none."""
        ...


class DnsNames:
    """``Names`` by the name servers of this machine. Answers are not proven (no DNSSEC)."""

    def __init__(self, seconds: float = 4.0) -> None:
        self._seconds = seconds

    def services(self, name: str) -> tuple[Service, ...]:
        """Return the SRV records of *name*, best first; none when there are none."""
        found = [
            Service(host=_name(record.target), port=record.port, priority=record.priority, weight=record.weight)
            for record in self._ask(name, "SRV")
        ]
        return tuple(sorted(found, key=lambda one: (one.priority, -one.weight, one.host)))

    def mail_hosts(self, domain: str) -> tuple[str, ...]:
        """Return the hosts of the MX records of *domain*, best first, in lower case; none when there are none."""
        found = sorted((record.preference, _name(record.exchange)) for record in self._ask(domain, "MX"))
        return tuple(host for _, host in found if host)

    def _ask(self, name: str, kind: str) -> "Answer | tuple[()]":
        try:
            import dns.exception
            import dns.resolver
        except ImportError:
            raise InvalidRequest("Asking DNS needs an extra: pip install 'maildock[autoconfig]'.") from None
        try:
            return dns.resolver.resolve(f"{name}.", kind, lifetime=self._seconds, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except (dns.exception.DNSException, OSError) as error:
            raise Unreachable("No name server answers.", kind=ErrorKind.UNRESOLVED_HOST) from error


def _name(name: object) -> str:
    return str(name).rstrip(".").lower()
