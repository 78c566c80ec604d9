"""What exists in the marrow: cells on a lattice, clones, fields, fate, the systemic burden and the serum M-protein."""
