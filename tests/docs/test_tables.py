"""Tables of docs/ that follow from the code stand there as the code has them, and predictions are read as they were written."""

import pytest

from docs_site import tables

# refreshed by: python -m docs_site
PAGES = tables.pages()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_up_to_date(page):
    text = page.read_text(encoding="utf-8")
    assert tables.fill(text) == text


def test_every_table_stands_somewhere():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert {name for _, name, _ in tables.MARKED.findall(text)} == set(tables.MADE)


def test_a_table_that_drifts_is_found():
    page = tables.DOCS / "odd.md"
    text = page.read_text(encoding="utf-8")
    changed = text.replace("| `adcc.", "| `adccc.") if "| `adcc." in text else text.replace("`drugs_act`", "`drugs_rest`")
    assert changed != text and tables.fill(changed) == text


def test_the_odd_protocol_has_its_seven_elements_and_eleven_concepts():
    text = (tables.DOCS / "odd.md").read_text(encoding="utf-8")
    assert [line[3] for line in text.splitlines() if line.startswith("## ") and line[3].isdigit()] == list("1234567")
    concepts = ("Basic principles", "Emergence", "Adaptation", "Objectives", "learning", "prediction", "Sensing", "Interaction")
    for concept in (*concepts, "Stochasticity", "Collectives", "Observation"):
        assert concept in text


def test_predictions_are_read_with_their_rounds():
    text = """
## Round 8: a title
**What was fitted**:

| study | who | endpoint | published | simulated | inside | holds | verdict |
| --- | --- | --- | --- | --- | --- | --- | --- |
| a | Pd | ORR | 30 | 31 | yes | yes | pass |

The predictions:

| study | who | endpoint | published | simulated | inside | holds | verdict |
| --- | --- | --- | --- | --- | --- | --- | --- |
| a | Isa-Pd | ORR | 60 | 71 | no | no | miss |

## Round 9: another
The predictions:

| study | who | endpoint | published | simulated | inside | holds | verdict |
| --- | --- | --- | --- | --- | --- | --- | --- |
| a | Isa-Pd | ORR | 60 | 61 | yes | yes | pass |
"""
    found, rounds = tables.read_predictions(text)
    assert rounds == ["Round 8", "Round 9"]
    assert found == {("a", "Isa-Pd", "ORR", "60"): {"Round 8": ("71", "miss"), "Round 9": ("61", "pass")}}
    _, rounds = tables.read_predictions(text + text[text.index("## Round 9") :].replace("another", "a second part"))
    assert rounds == ["Round 8", "Round 9", "Round 9, 2"]


def test_no_fitted_row_is_told_as_a_prediction():
    """A row that is fitted in one study may be predicted in another; of a study, no arm of a single backbone is."""
    found, _ = tables.read_predictions((tables.DOCS / "calibration.md").read_text(encoding="utf-8"))
    fitted = {(study, who) for study, who, _, _ in found} & {("icaria", "Pd"), ("ikema", "Kd"), ("isatuximab_monotherapy", "Isa")}
    assert len(found) > 20 and not fitted
