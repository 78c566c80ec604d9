"""The frozen baseline: nothing changes a result by accident. What is meant to change it refreshes it (refresh.py)."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

_SPEC = spec_from_file_location("baseline_refresh", Path(__file__).with_name("refresh.py"))
assert _SPEC is not None and _SPEC.loader is not None
refresh = module_from_spec(_SPEC)
_SPEC.loader.exec_module(refresh)

FROZEN = json.loads(refresh.PATH.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def now():
    return refresh.compute()


def test_the_same_runs_are_frozen(now):
    assert list(now) == list(FROZEN)


@pytest.mark.parametrize("run", list(FROZEN))
def test_nothing_has_moved(now, run):
    hint = "meant? then run: python -m tests.baseline.refresh"
    assert now[run]["counts"] == FROZEN[run]["counts"], hint
    assert now[run]["quantities"] == pytest.approx(FROZEN[run]["quantities"], rel=1e-6), hint
