"""The live marrow in the browser: two arms side by side, lessons and trials. Start it with `tme view`."""
