"""Calibration: what differs between patients, fitted to control arms and single agents by weights on a bank, and to nothing else.

What may change and what it is held against stands in `calibration.toml`: medians, spreads and correlations of traits, each with the range
that holds 95 % of its prior. Published figures come from the scenarios; one whose role is not "calibration" is refused, and the runs of
combinations are not even read. Rates of rules are no patient's trait and stay where wells, mice and immune measurements put them.

The endpoints of an arm are taken together: on their scales (`bank.weighted`) the published values less the simulated ones are normal, with
the covariance that the endpoints of one trial of that size have (from the influence of each patient), plus the same over the effective
number of patients of the bank, plus an error of the model that is allowed for (`tolerance`). The ensemble sampler emcee
(foremanmackey2013) draws from the posterior; some hundred draws are kept.
"""
