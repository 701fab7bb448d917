"""The door of Sync Center: who may come in, and what a browser may do with what goes out.

A page on the loopback is reachable for every program of every user of the machine, and for every web page that a
browser here shows. So, in this order: the Host is one of ours (else 421: DNS rebinding); the way in is a cookie that
only the token of the 0600 file opens; nothing changes by GET; a POST comes from our own pages (Origin, Sec-Fetch-Site
and a token in the form: CSRF). What goes out loads nothing from elsewhere and runs no script without its nonce.

ASGI, and nothing of a framework: a host that mounts the application gets the door with it.
"""

import hmac
import secrets
from collections.abc import Collection, Mapping, MutableMapping
from hashlib import sha256
from html import escape
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["COOKIE", "ENTER", "FORM_TOKEN", "Guard", "form_of", "form_token_of", "nonce_of"]

COOKIE = "maildock_center"
ENTER = "/enter"
FORM_TOKEN = "form_token"
BODY_OCTETS_MAX = 64_000
FIELDS_MAX = 2_000
TOKEN_CHARACTERS_MIN = 32
_LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
_FORM = "application/x-www-form-urlencoded"
_OUT = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # "same-origin" and not "no-referrer", by which browsers would hide the Origin of our own forms. Nothing here links
    # elsewhere.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    (b"cache-control", b"no-store"),
)
_PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Sync Center</title><p>{text}</p>'


class Guard:
    """Lets requests through to *app* that may come in. *token*: the way in, 32 characters or more.

    *hosts*: further values of Host that are ours, for a host's own name; the loopback's names with the port that the
    connection came to always are.
    """

    def __init__(self, app: "ASGIApp", *, token: str, hosts: Collection[str] = ()) -> None:
        if len(token) < TOKEN_CHARACTERS_MIN or not token.isascii():
            raise ValueError(f"a token has {TOKEN_CHARACTERS_MIN} ASCII characters at least")
        self._app = app
        self._token = token
        self._hosts = frozenset(one.lower() for one in hosts)
        # Who sees the cookie cannot make the token of it, nor that of the forms.
        self._cookie = _derived(token, "cookie")
        self._form = _derived(token, "form")

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope[_NONCE], scope[_FORM_TOKEN] = nonce, self._form

        async def out(message: "Message") -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"cache-control"]
                message["headers"] = [*kept, *_OUT, (b"content-security-policy", _policy(nonce))]
            await send(message)

        refused = await self._look(scope, receive)
        if refused is not None:
            await _answer(out, *refused)
        elif _path_of(scope) == ENTER:
            await self._enter(scope, out)
        else:
            await self._app(scope, receive, out)

    async def _look(self, scope: "Scope", receive: "Receive") -> "_Refusal | None":
        """Return why this request is refused; None: it may come in."""
        headers, method = _headers(scope), scope["method"]
        host = headers.get("host", "").lower()
        if host not in self._ours(scope):
            return 421, "This is not the address of Sync Center.", ((b"connection", b"close"),)
        if method not in ("GET", "HEAD", "POST"):
            return 405, "Sync Center knows GET and POST.", ((b"allow", b"GET, HEAD, POST"),)
        entering = _path_of(scope) == ENTER
        if entering and method != "POST":
            return None
        if not _same(self._cookie_in(headers), self._cookie):
            return 403, "Open the address that maildock monitor printed.", ()
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "Another page asked for this. Open Sync Center itself.", ()
        if method != "POST":
            return None
        return self._look_at_post(headers, host) or await self._look_at_form(scope, headers, receive)

    def _look_at_post(self, headers: Mapping[str, str], host: str) -> "_Refusal | None":
        if headers.get("origin", "").lower() not in (f"http://{host}", f"https://{host}"):
            return 403, "This form was not sent by a page of Sync Center.", ()
        if headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            return 415, "Sync Center takes forms and nothing else.", ()
        return None

    async def _look_at_form(self, scope: "Scope", headers: Mapping[str, str], receive: "Receive") -> "_Refusal | None":
        body = await _body(receive)
        if body is None:
            return 413, "This form is too large.", ((b"connection", b"close"),)
        try:
            fields = parse_qs(
                body.decode("utf-8"),
                keep_blank_values=True,
                max_num_fields=FIELDS_MAX,
                errors="strict",
            )
        except ValueError:
            return 400, "This is no form.", ()
        given = fields.pop(FORM_TOKEN, [""])[0]
        if not _same(given, self._form):
            return 403, "This form is not from this Sync Center. Reload the page and try again.", ()
        scope[_FIELDS] = fields
        return None

    def _ours(self, scope: "Scope") -> frozenset[str]:
        server = scope.get("server")
        port = server[1] if server else None
        names = {f"{name}:{port}" for name in _LOOPBACK} if port else set()
        return self._hosts | names | (set(_LOOPBACK) if port == 80 else set())

    def _cookie_in(self, headers: Mapping[str, str]) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return ""
        return found.value if found is not None else ""

    async def _enter(self, scope: "Scope", send: "Send") -> None:
        """Exchange the token of the address for the cookie.

        The answer is a page that goes on by itself, no redirect: a Strict cookie does not travel with a redirect that
        another page, or a file, began.
        """
        given = parse_qs(scope.get("query_string", b"").decode("ascii", "replace")).get("token", [""])[0]
        if not _same(given, self._token):
            await _answer(send, 403, "Open the address that maildock monitor printed.", ())
            return
        base = scope.get("root_path", "")
        path = f"{base}/"
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        cookie = f"{COOKIE}={self._cookie}; Path={path}; HttpOnly; SameSite=Strict{secure}"
        more = ((b"set-cookie", cookie.encode("latin-1")), (b"refresh", f"0; url={path}".encode("latin-1")))
        await _answer(send, 200, "Opening Sync Center ...", more, link=path)


_Refusal = tuple[int, str, tuple[tuple[bytes, bytes], ...]]
_NONCE, _FORM_TOKEN, _FIELDS = "maildock.nonce", "maildock.form_token", "maildock.fields"


def nonce_of(scope: Mapping[str, Any]) -> str:
    """Return what a script or a style of this answer has to carry."""
    return str(scope[_NONCE])


def form_token_of(scope: Mapping[str, Any]) -> str:
    """Return what a form of ours has to carry."""
    return str(scope[_FORM_TOKEN])


def form_of(scope: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the fields of a form that came in; empty for a GET."""
    fields: dict[str, list[str]] = scope.get(_FIELDS, {})
    return fields


def _policy(nonce: str) -> bytes:
    own = f"'nonce-{nonce}'"
    return (
        f"default-src 'none'; script-src {own}; style-src {own}; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ).encode("ascii")


def _derived(token: str, purpose: str) -> str:
    return hmac.new(token.encode("ascii"), purpose.encode("ascii"), sha256).hexdigest()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("ascii"))


def _headers(scope: MutableMapping[str, Any]) -> dict[str, str]:
    """Return the request's headers, lower case; of one that comes twice, both, so that it equals nothing."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _path_of(scope: Mapping[str, Any]) -> str:
    path, base = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(base) :] if base and path.startswith(base) else path


async def _body(receive: "Receive") -> bytes | None:
    """Return the whole body; None: it is larger than a form is, or whoever sent it went away."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_OCTETS_MAX:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _answer(
    send: "Send", status: int, text: str, more: tuple[tuple[bytes, bytes], ...], *, link: str = ""
) -> None:
    go_on = f' <a href="{escape(link)}">Go on</a>' if link else ""
    page = _PAGE.format(text=escape(text) + go_on).encode("utf-8")
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(page)).encode("ascii")),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": page})
