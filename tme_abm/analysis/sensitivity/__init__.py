"""Sensitivity: which numbers of the model carry the conclusion of a trial."""
