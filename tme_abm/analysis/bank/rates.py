"""Which traits an arm depends on, and which rates of its drugs they multiply."""

IDLE = {  # trait -> mechanisms without which nothing depends on it (`tests/analysis/test_bank.py` runs arms to see it)
    "imid_sensitivity": frozenset({"imid"}),
    "proteasome_sensitivity": frozenset({"proteasome"}),
    "glucocorticoid_sensitivity": frozenset({"glucocorticoid"}),
    "effector_fitness": frozenset({"adcc", "adcp"}),
}
RATES = {  # mechanism of a drug -> its rate, and the trait that multiplies it: half the rate is a population of half the sensitivity
    "imid": ("kill_rate", "imid_sensitivity"),
    "proteasome": ("kill_rate", "proteasome_sensitivity"),
    "glucocorticoid": ("kill_rate", "glucocorticoid_sensitivity"),
}
