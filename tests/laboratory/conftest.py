"""Small scenarios of the laboratory, written into the working directory, and a run that tells nobody how far it is."""

from pathlib import Path

import pytest

ASSAY = """\
kind = "assay"
title = "A small assay"
summary = "What it asks."
seed = 3
replicates = 2
duration = "24 h"
without = ["trogocytosis"]
readouts = ["specific_lysis", "adenosine_made"]

[marrow]
shape = [24, 24]
step = "2 h"

[cells]
plasma = 120
nk = 30

[line]
cd38_spread = { value = 0.3, unit = "1", source = "tme_abm", grade = "A" }

[sweep]
over = "cd38_sites"
values = [20e3, 100e3, 500e3]
unit = "sites/cell"
mark = 130e3
mark_label = "median"

[samples]
population = "icaria"
patients = 3

[conditions.isa]
label = "isatuximab"
drugs = { isatuximab = 10.0 }

[conditions.nothing]
label = "no drug"
cells = { nk = 10 }
"""

COURSE = """\
kind = "time_course"
title = "A small time course"
summary = "What it asks."
population = "icaria"
patients = 3
seed = 4
quantities = ["nk_cells", "adcc_per_nk_cell_and_day", "cd38_sites_per_cell"]

[marrow]
shape = [32, 32]
step = "6 h"

[sampling]
hours = [6, 24]
days = [7, 28]

[split]
quantity = "adenosine"
whole = "isa"
reference = "untreated"
at = "4 week"

[split.parts]
"block" = "no-block"

[courses.untreated]
label = "untreated"

[courses.isa]
label = "isatuximab"
stop = "1 week"
doses = [{ drug = "isatuximab", dose = "10 mg/kg", days = [1, 8, 15, 22] }]

[courses.no-block]
label = "isatuximab without the block"
without = ["ectoenzyme"]
doses = [{ drug = "isatuximab", dose = "10 mg/kg", days = [1, 8, 15, 22] }]
"""


class Quiet:
    """Nobody is told."""

    def phase(self, name, total):
        pass

    def advance(self, n=1, phase=None):
        pass


@pytest.fixture
def quiet():
    return Quiet()


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write ASSAY or COURSE with some texts replaced, as a file in the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(kind, *changes):
        text = {"assay": ASSAY, "time_course": COURSE}[kind]
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        name = f"{kind}.toml"
        Path(name).write_text(text, encoding="utf-8")
        return name

    return write
