"""Every drug alone beats no treatment, a triplet beats its doublet, and disease that nobody treats progresses."""

import numpy as np
import pytest
from scipy.stats import wilcoxon

from tme_abm.pharmacology.drug import catalogue


@pytest.fixture(scope="module")
def untreated(cohort):
    return cohort.burden()


def better(treated, reference):
    """Whether the treated have less log burden than the same patients of the reference, on the same dice (signed-rank test, 2.5 %).

    By ranks, for among a dozen patients one whose tumour is nearly gone would outweigh all others in the error of a mean; the mean
    itself has to be above zero too.
    """
    gain = reference - treated
    return gain.mean() > 0.0 and wilcoxon(gain, alternative="greater").pvalue < 0.025


def test_untreated_disease_grows(cohort, untreated):
    before = np.array([np.log(marrow.marrow.body.burden.sum()) for marrow in cohort.grown])
    assert (untreated > before).mean() >= 0.9


@pytest.mark.parametrize("drug", catalogue())
def test_every_drug_alone_beats_no_treatment(cohort, untreated, drug):
    assert better(cohort.burden(drug), untreated)


@pytest.mark.parametrize(
    ("antibody", "backbone"),
    [
        ("isatuximab", ("pomalidomide", "dexamethasone")),
        ("isatuximab", ("carfilzomib", "dexamethasone")),
        ("daratumumab", ("pomalidomide", "dexamethasone")),
        ("elotuzumab", ("pomalidomide", "dexamethasone")),
    ],
)
def test_a_triplet_beats_its_doublet(cohort, antibody, backbone):
    assert better(cohort.burden(antibody, *backbone), cohort.burden(*backbone))


def test_the_gain_of_a_triplet_is_the_mechanisms_of_its_antibody(cohort):
    """With every mechanism of the antibody off, the triplet is the doublet, cell by cell: no constant names an arm."""
    from tme_abm.pharmacology.drug import load_drug

    own = frozenset(load_drug("isatuximab").effects)
    triplet = cohort.burden("isatuximab", "pomalidomide", "dexamethasone", without=own, days=28)
    doublet = cohort.burden("pomalidomide", "dexamethasone", without=own, days=28)
    np.testing.assert_array_equal(triplet, doublet)
