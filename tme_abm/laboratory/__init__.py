"""Experiments outside of the clinic, run by the kernels and with the drugs of the trials."""
