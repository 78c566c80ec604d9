"""Interpreted twins: a kernel as plain Python that can be called, watched and stepped through, also where it is a part of others only.

All that a twin calls is a twin too, so nothing compiled stands between the one who watches and what is done.
"""

from collections.abc import Callable
from types import CellType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

from tme_abm.foundation.jit import COMPILED


class Twins:
    """The twins of one look at the model; what has been made is not made again."""

    def __init__(self) -> None:
        """None made yet."""
        self._scopes: dict[int, dict[str, Any]] = {}
        self._functions: dict[int, Callable[..., Any]] = {}

    def of(self, kernel: Any) -> Callable[..., Any]:
        """The twin of a kernel or part, silent where whole numbers wrap round as they do in compiled code."""
        run = self._function(kernel.py_func) if COMPILED else kernel

        def interpreted(*args: Any) -> Any:
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                return run(*args)

        return interpreted

    def _function(self, function: Any) -> Callable[..., Any]:
        if id(function) not in self._functions:
            cells = tuple(CellType(self._value(cell.cell_contents)) for cell in function.__closure__ or ())
            twin = FunctionType(function.__code__, self._scope(function.__globals__), function.__name__, function.__defaults__, cells)
            self._functions[id(function)] = twin
        return self._functions[id(function)]

    def _scope(self, names: dict[str, Any]) -> dict[str, Any]:
        if id(names) not in self._scopes:
            scope = self._scopes[id(names)] = dict(names)
            scope.update({name: self._value(value) for name, value in names.items()})
        return self._scopes[id(names)]

    def _value(self, value: Any) -> Any:
        if isinstance(value, Dispatcher):
            return self._function(value.py_func)
        if isinstance(value, ModuleType) and any(isinstance(v, Dispatcher) for v in vars(value).values()):
            return SimpleNamespace(**self._scope(vars(value)))
        return value
