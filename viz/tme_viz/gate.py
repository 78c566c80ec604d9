"""The gate before the page: who may ask, what every answer carries, and what the browser shows when something fails.

Solara serves whoever asks. A page of another site that is open in the same browser could so read and drive this one: over the websocket,
which knows no same-origin rule, or under a name of its own that it lets point here. The gate refuses both. It also serves the shell of the
page from this package, and puts a line of plain HTML into the page, which stands there until the page does.
"""

import ipaddress
import json
import logging
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tme_abm.foundation.errors import InputError
from tme_viz import shell
from tme_viz.words import LANGUAGES, words

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
FIRST = Path(__file__).with_name("first.html")  # what stands in the page until it is there
WORDS = ("title", "first_line", "no_script", "not_loaded", "not_started", "lost_connection", "restarted", "refresh")
RECORDED_AT = "/tme/recorded.html"  # a recorded lesson, which the page shows in a frame while the model is compiled
RECORDED = Path(__file__).with_name("recorded.html")
OF_A_RECORDING = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; frame-ancestors 'self'"
SAFE = ("GET", "HEAD", "OPTIONS")
POLICY_VIOLATION = 1008  # code with which a websocket is refused
MISDIRECTED = 421  # status of a request under a name that is not served here
FORBIDDEN = 403
NOT_FOUND = 404
SERVER_ERROR = 500
FOR_A_YEAR = b"public, max-age=31536000, immutable"  # names of the shell's files carry their version

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Door:
    """Who may ask.

    Attributes:
        names: Names under which the page is served, in small letters.
        by_address: Whether any address of this computer is a name too: no name of another site can be one.
        origins: Further sites, such as a reverse proxy, whose pages may drive this one: "https://marrow.example.org".
    """

    names: frozenset[str]
    by_address: bool
    origins: frozenset[str] = frozenset()

    def refusal(self, scope: Scope) -> str:
        """Why a request is refused; empty where it is not."""
        headers = {key: value.decode("latin-1") for key, value in scope["headers"] if key in (b"host", b"origin")}
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        if not self.serves(host):
            return f"This page is not served under the name '{host}'. Whoever runs it can allow it: tme view --allow-origin http://{host}"
        if origin is None or (scope["type"] == "http" and scope["method"] in SAFE):
            return ""
        scheme, _, place = origin.partition("://")
        if scheme in ("http", "https") and (place == host or origin in self.origins):
            return ""
        return f"Pages of '{origin}' may not drive this one. Whoever runs it can allow it: tme view --allow-origin {origin}"

    def serves(self, host: str) -> bool:
        """Whether a request under this name is meant for us."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name in self.names or any(host == urlsplit(origin).netloc for origin in self.origins):
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.by_address or address.is_loopback


def door(host: str, origins: Iterable[str] = ()) -> Door:
    """The door of a server that listens on `host`.

    Raises:
        InputError: For an origin that is none.
    """
    allowed = frozenset(check_origin(origin) for origin in origins)
    if host in LOOPBACK:
        return Door(frozenset(LOOPBACK), False, allowed)
    own = socket.gethostname().lower()
    return Door(frozenset({*LOOPBACK, host.lower(), own, f"{own.partition('.')[0]}.local"}), True, allowed)


def check_origin(text: str) -> str:
    """An origin as a browser sends it: scheme, name and, where it is not the usual one, port.

    Raises:
        InputError: Where it is none.
    """
    parts = urlsplit(text.strip().rstrip("/").lower())
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query or parts.fragment:
        raise InputError(f"--allow-origin: '{text}' is no origin; write for instance https://marrow.example.org")
    return f"{parts.scheme}://{parts.netloc}"


def check_root_path(text: str) -> str:
    """A path below which a reverse proxy serves the page, without a slash at its end.

    Raises:
        InputError: Where it is none.
    """
    path = text.rstrip("/")
    if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
        raise InputError(f"--root-path: '{text}' is no path; write for instance /marrow")
    return path


class Gate:
    """An ASGI application before Solara's."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], door: Door, root_path: str = "") -> None:
        """Stand before `app`.

        Args:
            app: What serves the page.
            door: Who may ask.
            root_path: Path below which a reverse proxy serves the page; one that leaves it in the requests and one that does not are
            both understood.
        """
        self.app, self.door, self.root_path = app, door, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if reason := self.door.refusal(scope):
            logger.warning("refused: %s", reason)
            await _refuse(scope, receive, send, reason, self.door)
            return
        scope = self._below_root(scope)
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        path = self._own_path(scope)
        if path == RECORDED_AT:
            await _serve_recorded(scope, send)
            return
        if path.startswith(shell.ASKED_AT):  # Solara would fetch from the network what it does not have, and keep it
            name = path.removeprefix(shell.ASKED_AT)
            if name in shell.names():
                await _serve_shell(scope, send, name)
            else:
                await _say(scope, send, NOT_FOUND, f"The shell of the page holds no '{name}'.")
            return
        await self._page(scope, receive, send)

    def _below_root(self, scope: Scope) -> Scope:
        """The request as a proxy that takes the root path away would have sent it."""
        twice = self.root_path * 2
        if self.root_path and (scope["path"] == twice or scope["path"].startswith(f"{twice}/")):
            return {**scope, "path": scope["path"][len(self.root_path) :] or "/"}
        return scope

    def _own_path(self, scope: Scope) -> str:
        path: str = scope["path"]
        return path.removeprefix(self.root_path)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the page be served, with the headers that keep others out; HTML gets the first line and what lets its own scripts run."""
        nonce = secrets.token_urlsafe(16)
        start: Message = {}
        body: list[bytes] = []
        is_html = has_failed = False

        async def on(message: Message) -> None:
            nonlocal start, is_html, has_failed
            if message["type"] == "http.response.start":
                kind = next((value for key, value in message["headers"] if key.lower() == b"content-type"), b"")
                is_html = kind.startswith(b"text/html")
                start, has_failed = message, message["status"] >= SERVER_ERROR
                if not is_html and not has_failed:
                    await send({**message, "headers": [*message["headers"], *_headers(scope, "")]})
            elif has_failed:
                return  # what failed is raised, too, and told below
            elif message["type"] == "http.response.body" and is_html:
                body.append(message.get("body", b""))
                if not message.get("more_body", False):
                    whole = dressed(b"".join(body).decode("utf-8"), nonce, _language(scope)).encode("utf-8")
                    kept = [(key, value) for key, value in start["headers"] if key.lower() not in (b"content-length", b"content-encoding")]
                    await send(
                        {
                            **start,
                            "headers": [*kept, (b"content-length", str(len(whole)).encode()), *_headers(scope, nonce)],
                        }
                    )
                    await send({"type": "http.response.body", "body": whole})
            else:
                await send(message)

        plain = {**scope, "headers": [(k, v) for k, v in scope["headers"] if k != b"accept-encoding" or not self._is_page(scope)]}
        try:
            await self.app(plain, receive, on)
        except Exception as error:
            logger.exception("the page could not be served")
            if start and not is_html and not has_failed:  # half of the answer is out
                raise
            await _say(scope, send, SERVER_ERROR, f"{words(_language(scope))['not_started']} ({type(error).__name__}: {error})")
        else:
            if has_failed:
                await _say(scope, send, SERVER_ERROR, words(_language(scope))["not_started"])

    def _is_page(self, scope: Scope) -> bool:
        return not self._own_path(scope).startswith(("/static/", "/jupyter/", "/_solara/"))


def dressed(html: str, nonce: str, language: str) -> str:
    """A page of Solara's with the line that stands there first, and its scripts marked as the page's own.

    Args:
        html: As Solara wrote it.
        nonce: Tells the browser which scripts are the page's.
        language: Of the visitor, "en" or "it".
    """
    told = {key: {name: words(key)[name] for name in WORDS} for key in LANGUAGES}
    w = told[language]
    first = FIRST.read_text(encoding="utf-8").replace("FIRST_LINE", escape(w["first_line"])).replace("NO_SCRIPT", escape(w["no_script"]))
    first = first.replace("TITLE", escape(w["title"])).replace("WORDS", json.dumps(told).replace("</", "<\\/"))
    head, tag, rest = html.partition("<body")
    open_tag, end, inside = rest.partition(">")
    whole = head + tag + open_tag + end + first + inside if tag else html
    whole = re.sub(r"<html\b", f'<html lang="{language}"', whole, count=1)
    return re.sub(r"<script\b", f'<script nonce="{nonce}"', whole)


def policy(host: str, nonce: str) -> str:
    """What a page may load, and from where: itself alone. Vue compiles its templates, hence 'unsafe-eval'.

    Args:
        host: Name under which the page was asked for.
        nonce: Of the page's own scripts; empty where there are none.
    """
    own = f" 'nonce-{nonce}'" if nonce else ""
    safe_host = host if re.fullmatch(r"[\w.:\[\]-]+", host) else ""
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'unsafe-eval'{own}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' ws://{safe_host} wss://{safe_host}" if safe_host else "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _headers(scope: Scope, nonce: str) -> list[tuple[bytes, bytes]]:
    host = next((value.decode("latin-1") for key, value in scope["headers"] if key == b"host"), "")
    return [
        (b"content-security-policy", policy(host, nonce).encode("latin-1")),
        (b"x-frame-options", b"DENY"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]


def _language(scope: Scope) -> str:
    return "it" if b"language=it" in scope.get("query_string", b"") else "en"


async def _say(scope: Scope, send: Send, status: int, text: str) -> None:
    """A line of plain HTML."""
    body = f"<!doctype html><html><meta charset='utf-8'><title>tme</title><p>{escape(text)}</p></html>".encode()
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(body)).encode()), *_headers(scope, "")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _refuse(scope: Scope, receive: Receive, send: Send, reason: str, door: Door) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "foreign"})
        return
    host = next((value.decode("latin-1") for key, value in scope["headers"] if key == b"host"), "")
    await _say(scope, send, FORBIDDEN if door.serves(host) else MISDIRECTED, reason)


async def _serve_recorded(scope: Scope, send: Send) -> None:
    body = RECORDED.read_bytes()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", OF_A_RECORDING.encode()),
        (b"x-frame-options", b"SAMEORIGIN"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _serve_shell(scope: Scope, send: Send, name: str) -> None:
    takes = b"".join(value for key, value in scope["headers"] if key == b"accept-encoding")
    is_packed = b"gzip" in takes and shell.is_worth_compressing(name)
    body = shell.compressed(name) if is_packed else shell.content(name)
    headers = [
        (b"content-type", shell.media_type(name).encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", FOR_A_YEAR),
        (b"vary", b"accept-encoding"),
        *_headers(scope, ""),
    ]
    if is_packed:
        headers.append((b"content-encoding", b"gzip"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
