"""Questions over many trials: attribution, convergence, calibration, prediction."""
