"""How the server starts, and what it says before."""

import ast
import os
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tme_viz import launch

from tme_abm.foundation.errors import InputError

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "viz" / "tme_viz"


def test_a_port_that_is_taken_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port, before = taken.getsockname()[1], dict(os.environ)
        with pytest.raises(InputError, match=f"127.0.0.1:{port} cannot be used"):
            launch.main(None, "127.0.0.1", port, open_browser=False)
    assert dict(os.environ) == before  # else the next Solara page of this process looks for its files where ours lie, and stays blank


def test_the_terminal_speaks_before_anything_that_takes_time_is_imported():
    code = """
import builtins, sys
said = builtins.print
def first(*words, **_):
    said(*words, sorted({'numba', 'solara', 'pandas', 'matplotlib'} & set(sys.modules)))
    raise SystemExit
builtins.print = first
from tme_abm.cli.app import app
app(['view', '--no-browser'])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.startswith("tme view: the page is being made ready ... []"), done.stdout + done.stderr


def test_the_page_asks_the_simulation_and_never_its_kernels():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    barred = next(c for c in contracts if c["id"] == "page")["forbidden_modules"]
    for path in PAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                assert name not in barred, f"{path.name} imports {name}"
                is_part = name.startswith("tme_abm.mechanisms.") and not name.split(".")[-1].isupper()
                assert not is_part, f"{path.name} imports {name}"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        *((host, "http://localhost:80/") for host in ("127.0.0.1", "localhost", "0.0.0.0")),
        *((host, "http://[::1]:80/") for host in ("::1", "::")),
        ("fe80::1", "http://[fe80::1]:80/"),
        ("192.168.0.7", "http://192.168.0.7:80/"),
    ],
)
def test_the_address_is_one_that_a_browser_opens(host, address):
    assert launch.address_of(host, 80) == address
