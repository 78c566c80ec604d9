"""Each colour means one thing on the page."""

import itertools
from types import SimpleNamespace

import numpy as np
from tme_viz import colours
from tme_viz.charts import cause_words, charts
from tme_viz.live import numbered_causes
from tme_viz.picture import rgb

from tme_abm.mechanisms.outside.catalogue import PLAIN

LEAST = 12.0  # distance in CIE Lab of two colours that can be told apart beside each other


def lab(colour):
    """CIE Lab of an sRGB colour, D65."""
    c = np.array(rgb(colour)) / 255.0
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def meanings():
    """Colour by what it means; a drug, what dies of it and what resists it are one meaning, and so are a cell and what it kills."""
    shared = {"adcc", "adcp", "t_cell", "direct", "imid", "proteasome", "glucocorticoid"}
    found = {f"cell {name}": colour for name, colour in colours.COLOURS.items()}
    found |= {f"class {name}": colour for name, colour in colours.CLASSES.items()} | {"class other": colours.OTHER_DRUG}
    found |= {f"cause {name}": colour for name, colour in colours.CAUSES.items() if name not in shared}
    found |= {f"field {name}": colour for name, colour in colours.FIELDS.items()}
    return found | {"arm B": colours.ARMS[False][1], "several": colours.SEVERAL, "from outside": colours.FROM_OUTSIDE}


def test_no_two_meanings_share_a_colour():
    for (one, a), (other, b) in itertools.combinations(meanings().items(), 2):
        assert np.linalg.norm(lab(a) - lab(b)) > LEAST, f"{one} and {other}: {a}, {b}"


def test_what_is_one_meaning_has_one_colour():
    assert {cause: colours.CAUSES[cause] for cause in colours.KILLERS} == {c: colours.COLOURS[k] for c, k in colours.KILLERS.items()}
    assert colours.CLONES[0] == colours.COLOURS["PLASMA"] and colours.CLONES[1] == colours.CAUSES["imid"] == colours.CLASSES["imid"]
    assert (
        colours.CLONES[2] == colours.CAUSES["proteasome"] and colours.CLONES[4] == colours.CAUSES["direct"] == colours.CLASSES["antibody"]
    )


def test_the_curves_use_those_colours_and_arms_none_of_them():
    named = set(meanings().values())
    from tme_viz.allowed_files import Places
    from tme_viz.choice import Choice
    from tme_viz.pair import Pair

    pair = Pair(Choice(scenario="combinations", arms=("isa-kd", "pd"), size=32), Places())
    drawn = {series["colour"] for chart in charts(pair, "en") for series in chart["series"] if series["colour"]}
    assert drawn <= named and len(drawn) > 8 and not drawn & set(colours.ARMS[False])


def test_every_cause_has_a_colour_and_its_number():
    assert set(colours.CAUSES) == set(PLAIN.causes)
    visitor = SimpleNamespace(places=SimpleNamespace(catalogue=PLAIN), language=SimpleNamespace(value="it"))
    numbered = numbered_causes(visitor)
    assert {column: cause["name"] for column, cause in numbered.items()} == {column: name for name, column in PLAIN.causes.items()}
    assert cause_words(["eaten_by_wolves"], "en")[0]["colour"] == colours.FROM_OUTSIDE
