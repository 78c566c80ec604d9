"""Which curves the live page draws, from which columns."""

from typing import Any

from tme_abm.marrow.cell_types import records
from tme_viz.pair import Pair
from tme_viz.picture import COLOURS
from tme_viz.words import drug, words

DRUG_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")


def charts(pair: Pair, language: str) -> list[dict[str, Any]]:
    """The charts, each with its series, for curves.vue."""
    w, at = words(language), {name: i for i, name in enumerate(pair.columns)}

    def chart(key: str, title: str, unit: str, series: list[tuple[str, str, str]], **more: Any) -> dict[str, Any]:
        lines = [{"label": label, "column": at[column], "colour": colour} for label, column, colour in series]
        return {"key": key, "title": title, "unit": unit, "series": lines, "log": False, "floor": 0.0, "top": 0.0, **more}

    drugs = chart(
        "drugs",
        w["drugs_title"],
        w["drugs_unit"],
        [
            (drug(name, language), f"concentration_{name}_ug_per_ml", DRUG_COLOURS[i % len(DRUG_COLOURS)])
            for i, name in enumerate(pair.drugs)
        ],
        log=True,
        floor=1e-3,
    )
    for i, (line, name) in enumerate(zip(drugs["series"], pair.drugs, strict=True)):
        line |= {"doses": at[f"dose_{name}_mg"], "rank": i}
    panels: dict[str, list[str]] = {}  # of types of cells, as their records say
    for kind, record in records().items():
        if record.panel:
            panels.setdefault(record.panel, []).append(kind.name)
    cells = [
        chart(panel, w.get(panel, ", ".join(w[k] for k in kinds)), w["in_patch"], [(w[k], f"{k.lower()}_cells", COLOURS[k]) for k in kinds])
        for panel, kinds in panels.items()
    ]
    return [
        chart("m_protein", w["m_protein"], "g/L", [(w["m_protein"], "m_protein_g_per_l", "")]),  # one colour an arm
        chart(
            "clones",
            w["clones_carrying"],
            w["cells_in_body"],
            [
                (w["all_cells"], "tumour_cells_total", "#7A7A7A"),
                (w["sensitive"], "clone_sensitive", "#D55E00"),
                (w["carrying_imid"], "clone_with_imid", "#E69F00"),
                (w["carrying_proteasome"], "clone_with_proteasome", "#009E73"),
                (w["carrying_antibody"], "clone_with_antibody", "#CC79A7"),
            ],
            log=True,
            floor=1e4,
        ),
        *cells[:1],
        chart(
            "activity",
            w["activity_title"],
            w["activity_unit"],
            [(w["T"], "t_cell_activity", COLOURS["T"]), (w["NK"], "nk_activity", COLOURS["NK"])],
            top=1.0,
        ),
        *cells[1:],
        chart(
            "fields",
            w["fields"],
            w["fields_unit"],
            [(w["adenosine"], "adenosine", "#0072B2"), (w["il6"], "il6", "#E69F00")],
        ),
        drugs,
    ]


def causes(pair: Pair, language: str) -> list[dict[str, Any]]:
    """The rows of the ledger of deaths."""
    at = {name: i for i, name in enumerate(pair.columns)}
    names = words(language)["cause"]
    known = pair.study.settings.catalogue.causes
    return [{"name": cause, "label": names.get(cause, cause.replace("_", " ")), "column": at[f"deaths_{cause}"]} for cause in known]
