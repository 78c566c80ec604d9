"""Attribution: which mechanism an arm owes its benefit to.

Three answers, from the same patients on the same dice:

- the ledger: what the plasma cells died of;
- the knock-out matrix: what is left of PFS, response and hazard ratio with a mechanism off from the start of treatment;
- the Shapley share of each mechanism in the gain of PFS over the reference arm.

A knock-out says what a mechanism adds to all the others; where two can stand in for each other, both look idle. The Shapley value
(Shapley 1953) is the mean of what a mechanism adds, over all orders in which the mechanisms could be added one by one; the shares of a
patient sum to her whole gain. The players are the mechanisms of the drugs in which the two arms differ. The gain of a coalition is

    v(S) = PFS of the arm - PFS of the reference, in both of which the players outside S are off,

PFS being the time to progression, death or the horizon: the mean over patients is the difference of restricted means, which adds up,
as medians do not. Events are few and visits far apart, so the same is asked of the tumour burden at the second visit, by how many
powers of ten it is lower; that takes far fewer patients, and every patient who lives then has it in every run.

A player that is not in the reference arm changes nothing there. So one rule holds for a drug that is added, a drug that is swapped, a
changed dose, and a bystander such as the T cell, in both arms, through which a drug works.
"""
