"""Who depends on whom: the graph of the mechanisms and of the quantities that go from one to the other, as lines and as a picture.

It is drawn from what mechanisms declare, so it says nothing that the checks of mechanisms/declared.py do not hold. From left to right
everything stands after what it needs; a quantity that is needed far away runs as one line past what lies between and branches off there.
A mechanism that prepares and acts on cells at risk later is drawn twice.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import NamedTuple

from tme_abm.foundation.errors import InputError
from tme_abm.foundation.mechanism import Group, Mechanism
from tme_abm.marrow.quantities import MADE_OF, WHOLE, quantities
from tme_abm.mechanisms.declared import edges

COLUMN, GAP, MARGIN = 168.0, 12.0, 28.0  # px: from column to column, between what stands in one, round the picture
BOX, PILL, LINE = (132.0, 40.0), (124.0, 22.0), (0.0, 5.0)  # px: width and height of a mechanism, a quantity, a line that runs past
HEAD = 64.0  # px above the graph, for its title and legend
COLOURS = {Group.ANTIBODY: "#0072B2", Group.DRUG: "#D55E00", Group.IMMUNE: "#009E73", Group.NICHE: "#7A5195"}
SWEEPS = 60  # back and forth, to put everything near to what it is tied to
AT_RISK = "cells at risk"
FONT = 'font-family="Helvetica, Arial, sans-serif"'


def as_lines(mechanisms: Sequence[Mechanism], chosen: Collection[str]) -> list[str]:
    """A line for each of the `chosen` that needs what others make in the same step, and from whom."""
    recalled = {m.name: set(m.recalls) for m in mechanisms}
    needs: dict[str, dict[str, list[str]]] = {}
    for edge in edges(mechanisms):
        makers = needs.setdefault(edge.reader, {})
        makers.setdefault(edge.maker, []).append(edge.name + (" of the step before" if edge.name in recalled[edge.reader] else ""))
    return [
        f"{m.name} needs " + "; ".join(f"{', '.join(names)} from {maker}" for maker, names in needs[m.name].items())
        for m in mechanisms
        if m.name in needs and m.name in chosen
    ]


class Act(NamedTuple):
    """A mechanism at one of its moments in a step."""

    mechanism: Mechanism
    when: str

    @property
    def key(self) -> str:
        """What tells it apart."""
        return f"{self.mechanism.name} {self.when}"


def acts(m: Mechanism) -> list[Act]:
    """When a mechanism acts: while it prepares, on cells at risk, or both."""
    return [*([Act(m, m.phase.name.lower())] if m.phase is not None else []), *([Act(m, AT_RISK)] if m.hazard is not None else [])]


def act_of(m: Mechanism, name: str) -> Act:
    """The act of a mechanism that touches a quantity first."""
    found = acts(m)
    return found[-1] if name.startswith(("at_risk.", "hazard.")) else found[0]


@dataclass(eq=False)
class Node:
    """Something that stands in a column of the picture: a mechanism, a quantity, or a line that runs past."""

    key: str
    act: Act | None = None
    layer: int = 0
    y: float = 0.0
    before: list["Node"] = field(default_factory=list, repr=False)
    after: list["Node"] = field(default_factory=list, repr=False)
    runs_past: bool = False

    @property
    def size(self) -> tuple[float, float]:
        """Width and height [px]."""
        return BOX if self.act is not None else LINE if self.runs_past else PILL

    @property
    def x(self) -> float:
        """Where its middle stands [px]."""
        return MARGIN + BOX[0] / 2 + COLUMN * self.layer


def tie(maker: Node, reader: Node) -> None:
    """A line from what makes to what needs."""
    maker.after.append(reader)
    reader.before.append(maker)


def build(mechanisms: Sequence[Mechanism]) -> tuple[list[Node], list[tuple[Node, Node]]]:
    """Mechanisms and the quantities that go between them, in columns.

    Returns:
        The nodes, and pairs (quantity, mechanism that recalls it from the step before).
    """
    nodes = {act.key: Node(act.key, act) for m in mechanisms for act in acts(m)}
    recalls: list[tuple[Node, Node]] = []
    for reader in mechanisms:
        for name in reader.reads:
            makers = [(m, q) for q in MADE_OF.get(name, (name,)) for m in mechanisms if q in m.writes]
            if name == WHOLE or all(m is reader for m, _ in makers):
                continue
            if name in reader.writes:  # what one makes and another changes goes straight from the one to the other
                for m, q in makers:
                    if m is not reader:
                        tie(nodes[act_of(m, q).key], nodes[act_of(reader, name).key])
                continue
            if name not in nodes:
                nodes[name] = Node(name)
                for key in dict.fromkeys(act_of(m, q).key for m, q in makers):
                    tie(nodes[key], nodes[name])
            needing = nodes[act_of(reader, name).key]
            if name in reader.recalls:
                recalls.append((nodes[name], needing))
            else:
                tie(nodes[name], needing)
    found = list(nodes.values())
    for _ in found:  # after what it needs
        for node in found:
            node.layer = max((n.layer + 1 for n in node.before), default=0)
    last = max(node.layer for node in found)
    for node in found:  # what needs nothing stands near to what needs it; what stands alone at the end
        if not node.before:
            node.layer = min((n.layer - 1 for n in node.after), default=last)
    return run_past(found), recalls


def run_past(nodes: list[Node]) -> list[Node]:
    """The nodes with a line through each column that a tie leaves out; the ties of one node share it."""
    found = list(nodes)
    for node in nodes:
        far = [n for n in node.after if n.layer > node.layer + 1]
        if not far:
            continue
        chain = {node.layer: node}
        for layer in range(node.layer + 1, max(n.layer for n in far)):
            chain[layer] = Node(node.key, layer=layer, runs_past=True)
            tie(chain[layer - 1], chain[layer])
            found.append(chain[layer])
        for n in far:
            node.after.remove(n)
            n.before.remove(node)
            tie(chain[n.layer - 1], n)
    return found


def lay_out(nodes: list[Node]) -> float:
    """Put the nodes of each column one below the other, near to what they are tied to; the height that they take [px]."""
    columns: dict[int, list[Node]] = {}
    for node in nodes:
        columns.setdefault(node.layer, []).append(node)
    for column in columns.values():
        for i, node in enumerate(column):
            node.y = 40.0 * (i - len(column) / 2)
    order = sorted(columns)
    for sweep in range(SWEEPS):
        is_back = bool(sweep % 2)
        for layer in reversed(order) if is_back else order:
            column = columns[layer]
            wanted: dict[int, float] = {}
            for node in sorted(column, key=lambda n: not n.before and not n.after):  # who is tied to nobody stands below
                near = (node.after if is_back else node.before) or node.before or node.after
                wanted[id(node)] = sum(n.y for n in near) / len(near) if near else max(wanted.values(), default=0.0) + 1.0
            column.sort(key=lambda n: wanted[id(n)])
            spread(column, [wanted[id(n)] for n in column])
    top = min(n.y - n.size[1] / 2 for n in nodes)
    for node in nodes:
        node.y += HEAD + MARGIN - top
    return max(n.y + n.size[1] / 2 for n in nodes) + MARGIN


def spread(column: list[Node], wanted: list[float]) -> None:
    """Give each node of a column its place, as near to what is wanted as the others leave it: blocks that touch move as one."""
    blocks: list[tuple[float, float, list[Node]]] = []  # where its first stands, sum of what its nodes want of that, the nodes
    for node, y in zip(column, wanted, strict=True):
        block = (y, y, [node])
        while blocks:
            above = blocks[-1]
            length = sum(apart(a, b) for a, b in zip(above[2], [*above[2][1:], block[2][0]], strict=True))
            if block[0] >= above[0] + length:
                break
            blocks.pop()
            members = above[2] + block[2]
            total = above[1] + block[1] - length * len(block[2])
            block = (total / len(members), total, members)
        blocks.append(block)
    for first, _, members in blocks:
        y = first
        for a, b in zip(members, [*members[1:], None], strict=True):
            a.y = y
            y += apart(a, b) if b is not None else 0.0


def apart(a: Node, b: Node) -> float:
    """How far the middles of two neighbours of a column are to stand apart [px]."""
    return (a.size[1] + b.size[1]) / 2 + GAP


def as_svg(mechanisms: Sequence[Mechanism]) -> str:
    """The graph as a picture."""
    nodes, recalls = build(mechanisms)
    height = lay_out(nodes)
    width = max(n.x for n in nodes) + BOX[0] / 2 + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" {FONT}>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
        f'<text x="{MARGIN}" y="{MARGIN + 4}" font-size="18" font-weight="bold">Who depends on whom within a step</text>',
    ]
    x = MARGIN
    for group, colour in COLOURS.items():
        label = group.label("en")
        parts.append(f'<rect x="{x}" y="{MARGIN + 16}" width="14" height="14" rx="3" fill="{colour}"/>')
        parts.append(f'<text x="{x + 20}" y="{MARGIN + 28}" font-size="13">{escape(label)}</text>')
        x += 52 + 7.2 * len(label)
    said = "small words: when it acts; grey: a quantity on its way to those who need it; dashed: as the step before left it"
    parts.append(f'<text x="{x}" y="{MARGIN + 28}" font-size="13" fill="#555">{said}</text>')
    made_by = {act.key: m for m in mechanisms for act in acts(m)}
    for node in nodes:
        colour = COLOURS[made_by[node.key].group] if node.key in made_by else "#9a9a9a"
        for n in node.after:
            parts.append(tie_line(node, n, colour))
        if node.runs_past:
            parts.append(f'<path d="M{node.x - BOX[0] / 2} {node.y:.1f}H{node.x + BOX[0] / 2}" stroke="{colour}" {STROKE}/>')
    for quantity, reader in recalls:
        (x0, y0), (x1, y1) = (quantity.x, quantity.y + PILL[1] / 2), (reader.x, reader.y + BOX[1] / 2)
        low = max(y0, y1) + 110
        d = f"M{x0:.1f} {y0:.1f}C{x0:.1f} {low:.1f} {x1:.1f} {low:.1f} {x1:.1f} {y1:.1f}"
        parts.append(f'<path d="{d}" stroke="#9a9a9a" stroke-dasharray="6 4" {STROKE}/>')
    parts += [drawn(node) for node in nodes if not node.runs_past]
    return "\n".join([*parts, "</svg>", ""])


STROKE = 'stroke-width="1.6" stroke-opacity="0.75" fill="none"'


def tie_line(a: Node, b: Node, colour: str) -> str:
    """A line from the right edge of one to the left edge of the other."""
    x0 = a.x + (BOX[0] if a.runs_past else a.size[0]) / 2
    x1 = b.x - (BOX[0] if b.runs_past else b.size[0]) / 2
    middle = (x0 + x1) / 2
    return f'<path d="M{x0:.1f} {a.y:.1f}C{middle:.1f} {a.y:.1f} {middle:.1f} {b.y:.1f} {x1:.1f} {b.y:.1f}" stroke="{colour}" {STROKE}/>'


def drawn(node: Node) -> str:
    """A mechanism as a box, a quantity as its name; what they mean stands in their titles."""
    (w, h), x, y = node.size, node.x, node.y
    if node.act is None:
        q = quantities().get(node.key)
        title = f"{node.key} [{q.unit}]: {q.meaning}" if q is not None else node.key
        return (
            f'<g><title>{escape(title)}</title><rect x="{x - w / 2}" y="{y - h / 2:.1f}" width="{w}" height="{h}" rx="11" fill="#f1f1f1"/>'
            f'<text x="{x}" y="{y + 4:.1f}" font-size="11" text-anchor="middle" fill="#333">{escape(short(node.key))}</text></g>'
        )
    m, when = node.act
    text = f'<text x="{x}" text-anchor="middle" fill="white"'
    return (
        f'<g><title>{escape(m.summary)}</title><rect x="{x - w / 2}" y="{y - h / 2:.1f}" width="{w}" height="{h}" rx="6" '
        f'fill="{COLOURS[m.group]}"/>{text} y="{y - 2:.1f}" font-size="12.5" font-weight="bold">{escape(m.name)}</text>'
        f'{text} y="{y + 13:.1f}" font-size="10.5">{when}</text></g>'
    )


def write_svg(mechanisms: Sequence[Mechanism], path: Path) -> None:
    """Write the picture into a file.

    Raises:
        InputError: Where it cannot be written, or is to be something else than SVG.
    """
    if path.suffix.lower() != ".svg":
        raise InputError(f"--graph {path}: the graph is drawn as SVG, so the file must end in .svg")
    try:
        path.write_text(as_svg(mechanisms), encoding="utf-8")
    except OSError as error:
        raise InputError(f"--graph {path}: {error.strerror or error}") from error


def short(name: str) -> str:
    """A quantity's name where there is little room."""
    bundle, _, member = name.partition(".")
    return member.replace("_", " ") if bundle == "gauge" else name if len(name) < 21 else member
