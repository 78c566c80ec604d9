# Survival statistics of a run by R's package survival, from the CSV that `tme export --to csv` writes:
#     Rscript survival.R patients.csv ARM REFERENCE
# A line for each number, 15 digits; NA where there is none.
library(survival)
given <- commandArgs(trailingOnly = TRUE)
rows <- read.csv(given[1])
rows <- rows[rows$status == "completed" & rows$arm %in% given[2:3], ]
rows$months <- rows$pfs_days / 30.4375
rows$event <- rows$pfs_event %in% c("True", "TRUE", "true")
rows$treated <- as.numeric(rows$arm == given[2])
say <- function(name, value) cat(sprintf("%s %.15g\n", name, value))

for (arm in given[2:3]) {
  curve <- survfit(Surv(months, event) ~ 1, data = rows[rows$arm == arm, ], conf.type = "log-log")
  median <- quantile(curve, 0.5)
  say(paste0("median_", arm), median$quantile)
  say(paste0("low_", arm), median$lower)
  say(paste0("high_", arm), median$upper)
}
tell <- function(design, fit) {
  ends <- summary(fit)$conf.int
  say(paste0("hazard_ratio_", design), ends[1, "exp(coef)"])
  say(paste0("ci_low_", design), ends[1, "lower .95"])
  say(paste0("ci_high_", design), ends[1, "upper .95"])
}
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15)
alone <- coxph(Surv(months, event) ~ treated, data = rows, control = tight)
tell("parallel", alone)
pairs <- coxph(Surv(months, event) ~ treated, data = rows, cluster = patient, control = tight)
tell("paired", pairs)
say("p_value_parallel", pchisq(survdiff(Surv(months, event) ~ treated, data = rows)$chisq, 1, lower.tail = FALSE))
say("p_value_paired", summary(pairs)$coefficients["treated", "Pr(>|z|)"])
say("ph_test_p", cox.zph(alone, transform = "km")$table["treated", "p"])
