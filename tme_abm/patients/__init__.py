"""Virtual patients, and populations that they are drawn from."""
