"""Who may come in: Host, token, cookie, method, origin, form (T26). Every request here goes over a real socket."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from provider.monitor.app import monitor_app
from provider.monitor.guard import COOKIE
from provider.testing import MemoryServer

from .rig import Client, Site

PAGES = ("/", "/running", "/results", "/conflicts", "/history", "/schedules", "/outbox", "/account?name=work")
FILES = ("/monitor.css", "/monitor.js", "/monitor.svg")
FORMS = (
    *("/sync", "/stop", "/cancel", "/pause", "/resume", "/events/retry", "/events/forget", "/conflicts/resolve"),
    *("/offline", "/online"),
    *("/outbox/cancel", "/outbox/retry", "/outbox/suspend", "/outbox/resume", "/schedules/add", "/schedules/change"),
    *("/schedules/remove", "/schedules/enable", "/schedules/disable", "/groups/put", "/groups/remove"),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site"), work=MemoryServer()) as running:
        yield running


@pytest.fixture(scope="module")
def client(site: Site) -> Client:
    return site.entered()


def state_of(site: Site) -> tuple[object, ...]:
    """Everything that a form may change."""
    with site.store.read() as view:
        return (
            site.store.schedules.paused,
            site.store.schedules.all(),
            site.store.schedules.groups(),
            site.store.eventlog.entries(),
            view.runs(),
            view.submissions(),
            site.provider.running,
        )


@pytest.mark.parametrize("path", [*PAGES, *FILES])
def test_an_answer_says_what_a_browser_may_do_with_it(client: Client, path: str) -> None:
    told = client.get(path)
    assert told.status == 200
    policy = told.headers["content-security-policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert len(nonce) >= 16
    assert policy == (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert {
        name: told.headers.get(name) for name in ("x-content-type-options", "x-frame-options", "cache-control")
    } == {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cache-control": "no-store",
    }
    assert told.headers["referrer-policy"] == "same-origin"
    assert told.headers["cross-origin-resource-policy"] == "same-origin"
    assert told.headers["cross-origin-opener-policy"] == "same-origin"
    assert not [name for name in told.headers if name.startswith("access-control-")]
    assert "server" not in told.headers
    if path in PAGES:
        assert told.text.count(f'nonce="{nonce}"') == 2
        assert client.get(path).headers["content-security-policy"] != policy, "a nonce is used once"


@pytest.mark.parametrize("path", [*PAGES, *FILES, "/live/running", "/live/account?name=work", "/nothing"])
def test_without_the_cookie_nothing_is_shown(client: Client, path: str) -> None:
    for headers in ({}, {"Cookie": f"{COOKIE}=0000"}, {"Cookie": f"{COOKIE}={client.token}"}, {"Cookie": "\x7f=;;"}):
        told = client.ask("GET", path, headers)
        assert told.status == 403
        assert "work" not in told.text
        assert told.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "attacker.example:{port}",
        "127.0.0.1.attacker.example:{port}",
        "localhost.attacker.example:{port}",
        "localhost:1",
        "127.0.0.1",
        "127.0.0.2:{port}",
        "0.0.0.0:{port}",
        "[::]:{port}",
        "2130706433:{port}",
        "127.1:{port}",
        "attacker@127.0.0.1:{port}",
        "127.0.0.1:{port}, attacker.example",
        "",
    ],
)
def test_another_host_is_answered_by_421_whatever_it_brings(client: Client, host: str) -> None:
    named = host.format(port=client.port)
    for path in ("/", f"/enter?token={client.token}"):
        told = client.ask("GET", path, {"Host": named, "Cookie": client.cookie})
        assert (told.status, told.headers["connection"]) == (421, "close")
        assert "set-cookie" not in told.headers
    told = client.post("/pause", Host=named, Origin=f"http://{named}")
    assert told.status == 421


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_the_names_of_the_loopback_are_ours(client: Client, host: str) -> None:
    assert client.ask("GET", "/", {"Host": host.format(port=client.port), "Cookie": client.cookie}).status == 200


def test_two_hosts_are_none(client: Client) -> None:
    lines = (
        f"GET {client.room}/ HTTP/1.1\r\nHost: {client.host}\r\nHost: attacker.example\r\nCookie: {client.cookie}\r\n"
    )
    with socket.create_connection(("127.0.0.1", client.port), timeout=5) as line:
        line.sendall(f"{lines}\r\n".encode())
        assert line.recv(100).split()[1] in (b"400", b"421")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_are_refused(client: Client, method: str) -> None:
    told = client.ask(method, "/", {"Cookie": client.cookie, "Origin": "http://attacker.example"})
    assert (told.status, told.headers["allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize("path", FORMS)
def test_what_forms_do_is_not_done_by_get_nor_by_another_page(site: Site, client: Client, path: str) -> None:
    before = state_of(site)
    fields = {"account": "work", "id": "1", "name": "x", "group": "All accounts", "when": "every 5 min", "zone": "UTC"}
    asked = f"{path}?{urlencode({**fields, 'form_token': client.form_token})}"
    assert client.get(asked).status in (404, 405)
    origins = (None, "null", "http://attacker.example", f"http://127.0.0.1:{client.port + 1}", "file://", "http://[::1")
    for origin in origins:
        assert client.post(path, fields, Origin=origin).status == 403
    for site_of_it in ("cross-site", "same-site"):
        assert client.post(path, fields, Sec_Fetch_Site=site_of_it).status == 403
    assert client.post(path, fields, Cookie=None).status == 403
    assert client.post(path, {**fields, "form_token": "0" * 64}).status == 403
    assert client.post(path, {**fields, "form_token": client.cookie.partition("=")[2]}).status == 403
    assert client.post(path, fields, Content_Type="text/plain").status == 415
    assert client.post(path, fields, Content_Type="application/json").status == 415
    assert state_of(site) == before


def test_a_form_has_bounds(client: Client) -> None:
    assert client.post("/groups/put", {"folders": "x" * 70_000}).status == 413
    many = "&".join(f"f{number}=1" for number in range(3_000))
    headers = {
        "Cookie": client.cookie,
        "Origin": f"http://{client.host}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert client.ask("POST", "/pause", headers, many).status == 400
    assert client.ask("POST", "/pause", headers, "form_token=%ff%fe").status == 400


@pytest.mark.parametrize("token", ["", "0", "A" * 43, "%00", "%ff", "x" * 5_000])
def test_a_wrong_token_opens_nothing(client: Client, token: str) -> None:
    told = client.ask("GET", f"/enter?token={token}", {})
    assert (told.status, "set-cookie" in told.headers) == (403, False)


def test_the_token_is_exchanged_for_a_cookie_that_is_not_it_and_that_scripts_and_other_sites_do_not_have(
    client: Client,
) -> None:
    told = client.ask("GET", f"/enter?token={client.token}", {"Sec-Fetch-Site": "cross-site"})
    name, *attributes = told.headers["set-cookie"].split("; ")
    assert attributes == [f"Path={client.room}/", "HttpOnly", "SameSite=Strict"]
    assert name.startswith(f"{COOKIE}=") and client.token not in name
    assert told.headers["refresh"] == f"0; url={client.room}/"
    assert client.token not in told.text


def test_another_page_may_not_even_ask(client: Client) -> None:
    for of in ("cross-site", "same-site"):
        assert client.ask("GET", "/", {"Cookie": client.cookie, "Sec-Fetch-Site": of}).status == 403


@pytest.mark.parametrize(
    "path",
    ["/../monitor.css", "/static/../../guard.py", "/monitor.css/..", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"],
)
def test_nothing_but_our_pages_and_files_is_there(client: Client, path: str) -> None:
    told = client.get(path)
    assert told.status == 404
    assert "root:" not in told.text and "def " not in told.text


def test_outside_its_path_of_chance_there_is_nothing(site: Site, client: Client) -> None:
    outside = Client(site)
    outside.room, outside.cookie = "", client.cookie
    assert {path: outside.get(path).status for path in ("/", "/enter", "/running")} == dict.fromkeys(
        ("/", "/enter", "/running"), 404
    )


def test_the_way_in_is_in_a_file_for_its_owner_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    link = tmp_path / "monitor.html"
    link.symlink_to(tmp_path / "elsewhere")
    with Site(tmp_path, work=MemoryServer()) as site:
        assert stat.S_IMODE(os.lstat(site.file).st_mode) == 0o600
        assert not site.file.is_symlink()
        assert site.server.url in site.file.read_text().replace("&amp;", "&")
        assert not (tmp_path / "elsewhere").exists()
    assert not site.file.exists()


def test_the_way_in_of_another_server_of_the_same_home_is_left_alone(tmp_path: Path) -> None:
    with Site(tmp_path, work=MemoryServer()) as first:
        with Site(tmp_path, work=MemoryServer()) as second:
            first.server.stop()
            first.ended()
            assert second.server.url.partition("token=")[2] in second.file.read_text()
        assert not second.file.exists()


def test_each_server_has_a_token_and_a_path_of_its_own(tmp_path: Path) -> None:
    with Site(tmp_path / "a", work=MemoryServer()) as one, Site(tmp_path / "b", work=MemoryServer()) as other:
        mine, theirs = one.entered(), other.entered()
        assert mine.token != theirs.token and mine.room != theirs.room
        theirs.cookie = mine.cookie
        assert theirs.get("/").status == 403


def test_it_listens_on_the_loopback_only(client: Client) -> None:
    with socket.socket() as line, pytest.raises(OSError):  # noqa: PT012
        line.settimeout(2)
        outward = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
        line.connect((next((one for one in outward if not one.startswith("127.")), "127.0.0.2"), client.port))


def test_a_short_token_is_refused(site: Site) -> None:
    with pytest.raises(ValueError, match="32"):
        monitor_app(site.store, site.provider, site.manager, token="secret")
