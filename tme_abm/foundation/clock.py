"""Time: the model runs in hours, the clinic in days, 28-day cycles and months."""

SECONDS_PER_HOUR = 3600.0
MINUTES_PER_HOUR = 60.0
HOURS_PER_DAY = 24.0
DAYS_PER_MONTH = 30.4375
DAYS_PER_YEAR = 365.25
HOURS_PER_MONTH = HOURS_PER_DAY * DAYS_PER_MONTH


def months(days: float) -> float:
    """Days as months of 30.4375 days."""
    return days / DAYS_PER_MONTH
