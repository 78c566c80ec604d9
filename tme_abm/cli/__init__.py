"""The command `tme`."""
