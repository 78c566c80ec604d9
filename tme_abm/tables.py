"""Tables as files: every column carries its unit, its meaning and its allowed values into Parquet and out of it again."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tme_abm.foundation.columns import Heading, find
from tme_abm.foundation.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def write(table: "pd.DataFrame", path: Path, headings: Iterable[Heading]) -> None:
    """Write a table as Parquet whose fields carry the notes of their headings (`pyarrow.parquet.read_schema(path).field(name).metadata`).

    A column that no heading declares is written all the same, without notes: a run is not lost for a missing word.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    declared = tuple(headings)
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    fields = []
    for field in arrow.schema:
        heading = find(field.name, declared)
        fields.append(field if heading is None else field.with_metadata(heading.notes))
    pq.write_table(arrow.cast(pa.schema(fields, arrow.schema.metadata)), path)


def read(path: Path) -> "pd.DataFrame":
    """A table with the notes of its columns in `attrs`: `units`, `meanings` and `allowed`, each by column.

    Raises:
        InputError: Where there is no such file, or it is damaged.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    if not Path(path).exists():
        raise InputError(f"{path}: there is no such table")
    try:
        table = pd.read_parquet(path)
        fields = {field.name: field.metadata or {} for field in pq.read_schema(path)}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a Parquet table ({str(error).splitlines()[0]})") from None
    for key, kept in (("units", b"unit"), ("meanings", b"meaning"), ("allowed", b"allowed")):
        table.attrs[key] = {name: notes[kept].decode() for name, notes in fields.items() if kept in notes}
    return table


def annotate(table: "pd.DataFrame", headings: Iterable[Heading]) -> "pd.DataFrame":
    """The same table with the notes of its columns in `attrs`, as `read` gives them."""
    declared = tuple(headings)
    known = {str(name): heading for name in table.columns if (heading := find(str(name), declared)) is not None}
    table.attrs["units"] = {name: heading.unit for name, heading in known.items()}
    table.attrs["meanings"] = {name: heading.meaning for name, heading in known.items()}
    table.attrs["allowed"] = {name: heading.allowed for name, heading in known.items()}
    return table


def page(sections: Mapping[str, tuple[str, Iterable[Heading]]]) -> str:
    """The column dictionary as a page of Markdown.

    Args:
        sections: Title of a table -> a sentence on its rows, and its headings.
    """

    def cell(text: str) -> str:
        return text.replace("|", r"\|").replace("<", "&lt;")

    lines = [
        "# Columns",
        "",
        "Every column of the tables of `tme run`, of trials and of the laboratory, and of `tme export`. The same notes stand in the files",
        "themselves: in the metadata of each Parquet field (`unit`, `meaning`, `allowed`) and, read with `tme_abm.read_table`, in `attrs`",
        "of the DataFrame. As a unit, `1` is a ratio, and `-` stands for words, truths and numbers that only name something.",
        "",
        "This page is made from the code by `tme describe --columns --to docs/columns.md`.",
    ]
    for title, (rows, headings) in sections.items():
        lines += ["", f"## {title}", "", rows, "", "| column | unit | meaning | allowed |", "| --- | --- | --- | --- |"]
        lines += [f"| `{h.name}` | {cell(h.unit)} | {cell(h.meaning)} | {cell(h.allowed)} |" for h in headings]
    return "\n".join(lines) + "\n"
