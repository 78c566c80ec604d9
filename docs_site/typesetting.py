"""Equations of the mechanisms as MathML, which browsers draw by themselves, without a script and without network."""

import re
from functools import cache
from typing import Any

import sympy
from latex2mathml.converter import convert

from tme_abm.mechanisms.equations import SYMBOLS, Equation


def _shape(latex: str, n: int) -> Any:
    """A function of `n` arguments that is printed as `latex`, the arguments in its places {0}, {1} ..."""

    class Shape(sympy.Function):
        nargs = n

        def _latex(self, printer: Any, exp: str | None = None) -> str:
            text = latex.format(*(printer._print(argument) for argument in self.args))
            return text if exp is None else rf"\left({text}\right)^{{{exp}}}"

    return Shape


SHAPES = {
    "hill": _shape(r"\frac{{{0}^{{{2}}}}}{{{0}^{{{2}}} + {1}^{{{2}}}}}", 3),
    "saturation": _shape(r"\frac{{{0}}}{{{0} + {1}}}", 2),
    "eased": _shape(r"\left(1 + ({1} - 1) \, {0}\right)", 2),
    "shielded": _shape(r"\left(1 - {0} \left(1 - \frac{{1}}{{{1}}}\right)\right)", 2),
    "laplacian": _shape(r"\nabla^2 {0}", 1),
    "min": _shape(r"\min\left({0}, {1}\right)", 2),
    "exp": _shape(r"e^{{{0}}}", 1),
}
NAME = re.compile(r"[a-z]\w*")


def names(expression: str) -> list[str]:
    """The parameters, constants and variables of the right side of an equation, in the order in which they come."""
    return [name for name in dict.fromkeys(NAME.findall(expression)) if name not in SHAPES]


@cache
def symbol(name: str) -> str:
    """LaTeX of a name; in words where it has no symbol."""
    words = name.replace("_", " ")
    return SYMBOLS.get(name, rf"\text{{{words}}}")


def latex(equation: Equation) -> str:
    """An equation in LaTeX; factors and terms stay in their order."""
    found = names(equation.equals)
    # two names may share a symbol, so each is a symbol of sympy by its own name and gets its LaTeX when it is printed
    scope: dict[str, Any] = {**SHAPES, **{name: sympy.Symbol(name) for name in found}}
    right = sympy.parse_expr(equation.equals, scope, evaluate=False)
    text = sympy.latex(right, order="none", symbol_names={sympy.Symbol(name): symbol(name) for name in found})
    words = equation.of if equation.of == "0" else rf"\text{{{equation.of}}}"
    left = rf"\frac{{d}}{{dt}} \; {words}" if equation.is_rate else words
    return f"{left} = {text}"


def mathml(text: str, is_block: bool = True) -> str:
    """LaTeX as MathML."""
    return str(convert(text, display="block" if is_block else "inline"))
