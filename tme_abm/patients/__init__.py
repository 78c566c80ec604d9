"""Virtual patients: who they are, what disease and immune system they bring, and how a trial population varies.

A population is data (`populations/*.toml`): one distribution per quantity, and the effects of what was drawn before. Covariates act through
biology only (growth, resistance, renewal, exits of old age), never on a hazard ratio. `reading` makes a `Population` of such a file,
`population.draw_patient` a `VirtualPatient` of a population.
"""
