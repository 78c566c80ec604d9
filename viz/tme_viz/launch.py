"""Start the server of the page."""

import importlib.util
import os
import socket
import threading
import time
import warnings
import webbrowser
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

PAGE = "tme_viz.page"
SHELL_HOST = ("cdn.jsdelivr.net", 443)  # where Solara's page shell comes from where it is not installed
LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("0.0.0.0", "::")


def main(
    scenario: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8765,
    open_browser: bool = True,
    mechanisms: Iterable[Any] = (),
) -> None:
    """Serve the page until interrupted.

    Args:
        scenario: Name of a bundled scenario, or the path of a file, with which the page opens.
        host: Address to listen on; others than this computer can reach it only where this is not a loopback address.
        port: Port to listen on.
        open_browser: Whether to open the page in a browser.
        mechanisms: Mechanisms from outside, as `load_scenario` takes them; a link to the page never brings one.

    Raises:
        InputError: Where there is no such scenario, or the port is taken.
    """
    os.environ["SOLARA_TELEMETRY_MIXPANEL_ENABLE"] = "False"
    os.environ["SOLARA_APP"] = PAGE
    os.environ.setdefault("SOLARA_KERNEL_CULL_TIMEOUT", "2m")  # a closed tab's models go after this; a dropped line may return before

    from tme_viz.memory import share_pools

    share_pools()
    from tme_abm.foundation.errors import InputError
    from tme_abm.scenario.kinds import load_trial
    from tme_abm.scenario.reading import scenarios
    from tme_viz import page
    from tme_viz.allowed_files import KIND, Places, kind
    from tme_viz.choice import Choice

    given, choice = None, Choice()
    if scenario is not None:
        file = scenarios().get(scenario, Path(scenario))
        if file.is_file() and kind(file) not in (KIND, ""):
            raise InputError(f"{scenario}: this is no trial ({kind(file)}), and the live page shows the marrow of patients; use tme run")
        given = None if scenario in scenarios() else Path(scenario)
    study = load_trial(scenario or choice.scenario, mechanisms=mechanisms)
    page.open_with(Places(given=given, catalogue=study.settings.catalogue), replace(choice, scenario=study.name))
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(f"{host}:{port} cannot be used ({error.strerror or error}); choose another with --port or --host") from None

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
    os.environ["SERVER_NAME"], os.environ["SERVER_PORT"] = host, str(port)
    if host not in LOOPBACK:
        print(f"Anyone who can reach {host} can use this page and run models on this computer.")
    if missing := shell_missing():
        print(missing)
    address = address_of(host, port)
    print(f"The live marrow is at {address} - stop it with Ctrl-C.", flush=True)
    server = uvicorn.Server(uvicorn.Config("solara.server.starlette:app", host=host, port=port, log_level="warning"))
    if open_browser:
        threading.Thread(target=_open, args=(server, address), daemon=True).start()
    server.run()


def address_of(host: str, port: int) -> str:
    """What a browser of this computer opens to see the page."""
    if host in (*LOOPBACK, *EVERYWHERE):
        return f"http://localhost:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def shell_missing() -> str:
    """One line to print where the page's shell can come from nowhere; empty where it can."""
    if importlib.util.find_spec("solara_assets") is not None or _is_cached():
        return ""
    try:
        socket.create_connection(SHELL_HOST, timeout=2.0).close()
    except OSError:
        return "No network, and the page's shell is not installed: pip install 'tme-abm[offline]' lets it work without internet."
    return ""


def _is_cached() -> bool:
    from solara.server import settings

    folders = (settings.assets.proxy_cache_dir, *settings.assets.extra_paths())
    return any((Path(folder) / "@widgetti").is_dir() for folder in folders)


def _open(server: object, address: str) -> None:
    while not getattr(server, "started", False):
        time.sleep(0.1)
    webbrowser.open(address)
