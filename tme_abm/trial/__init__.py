"""Many patients: the study, its execution, survival statistics, figures and report."""
