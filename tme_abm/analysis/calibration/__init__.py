"""Calibration: the free numbers, fitted to control arms and single agents."""
