"""Calibration: the free numbers of the model, fitted to control arms and single agents, and to nothing else.

What may change and what it is held against stands in `calibration.toml`. Published figures come from the scenarios; one whose role is
not "calibration" is refused, and the arms of combinations are not even run. The loss is a sum of squares

    z = (g(simulated) - g(published)) / sqrt(published error^2 + error of the simulation^2 + tolerance^2)

with g the logarithm of a median PFS and the arcsine of the root of a share. The endpoints of an arm come from the same patients, so the
weights are working weights and the loss is no log-likelihood. Every trial meets the same dice (common random numbers): the same values give
the same loss. The search is Optuna's TPE (akiba2019) in a study file that survives an interruption and that several processes may share.
"""
