"""A bank of virtual patients: drawn wider than any population, grown once, run under many arms, and from then on only weighed.

A patient drawn with the density q(x) stands for a patient of a population p with the weight p(x) / q(x). So a change of a median, a
spread or a correlation of what differs between patients costs no simulation (prevalence, as in allen2016, by which patients are chosen
there and weighed here). Patients come from cohorts (`plan`), one for each population whose covariates are wanted; q is the mixture of all
cohorts that ran an arm, in the shares in which they did (the balance heuristic, veach1995). So each cohort helps every population that it
is like, and further sittings with other distributions may be added at any time (cornuet2012). Traits on which an arm cannot depend, such
as the sensitivity for a drug that it does not give, are left out of both densities.

The ways out of a trial - death without progression, withdrawal, the cut-off - are no part of a run. They are drawn afterwards, by the rates
of the population that is asked for (`outcomes`); only the end of treatment for adverse events acts on the disease and is weighed.
"""
