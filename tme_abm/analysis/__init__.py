"""Questions over many trials.

`attribution` asks which mechanism an arm owes its benefit to, `convergence` whether step and patch move a result, `calibration` which
values of the free numbers fit what was published, `prediction` how far the model is from what it was not fitted to. The first two share a
`run_book` of patients under many conditions; `numbers` finds a number of the model by its path.
"""
