"""What an analysis of sensitivity judges a sample of numbers by."""

OUTCOMES = {
    "burden_gain_log10": "gain in tumour burden at visit 2 [powers of ten]",
    "log_mean_pfs_ratio": "log ratio of mean PFS",
    "log_hazard_ratio": "log hazard ratio of PFS",
}
