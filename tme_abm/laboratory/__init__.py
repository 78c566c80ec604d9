"""The laboratory: wells, time courses and other experiments on the same kernels and parameters as the trials."""
