"""A rule in plain Python that kills: total marrow irradiation in five daily fractions. Share and days are made up."""

import tme_abm

DAYS = 5  # fractions, one at the end of each of the first days of treatment
KILLED = 0.2  # share of the plasma cells that a fraction kills


def irradiate(model: "tme_abm.TumourModel") -> None:
    """Called with the model at the end of every day of treatment."""
    if model.day > DAYS:
        return
    for cell in list(model.agents_by_type[tme_abm.PlasmaCell]):
        if model.random.random() < KILLED:
            cell.remove()  # counted in `deaths_irradiate`; the burden of the whole marrow falls with it


if __name__ == "__main__":
    study = tme_abm.load_scenario("icaria", patients=20)
    tme_abm.run(study, "results/icaria_irradiate", rules=[irradiate])
