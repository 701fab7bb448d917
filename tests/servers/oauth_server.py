"""A small OAuth 2 authorization server: code flow with PKCE, device code, refreshing with rotation, and faults.

Room: tests/servers. Standard library only, loopback, free port. RFC 6749, 7636, 7662, 8628.

Rotation comes in two kinds. GRACEFUL: an old refresh token is good until what took its place is used (the new refresh
token, or the new access token at `/introspect`). STRICT: it is gone as soon as it was answered. In both, to show one
that is gone revokes the whole sign-in, since somebody may have stolen it (RFC 9700 §4.14).
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import secrets
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType

from provider.access.oauth import OAuthClient

__all__ = ["Fault", "OAuthServer", "Rotation", "SignIn"]

CLIENT_ID = "client-of-the-tests"
SLOW_SECONDS = 0.03


class Rotation(Enum):
    """What becomes of a refresh token that was used."""

    NONE = "none"
    GRACEFUL = "graceful"
    STRICT = "strict"


class Fault(Enum):
    """What happens to one request at the token endpoint."""

    SLOW = "slow"
    TROUBLE = "trouble"
    """500, and nothing done."""
    NONSENSE = "nonsense"
    """200, and no JSON."""
    LOST = "lost"
    """Everything done, and the connection cut before the answer."""
    FORGOTTEN = "forgotten"
    """Answered, and then the server died before it had written that down."""


@dataclass(slots=True)
class SignIn:
    """One sign-in of one user: the tokens that are good, and how often it was asked for."""

    user: str
    refresh: str = ""
    older: list[str] = field(default_factory=list)
    """Good until *refresh* or an access token given with it is used."""
    gone: set[str] = field(default_factory=set)
    access: dict[str, str] = field(default_factory=dict)
    """Access token to the refresh token that came with it."""
    revoked: bool = False
    refreshed: int = 0
    """Answers that gave a new access token."""
    asked: int = 0
    inside: int = 0
    most_inside: int = 0
    """Most requests that were at work at one moment."""


class OAuthServer:
    """A context manager. `client()` is the program that is registered here; `sign_in(user)` makes a refresh token."""

    def __init__(self, *, rotation: Rotation = Rotation.GRACEFUL, lifetime_seconds: int = 3600) -> None:
        self.rotation, self.lifetime_seconds = rotation, lifetime_seconds
        self.lock = threading.RLock()
        self.faults: list[Fault | None] = []
        """For the requests to come at the token endpoint, first one first."""
        self.sign_ins: list[SignIn] = []
        self.issued: Callable[[str, str], None] = lambda token, user: None
        """Hears of each access token and its user."""
        self.codes: dict[str, dict[str, str]] = {}
        """Authorization codes to what was asked for with them."""
        self.denies = False
        """Whether the person in the browser refuses."""
        self.interval_seconds: float = 5
        """How often a device may ask."""
        self.devices: dict[str, str] = {}
        """Device codes to "pending", "slow_down", "denied", "expired", or the user who signed in."""
        self._listener = _Listener(self)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.01}, name="oauth", daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    def client(self) -> OAuthClient:
        return OAuthClient(
            client_id=CLIENT_ID,
            authorization_url=f"{self.url}/authorize",
            token_url=f"{self.url}/token",
            device_url=f"{self.url}/device",
            scopes=("mail", "offline"),
        )

    def sign_in(self, user: str) -> SignIn:
        """Return a new sign-in of *user* with a good refresh token."""
        with self.lock:
            made = SignIn(user=user, refresh=_token("refresh"))
            self.sign_ins.append(made)
            return made

    def __enter__(self) -> OAuthServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join(5)

    # -- what the endpoints do --------------------------------------------------------------------

    def refresh(self, token: str, fault: Fault | None) -> tuple[int, dict[str, object]]:
        with self.lock:
            found = next((s for s in self.sign_ins if token in (s.refresh, *s.older, *s.gone)), None)
            if found is None:
                return 400, {"error": "invalid_grant", "error_description": "unknown"}
            found.asked += 1
            found.inside += 1
            found.most_inside = max(found.most_inside, found.inside)
        try:
            if fault is Fault.SLOW:
                time.sleep(SLOW_SECONDS)
            with self.lock:
                return self._refreshed(found, token, keep=fault is not Fault.FORGOTTEN)
        finally:
            with self.lock:
                found.inside -= 1

    def _refreshed(self, found: SignIn, token: str, *, keep: bool) -> tuple[int, dict[str, object]]:
        if found.revoked or token in found.gone:
            found.revoked = True
            found.access.clear()
            return 400, {"error": "invalid_grant", "error_description": f"the token {token} was used before"}
        access, new = _token("access"), token
        if self.rotation is not Rotation.NONE:
            new = _token("refresh")
        if keep:
            if token == found.refresh and self.rotation is not Rotation.NONE:
                found.gone.update(found.older)  # what took their place was used
                found.older = [token] if self.rotation is Rotation.GRACEFUL else []
                found.gone.update([token] if self.rotation is Rotation.STRICT else [])
            elif token in found.older and found.refresh != token:
                found.gone.add(found.refresh)  # nobody ever used it
            found.refresh = new
            found.access[access] = new
            found.refreshed += 1
            self.issued(access, found.user)
        told: dict[str, object] = {"access_token": access, "token_type": "Bearer", "expires_in": self.lifetime_seconds}
        return 200, told | ({"refresh_token": new} if new != token else {})

    def use(self, access: str) -> str | None:
        """Return whose a good access token is; to use it ends what it took the place of."""
        with self.lock:
            for found in self.sign_ins:
                if access in found.access and not found.revoked:
                    if found.access[access] == found.refresh:
                        found.gone.update(found.older)
                        found.older = []
                    return found.user
        return None

    def exchange(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or asked["code_challenge"] != challenge.decode().rstrip("=")
            or asked["redirect_uri"] != form.get("redirect_uri")
        ):
            return 400, {"error": "invalid_grant"}
        return self.granted(asked.get("login_hint", "somebody"))

    def granted(self, user: str) -> tuple[int, dict[str, object]]:
        with self.lock:
            made = self.sign_in(user)
            access = _token("access")
            made.access[access] = made.refresh
            self.issued(access, user)
        return 200, {"access_token": access, "expires_in": self.lifetime_seconds, "refresh_token": made.refresh}

    def device(self, code: str) -> tuple[int, dict[str, object]]:
        state = self.devices.get(code, "expired")
        errors = {"pending": "authorization_pending", "denied": "access_denied", "expired": "expired_token"}
        if state == "slow_down" or state in errors:
            return 400, {"error": errors.get(state, state)}
        return self.granted(state)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Listener

    def do_GET(self) -> None:
        owner, target = self.server.owner, urllib.parse.urlsplit(self.path)
        asked = dict(urllib.parse.parse_qsl(target.query))
        if target.path != "/authorize" or asked.get("client_id") != CLIENT_ID:
            self._tell(404, {})
            return
        back = {"state": asked["state"]}
        if owner.denies:
            back["error"] = "access_denied"
        else:
            assert asked["code_challenge_method"] == "S256"
            back["code"] = _token("code")
            owner.codes[back["code"]] = asked
        self.send_response(302)
        self.send_header("Location", f"{asked['redirect_uri']}?{urllib.parse.urlencode(back)}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        owner = self.server.owner
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()))
        if self.path == "/introspect":
            user = owner.use(form.get("token", ""))
            self._tell(200, {"active": True, "username": user} if user else {"active": False})
            return
        if form.get("client_id") != CLIENT_ID:
            self._tell(401, {"error": "invalid_client"})
            return
        if self.path == "/device":
            self._device()
            return
        fault = self._fault()
        if fault in (Fault.TROUBLE, Fault.NONSENSE):
            self._tell(500 if fault is Fault.TROUBLE else 200, {})
            return
        match form.get("grant_type"):
            case "refresh_token":
                status, told = owner.refresh(form.get("refresh_token", ""), fault)
            case "authorization_code":
                status, told = owner.exchange(form)
            case _:
                status, told = owner.device(form.get("device_code", ""))
        if fault is Fault.LOST:
            self.close_connection = True
            return
        self._tell(status, told)

    def _fault(self) -> Fault | None:
        with self.server.owner.lock:
            return self.server.owner.faults.pop(0) if self.server.owner.faults else None

    def _device(self) -> None:
        owner = self.server.owner
        code = _token("device")
        owner.devices[code] = "pending"
        self._tell(
            200,
            {
                "device_code": code,
                "user_code": "ABCD-EFGH",
                "verification_uri": f"{owner.url}/activate",
                "expires_in": 600,
                "interval": owner.interval_seconds,
            },
        )

    def _tell(self, status: int, told: dict[str, object]) -> None:
        octets = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a request line would bring a code into the test output."""


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: OAuthServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner


def _token(kind: str) -> str:
    return f"{kind}-{secrets.token_urlsafe(24)}"
