"""Designs of trials: the power of a trial of two arms from a bank of virtual patients, and its assurance.

Power is the chance that a trial is positive if the numbers of the model are as the best set of the posterior has them; assurance
(ohagan2005) is the mean over the posterior, which knows that they are not known, and that the patients of a bank are a sample
(rubin1981). Patients are drawn from the bank by their weights, each into one arm; they enter at a steady pace, leave by the ways out of
their population, and are compared by the log-rank test at one or several looks. The boundary of several looks spends the error in the
manner of O'Brien and Fleming (lan1983), at the shares of events expected.
"""
