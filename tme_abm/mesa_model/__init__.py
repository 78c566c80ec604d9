"""One marrow as a Mesa model: agents, their sets and the grid are views on the arrays of the engine. The only room that imports Mesa.

    >>> from tme_abm import PlasmaCell, TumourModel
    >>> model = TumourModel(regimen="icaria/isa-pd", seed=1)
    >>> model.step()  # 6 hours
    >>> len(model.agents_by_type[PlasmaCell])  # doctest: +SKIP
    1082

The engine (`simulation`) keeps one column per quantity, and the row of a cell is the site that it stands on. Here a cell becomes an
object when somebody looks at it: a handle that knows the model and the cell's identity, and reads and writes the columns. So nothing
is paid while nobody looks, and a run through Mesa is the run without it.

What differs from other Mesa models: behaviour lives in compiled kernels, not in `agent.step()`, and the order of events is that of
`mechanisms.step`; births and deaths inside a step neither call `__init__` or `remove` nor emit signals; the attributes of an agent that
has died raise `RemovedAgentError`; `model.agents` and `model.agents_by_type[...]` are live and refuse operations in place (take a
`.copy()` first). `model.random` and `model.rng` serve Python code alone: the engine has its own, addressed randomness.

Coordinates are (x, y), column and row of the lattice, which is a torus: `site = y * width + x`.
"""
