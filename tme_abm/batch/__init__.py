"""Long work that nothing can lose: who carries it out, how it is stopped, and where it is kept. Knows no biology.

A piece of work (a patient, a well, a run) counts once it stands in the journal; a folder of results changes all at once, at the end.
"""
