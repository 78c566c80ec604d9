"""Outcomes: tables and numbers in, clinical endpoints out. This wing never imports the model."""
