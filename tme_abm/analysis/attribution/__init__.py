"""Attribution: the mechanisms that an arm owes its benefit to."""
