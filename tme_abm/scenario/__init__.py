"""Scenarios: one TOML file is one study that anyone can rerun; this room is their only reader.

A trial says who is treated (a population), how (arms), for how long, and which numbers of the model this study chooses otherwise. Other
kinds of scenario are experiments of `tme_abm.laboratory`. Each is checked whole before anything runs: a key that nobody knows, a wrong
unit or an arm that does not exist ends with one sentence that names the file, the line and the nearest right word.
"""
