"""Trials: many patients under the arms of a study.

A `study` is what a run needs, resolved. `execution` grows each patient once and forks the arms; an `arm` follows one patient under one
regimen; at every `visit` the clinic measures and assesses. What comes of it are tables: a row for each patient and arm, and one for each
visit. Statistics read nothing else (`survival` of one group, `comparison` of two, `subgroups`, `published` beside simulated, `summary` of
all), figures read them too, and `report` puts both on one page.
"""
