"""Notes on the columns of tables: allowed values in words, and which note belongs to which column."""

import pytest

from tme_abm.foundation.columns import Heading, count, find, truth, word


@pytest.mark.parametrize(
    ("heading", "allowed"),
    [
        (Heading("a", "1", "."), "any"),
        (Heading("a", "1", ".", low=0.0), "from 0"),
        (Heading("a", "1", ".", high=2.5), "up to 2.5"),
        (Heading("a", "1", ".", low=-1.0, high=1.0), "-1 to 1"),
        (Heading("a", "-", ".", "whole number"), "whole numbers"),
        (Heading("a", "-", ".", "whole number", 1, 3), "whole numbers 1 to 3"),
        (count("a", "cells", "."), "whole numbers from 0"),
        (truth("a", ".", "at first"), "true, false; missing at first"),
        (word("a", "."), "text"),
        (word("a", ".", ("x", "y")), "x, y"),
    ],
)
def test_allowed_values_in_words(heading, allowed):
    assert heading.allowed == allowed


def test_a_name_with_a_blank_stands_for_many_columns():
    general, special = Heading("deaths_<cause>", "cells", "general"), Heading("deaths_adcc", "cells", "special")
    assert find("deaths_adcc", [general, special]) is special
    assert find("deaths_pd1_blockade", [special, general]) is general
    assert find("deaths_", [general, special]) is None
    assert find("total_deaths_adcc", [general, special]) is None
