"""Sweeps: how the outcome of a trial depends on what is given, when, and on the numbers of the model."""
