"""What is public: listed, importable, typed, documented, and light to import."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tme_abm

STUB = Path(tme_abm.__file__).with_suffix(".pyi")


@pytest.mark.parametrize("name", [name for name in tme_abm.__all__ if name != "__version__"])
def test_a_public_name_is_there_with_a_docstring_and_types(name):
    thing = getattr(tme_abm, name)
    assert inspect.getdoc(thing)
    if inspect.isfunction(thing):
        for parameter in inspect.signature(thing).parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty, f"{name}: {parameter.name}"
        assert inspect.signature(thing).return_annotation is not inspect.Signature.empty


def test_editors_and_type_checkers_see_the_same_names():
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    listed = next(n for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "__all__")
    assert sorted(ast.literal_eval(listed.value)) == sorted(tme_abm.__all__)
    homes = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            homes |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    for name, (module, there) in homes.items():
        assert getattr(__import__(module, fromlist=[there]), there) is getattr(tme_abm, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        _ = tme_abm.runn


@pytest.mark.parametrize("code", ["import tme_abm", "import tme_abm.cli.app"])
def test_nothing_heavy_is_imported_before_it_is_needed(code):
    heavy = ("numba", "mesa", "pandas", "matplotlib", "lifelines", "anndata", "pyarrow", "scipy")
    ask = f"{code}; import sys; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
