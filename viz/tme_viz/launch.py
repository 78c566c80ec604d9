"""Start the server of the page."""

import os
import socket
import threading
import time
import warnings
import webbrowser
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

PAGE = "tme_viz.page"
EVERYWHERE = {"0.0.0.0": "localhost", "::": "::1"}  # all addresses of this computer -> one that its own browser opens


@contextmanager
def own_environment() -> Iterator[None]:
    """Solara is told through the environment where the page's files lie; other pages that this process starts must not look there."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@own_environment()
def main(
    scenario: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8765,
    open_browser: bool = True,
    mechanisms: Iterable[Any] = (),
    allow_origin: Iterable[str] = (),
    root_path: str = "",
) -> None:
    """Serve the page until interrupted.

    Args:
        scenario: Name of a bundled scenario, or the path of a file, with which the page opens.
        host: Address to listen on; others than this computer can reach it only where this is not a loopback address.
        port: Port to listen on.
        open_browser: Whether to open the page in a browser.
        mechanisms: Mechanisms from outside, as `load_scenario` takes them; a link to the page never brings one.
        allow_origin: Further origins under which the page is served or driven, such as that of a reverse proxy.
        root_path: Path below which a reverse proxy serves the page.

    Raises:
        InputError: Where there is no such scenario, the port is taken, or an origin or path is none.
    """
    print("tme view: the page is being made ready ...", flush=True)  # before anything that takes time is imported
    from tme_viz.gate import LOOPBACK, Gate, check_root_path, door

    entrance, below = door(host, allow_origin), check_root_path(root_path)
    os.environ["SOLARA_TELEMETRY_MIXPANEL_ENABLE"] = "False"
    os.environ["SOLARA_APP"] = PAGE
    os.environ["SOLARA_ASSETS_PROXY_CACHE_DIR"] = str(Path(__file__).with_name("vue"))  # nothing is fetched, so nothing is kept anywhere
    os.environ.setdefault("SOLARA_KERNEL_CULL_TIMEOUT", "2m")  # a closed tab's models go after this; a dropped line may return before

    from tme_viz.memory import share_pools

    share_pools()
    from tme_abm.foundation.errors import InputError
    from tme_abm.scenario.kinds import load_trial
    from tme_abm.scenario.reading import scenarios
    from tme_viz import page
    from tme_viz.allowed_files import KIND, LIVE, Places, kind
    from tme_viz.choice import Choice
    from tme_viz.live_file import choice_of

    given, choice = None, Choice()
    if scenario is not None:
        file = scenarios().get(scenario, Path(scenario))
        if file.is_file() and kind(file) not in (KIND, LIVE, ""):
            raise InputError(f"{scenario}: this is no trial ({kind(file)}), and the live page shows the marrow of patients; use tme run")
        given = None if scenario in scenarios() else Path(scenario)
    if given is not None and kind(given) == LIVE:
        choice, catalogue = choice_of(given, mechanisms)
    else:
        study = load_trial(scenario or choice.scenario, mechanisms=mechanisms)
        choice, catalogue = replace(choice, scenario=study.name), study.settings.catalogue
    page.open_with(Places(given=given, catalogue=catalogue), choice)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(f"{host}:{port} cannot be used ({error.strerror or error}); choose another with --port or --host") from None

    import solara.settings
    import uvicorn
    from solara.server import settings

    # the cookie of a page that stands in another page, which this one does not; without it Solara fills the terminal at the first visit
    warnings.filterwarnings("ignore", message="Cookies with samesite=none")
    settings.telemetry.mixpanel_enable = False
    settings.main.mode = "production"
    settings.theme.variant = settings.ThemeVariant.light  # "auto" leaves the page without its root element (solara 1.64); theme.vue does it
    settings.theme.title = "tme"
    settings.theme.show_banner = False
    settings.main.host = host
    settings.main.root_path = below
    solara.settings.assets.proxy = True  # the shell is asked for here, and answered by the gate
    settings.assets.fontawesome_enabled = False  # the page uses the icons of its shell
    os.environ["SERVER_NAME"], os.environ["SERVER_PORT"] = host, str(port)
    if host not in LOOPBACK:
        print(f"Anyone who can reach {host} can use this page and run models on this computer.")
    address = address_of(host, port).rstrip("/") + below + "/"
    print(f"The live marrow is at {address} - stop it with Ctrl-C.", flush=True)
    from solara.server.starlette import app

    gate = Gate(app, entrance, below)  # type: ignore[arg-type]
    server = uvicorn.Server(uvicorn.Config(gate, host=host, port=port, log_level="warning", root_path=below))  # type: ignore[arg-type]
    if open_browser:
        threading.Thread(target=_open, args=(server, address), daemon=True).start()
    server.run()


def address_of(host: str, port: int) -> str:
    """What a browser of this computer opens to see the page."""
    name = "localhost" if host == "127.0.0.1" else EVERYWHERE.get(host, host)
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"


def _open(server: object, address: str) -> None:
    while not getattr(server, "started", False):
        time.sleep(0.1)
    webbrowser.open(address)
