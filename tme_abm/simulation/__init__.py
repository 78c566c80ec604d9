"""One patient's marrow: made (`onset`), grown until the disease is eligible, forked into arms, advanced, read (`observation`).

This is the engine without a face: arrays and compiled steps. `mesa_model.TumourModel` shows it to Mesa, `trial` runs many of them.
"""
