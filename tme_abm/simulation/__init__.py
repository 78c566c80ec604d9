"""One patient's marrow: made, grown until the disease is eligible, forked into arms, advanced, observed."""
