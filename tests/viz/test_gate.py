"""Who may ask the server of the page, what its answers carry, and that it needs no network."""

import contextlib
import gzip
import http.client
import re
import socket
import threading
import urllib.request
import uuid

import browser as driver
import pytest
from tme_viz import gate, shell
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tme_abm.foundation.errors import InputError

FRIEND = "https://marrow.example.org"
NO_BROWSER = pytest.mark.skipif(bool(driver.missing()), reason=f"the page is not tested here: {driver.missing()}")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with driver.serving(tmp_path_factory.mktemp("gate"), more=f"allow_origin=['{FRIEND}']") as (address, _):
        yield address


def ask(site, path="/", method="GET", **headers):
    """Status, headers and body of an answer."""
    host, _, port = site.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=30)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body.decode(errors="replace")


def speak(site, origin, path="/jupyter/api/kernels"):
    """Open the websocket as a page of `origin` would; what the server's first answer is, or the status with which it refuses."""
    address = f"{site.replace('http', 'ws')}{path}/{uuid.uuid4()}/channels?session_id={uuid.uuid4()}"
    request = '{"header": {"msg_id": "1", "msg_type": "kernel_info_request", "session": "1", "username": "", "version": "5.3"}, '
    request += '"parent_header": {}, "metadata": {}, "content": {}, "channel": "shell", "buffers": []}'
    try:
        with connect(address, origin=origin, open_timeout=30) as line:
            line.send(request)
            return line.recv(timeout=30)
    except InvalidStatus as refused:
        return refused.response.status_code


def test_a_foreign_origin_is_refused_at_the_websocket(site):
    for origin in (
        "http://evil.example",
        site.replace("127.0.0.1", "localhost"),
        site + "0",
        "null",
        "https://" + site[7:] + ".evil.example",
    ):
        assert speak(site, origin) == 403, origin


def test_the_page_itself_its_friend_and_what_is_no_browser_may_speak(site):
    for origin in (site, FRIEND, None):
        assert b"status" in (told if isinstance(told := speak(site, origin), bytes) else told.encode()), origin


def test_a_foreign_host_is_refused(site):
    for host in ("evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil.example", "10.1.2.3", "[", ""):
        status, _, body = ask(site, Host=host)
        assert status in (400, 421) and "tme-page" not in body and "<script" not in body, host
    for host in ("localhost", "127.0.0.1:1", "[::1]:8765", "LOCALHOST", "marrow.example.org"):
        assert ask(site, Host=host)[0] == 200, host


def test_a_foreign_site_changes_nothing_over_http(site):
    path = "/_solara/api/close/1?session_id=1"
    assert ask(site, path, "POST", Origin="http://evil.example")[0] == 403
    assert ask(site, path, "POST", Origin=site)[0] == ask(site, path, "POST", Origin=FRIEND)[0] == 200


def test_every_answer_keeps_others_out(site):
    shells = shell.ASKED_AT + next(name for name in shell.names() if name.endswith(".css"))
    for path in ("/", "/nowhere/at/all", "/static/assets/favicon.svg", shells, shell.ASKED_AT + "left-pad@1.3.0/index.js"):
        _, headers, _ = ask(site, path)
        rules = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
        assert rules["frame-ancestors"] == rules["object-src"] == rules["base-uri"] == "'none'"
        assert "unsafe-inline" not in rules["script-src"] and rules["default-src"] == "'self'"
        assert not re.search(r"https?:|\*", headers["content-security-policy"])
        assert headers["x-frame-options"] == "DENY" and headers["x-content-type-options"] == "nosniff"


def test_every_visit_has_a_nonce_of_its_own_and_every_script_has_it(site):
    seen = set()
    for _ in range(2):
        _, headers, body = ask(site)
        nonce = re.search(r"'nonce-([\w-]{16,})'", headers["content-security-policy"])[1]
        scripts = re.findall(r"<script\b[^>]*>", body)
        assert len(scripts) > 5 and all(f'nonce="{nonce}"' in script for script in scripts)
        seen.add(nonce)
    assert len(seen) == 2


def test_the_shell_is_the_one_that_this_solara_asks_for(site):
    asked = set(re.findall(r'"/_solara/cdn/([^"]+)"', ask(site)[2]))
    assert len(asked) == 4 and asked <= shell.names()


def test_the_shell_is_served_whole_packed_and_for_long(site):
    name = next(name for name in shell.names() if name.endswith("min.js"))
    _, plain, body = ask(site, shell.ASKED_AT + name)
    assert body.encode() == shell.content(name) and "immutable" in plain["cache-control"] and "content-encoding" not in plain
    request = urllib.request.Request(site + shell.ASKED_AT + name, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        packed = answer.read()
        assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed) == shell.content(name) and len(packed) < 0.4 * len(body)
    assert shell.ARCHIVE.stat().st_size < 2e6


def test_nothing_is_fetched_for_a_visitor(site):
    for name in ("left-pad@1.3.0/index.js", "@widgetti/solara-vuetify-app@9.9.9/dist/main8.css", "../launch.py", "whatif.vue"):
        status, _, body = ask(site, shell.ASKED_AT + name)
        assert status == 404 and "holds no" in body


@pytest.mark.parametrize(("language", "word"), [("en", "on its way"), ("it", "sta arrivando")])
def test_a_line_of_plain_html_stands_first(site, language, word):
    status, headers, body = ask(site, f"/?language={language}")
    assert status == 200 and word in body.partition("<script")[0].partition("<body")[2] + body.partition("<body")[2]
    assert f'<html lang="{language}"' in body and int(headers["content-length"]) == len(body.encode())


def test_what_fails_is_told_in_a_line_of_plain_html(tmp_path):
    broken = "import solara.server.server as s\ndef broken(*_, **__): raise RuntimeError('no template')\ns.read_root = broken"
    with driver.serving(tmp_path, before=broken) as (address, _):
        status, headers, body = ask(address)
        assert status == 500 and headers["content-type"].startswith("text/html")
        assert "RuntimeError: no template" in body and "<p>" in body


def test_an_address_of_ipv6_opens(tmp_path):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    with driver.serving(tmp_path, host="::") as (address, _):
        said = (tmp_path / "server.log").read_text()
        printed = re.search(r"http://\[::1\]:\d+/", said)[0]
        assert printed == f"{address}/" and ask(address)[0] == 200
        assert ask(address, Host="evil.example")[0] == 421 and ask(address, Host="[fe80::1]:80")[0] == 200


class Relay:
    """A reverse proxy at marrow.localhost, which serves the page below /marrow.

    Attributes:
        origin: Its own.
        target: Port of the server.
    """

    def __init__(self, is_plain):
        """Listen.

        Args:
            is_plain: Whether it passes requests on as they are; else it takes the path away and asks under the server's own name, as
            nginx does with a slash at the end of `proxy_pass`.
        """
        self.listener, self.is_plain, self.target = socket.create_server(("127.0.0.1", 0)), is_plain, 0
        self.origin = f"http://marrow.localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def head(self, data):
        if self.is_plain or not re.match(rb"(GET|POST) /marrow", data):
            return data
        data = re.sub(rb"^(GET|POST) /marrow/?", rb"\1 /", data)
        return re.sub(rb"\r\n[Hh]ost: [^\r]*", f"\r\nHost: 127.0.0.1:{self.target}".encode(), data, count=1)

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                for way in ((client, server, self.head), (server, client, bytes)):
                    threading.Thread(target=pump, args=way, daemon=True).start()


def pump(source, sink, change):
    """Pass on what comes until one of the two ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(change(data))
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@NO_BROWSER
@pytest.mark.parametrize("is_plain", [True, False])
def test_behind_a_reverse_proxy_with_a_path_of_its_own(tmp_path, is_plain):
    relay = Relay(is_plain)
    with driver.browsing() as chrome:
        for allowed in ([], [relay.origin]):
            with driver.serving(tmp_path, more=f"root_path='/marrow/', allow_origin={allowed}") as (address, _):
                relay.target = int(address.rpartition(":")[2])
                page = chrome.new_page()
                page.goto(f"{relay.origin}/marrow/?view=lessons")
                if allowed:
                    page.locator(".tme-view-live").wait_for(timeout=60_000)
                    # asked for, not only looked at: a font arrives some time after the page that uses it
                    assert page.evaluate("document.fonts.load('16px \"Material Design Icons\"').then(faces => faces.length)")
                else:
                    page.wait_for_timeout(3000)
                    assert page.locator(".tme-page").count() == 0
                    assert is_plain == ("is not served under the name" in page.inner_text("body"))
                page.close()
    relay.listener.close()


@NO_BROWSER
def test_the_page_stands_without_any_network(site):
    """With nothing of Solara's shell on this computer but what the page brings: whatever is asked of another host fails."""
    with driver.browsing() as chrome:
        page = chrome.new_page()
        failed, foreign = [], []
        page.route(
            lambda url: not url.startswith((site, "data:", "blob:")), lambda route: (foreign.append(route.request.url), route.abort())
        )
        page.on("requestfailed", lambda request: failed.append(request.url))
        page.on("response", lambda answer: answer.status >= 400 and failed.append(answer.url))
        page.goto(f"{site}/?view=lessons")
        page.locator(".tme-view-live").wait_for(timeout=60_000)
        page.wait_for_timeout(1000)
        assert failed == foreign == []
        faces = page.evaluate("[...document.fonts].filter(f => f.status === 'loaded').map(f => f.family.replaceAll('\"', ''))")
        assert {"Roboto", "Material Design Icons"} <= set(faces)
        assert page.locator("#tme-first").count() == 0


@NO_BROWSER
def test_a_part_that_does_not_come_is_told(site):
    with driver.browsing() as chrome:
        page = chrome.new_page()
        page.route("**/*.min.js", lambda route: route.abort())
        page.goto(f"{site}/?view=lessons&language=it")
        page.get_by_text("La pagina non può partire").wait_for(timeout=20_000)
        assert "solara-vuetify-app8.min.js" in page.inner_text("#tme-first-line")
        plain = chrome.new_context(java_script_enabled=False).new_page()
        plain.goto(f"{site}/?view=lessons")
        assert "needs JavaScript" in plain.inner_text("body")


def told_at_all_sizes(page):
    """The bar is in the window, and its button on top of everything."""
    on_top = "b => { const r = b.getBoundingClientRect(); return document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2) === b }"
    for width, height in ((1440, 900), (1920, 1080), (1024, 768), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        box = page.locator("#tme-lost").bounding_box()
        assert box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= width and box["y"] + box["height"] < height / 2
        assert page.locator("#tme-lost button").evaluate(on_top), width


@NO_BROWSER
def test_a_lost_connection_and_a_new_start_are_told_and_can_be_answered(tmp_path):
    with driver.browsing() as chrome:
        page = chrome.new_page()
        with driver.serving(tmp_path) as (address, _):
            page.goto(f"{address}/?view=lessons&language=it")
            page.locator(".tme-view-live").wait_for(timeout=60_000)
            assert page.locator("#tme-lost").is_hidden()
        page.get_by_text("La connessione con il programma è caduta").wait_for(timeout=20_000)
        told_at_all_sizes(page)
        with driver.serving(tmp_path, port=int(address.rpartition(":")[2])):
            page.get_by_text("Il programma è stato riavviato").wait_for(timeout=60_000)
            told_at_all_sizes(page)
            page.get_by_role("button", name="Ricarica").click(timeout=5000)
            page.locator(".tme-view-live").wait_for(timeout=60_000)
            assert page.locator("#tme-lost").is_hidden() and "language=it" in page.url


@pytest.mark.parametrize(("given", "kept"), [("https://A.example/", "https://a.example"), ("http://b:80", "http://b:80")])
def test_an_origin_is_taken_as_a_browser_sends_it(given, kept):
    assert gate.check_origin(given) == kept


@pytest.mark.parametrize("given", ["marrow.example", "https://a/b", "ftp://a", "https://", "*"])
def test_what_is_no_origin_is_told(given):
    with pytest.raises(InputError, match="is no origin"):
        gate.check_origin(given)


@pytest.mark.parametrize("given", ["marrow", "/a b", "/a?b", "//"])
def test_what_is_no_path_is_told(given):
    if given == "//":
        assert gate.check_root_path(given) == ""
        return
    with pytest.raises(InputError, match="is no path"):
        gate.check_root_path(given)
