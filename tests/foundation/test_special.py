"""Special functions without the package around them."""

import subprocess
import sys

import pytest

from tme_abm.foundation.special import special

NAMES = ("bdtr", "betaincinv", "betaln", "log_ndtr", "stdtrit")


def run(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.parametrize("name", NAMES)
def test_a_function_is_that_of_scipy(name):
    """In this process, where the package may be there, and in one where it comes afterwards."""
    import scipy.special

    assert special(name) is getattr(scipy.special, name)
    code = f"import sys; from tme_abm.foundation.special import special; f = special({name!r}); early = 'scipy.special' in sys.modules\n"
    assert run(f"{code}import scipy.special; print(early, f is scipy.special.{name})") == ["False", "True"]


def test_an_unknown_function_is_told_as_the_package_tells_it():
    with pytest.raises(AttributeError, match="no_such_function"):
        special("no_such_function")


def test_the_package_is_not_imported_and_is_whole_afterwards():
    found = run(
        "import sys; from tme_abm.foundation.special import special\n"
        f"known = [special(name) for name in {NAMES}]\n"
        "print('scipy.special' in sys.modules)\n"  # scipy 1.18 links its functions with scipy.linalg, which comes then
        "import scipy.special, scipy.stats\n"
        f"print(all(f is getattr(scipy.special, name) for f, name in zip(known, {NAMES})))\n"
        "print(scipy.special.__file__.endswith('__init__.py'), scipy.special.softmax([1.0]).item(), scipy.stats.norm.cdf(0.0).item())\n"
    )
    assert found == ["False", "True", "True", "1.0", "0.5"]


def test_who_gets_the_stand_in_meanwhile_gets_the_real_functions_from_it():
    found = run(
        "import sys, scipy; from pathlib import Path; from tme_abm.foundation import special\n"
        "stand_in = special._StandIn(Path(scipy.__file__).parent / 'special')\n"
        "print(stand_in.gamma(5.0).item(), type(sys.modules['scipy.special']).__name__)\n"
    )
    assert found == ["24.0", "module"]


def test_what_scipy_keeps_elsewhere_comes_from_the_package():
    found = run(
        "import sys; from tme_abm.foundation import special\n"
        "special.WITHIN = 'scipy.special._no_such_module'\n"
        "print(special.special('gamma')(5.0).item(), type(sys.modules['scipy.special']).__name__)\n"
    )
    assert found == ["24.0", "module"]
