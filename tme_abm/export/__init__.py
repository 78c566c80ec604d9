"""Results in the formats that others read: CDISC ADaM, a long table of doses and measurements, CSV, RO-Crate and codemeta."""
