"""Mechanisms that are not of the package: from a user's file, or from an installed package.

`loading` reads and checks them, `own` gives them causes of death, gauges and streams of chance of their own, `hooks` is where the
compiled step calls them, and `catalogue` is what a study knows: the mechanisms of the package and those that came along.
"""
