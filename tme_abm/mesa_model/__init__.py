"""One marrow as a Mesa model: the only room that imports Mesa."""
