"""What holds for all tests: figures need no screen, and hypothesis draws the same examples on every machine."""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")

settings.register_profile("tme_abm", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tme_abm")
