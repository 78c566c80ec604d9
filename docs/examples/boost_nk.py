"""A rule in plain Python: once a day some new NK cells are given, and the oldest of a patch that holds too many are taken out."""

import tme_abm

GIVEN = 3  # NK cells a day for the patch
MOST = 120  # NK cells that the patch can feed


def boost_nk(model: "tme_abm.TumourModel") -> None:
    """Called with the model at the end of every day of treatment."""
    for _ in range(GIVEN):
        tme_abm.NKCell(model)
    cells = sorted(model.agents_by_type[tme_abm.NKCell], key=lambda cell: cell.born)
    for cell in cells[: max(0, len(cells) - MOST)]:
        cell.remove()  # in no column but nk_cells: `deaths_boost_nk` counts plasma cells


if __name__ == "__main__":
    study = tme_abm.load_scenario("icaria", patients=20)
    tme_abm.run(study, "results/icaria_boost_nk", rules=[boost_nk])
