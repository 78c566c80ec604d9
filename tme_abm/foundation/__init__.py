"""Ground floor: arrays, compilation, chance, units. It knows no biology."""
