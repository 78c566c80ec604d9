"""What a number may cite."""

from typing import Annotated, NamedTuple

import pytest

from tme_abm.foundation.declare import Param, fill
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.references import check_source


class Block(NamedTuple):
    rate: Annotated[float, Param("1/h", "a rate", "tme_abm")] = 1.0


@pytest.mark.parametrize(
    "source", ["attal2019", "attal2019: table 2", "attal2019; fau2020: supplement", "this study: our own", "doi: 10.1/x", "tme_abm"]
)
def test_what_may_be_cited(source):
    assert check_source(source, "here") == source
    assert fill(Block, {"rate": {"value": 2.0, "source": source}}).origins["rate"].source == source


def test_an_unknown_key_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"block\.rate: unknown source 'attal2091'; did you mean 'attal2019'\?"):
        fill(Block, {"rate": {"value": 2.0, "source": "attal2091"}}, "block")
    with pytest.raises(InputError, match="unknown source 'Our lab'; one of your own reads 'this study: Our lab'"):
        check_source("attal2019; Our lab", "here")
