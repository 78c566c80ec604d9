"""What every experiment can be asked: to go on where it was stopped, and with which model it was run."""

from tme_abm.batch.executors import Threads
from tme_abm.batch.journal import Journal
from tme_abm.batch.stopping import Stop
from tme_abm.laboratory.experiment import Experiment
from tme_abm.laboratory.results import describe_experiment
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.reading import scenarios
from tme_abm.trial.provenance import model_digest


class Counting(Experiment):
    """Five wells of nothing."""

    facts = summarise = findings = draw = None
    pieces = ("wells", 5)

    def carry_out(self, index):
        return [{"well": index}]


class Told:
    """Progress that is written down."""

    def __init__(self):
        self.calls = []

    def phase(self, name, total):
        self.calls.append((name, total))

    def advance(self, n=1, phase=None):
        self.calls.append(n)


def test_what_stands_on_disk_counts(tmp_path):
    experiment = Counting(name="c", title="", summary="", seed=1, population=None, settings=None, drugs={}, resolved={})
    journal = Journal(tmp_path)
    for index in range(3):
        journal.add(str(index), {"rows": [{"well": index}]})
    told = Told()
    assert list(experiment.run_kept(journal, Threads(1), told, Stop())["well"]) == [0, 1, 2, 3, 4]
    assert told.calls == [("wells", 5), 3, 1, 1]
    journal.close()


def test_it_says_with_which_model_it_was_run():
    assert describe_experiment(load_scenario(next(iter(scenarios("assay")))))["model"] == model_digest()
