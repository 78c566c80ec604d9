"""S26b: the depletion of suppressors is the cause, the response of T cells the effect; each is switched off in turn."""

SUPPRESSORS = ("treg_cells", "breg_cells", "mdsc_cells")


def test_s26b_without_the_depletion_of_suppressors_t_cells_fill_up_less(cohort, gain, record_property):
    whole = cohort.after("isatuximab", days=56)
    without = cohort.after("isatuximab", days=56, without=frozenset({"depletion"}))
    less = gain(whole["t_cell_granzyme"], without["t_cell_granzyme"])
    record_property("S26b", f"granzyme of T cells after 56 d of isatuximab: higher with the depletion of suppressors by {less}")
    assert less.is_clear


def test_s26b_without_the_response_of_t_cells_suppressors_are_depleted_alike(large_cohort, gain, record_property):
    """Within two standard errors, or within a twentieth of the depletion itself.

    Four dozen patients: what marrows do by themselves leaves a standard error of 11 of 22 cells in a dozen, and of 7 of 41 in four dozen.
    """
    suppressors = {}
    for name, drugs, without in (("untreated", (), ()), ("whole", ("isatuximab",), ()), ("without", ("isatuximab",), ("t_cell_recovery",))):
        seen = large_cohort.after(*drugs, days=56, without=frozenset(without))
        suppressors[name] = sum(seen[kind] for kind in SUPPRESSORS)
    depleted, difference = gain(suppressors["untreated"], suppressors["whole"]), gain(suppressors["without"], suppressors["whole"])
    record_property(
        "S26b",
        f"suppressors fewer after 56 d of isatuximab by {depleted}; without the expansion of T cells by {difference} more of them are left",
    )
    assert depleted.is_clear
    assert abs(difference.mean) <= max(2.0 * difference.error, 0.05 * depleted.mean)
