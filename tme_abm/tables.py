"""Tables as files: every column carries its unit, its meaning and its allowed values into Parquet and out of it again.

A table that grows with visits, days or cells is a data set: a folder of that name with files `part-00000.parquet` and so on, which
pandas, pyarrow, polars, DuckDB and R read as one table. It is written piece by piece and read likewise (`Stored`), so that a run of any
size takes no more memory than a small one. All parts have the types of the headings, whatever stands in them.

They are not split by arm (`arm=pd/...`): a part alone would no longer say whose rows it holds, pandas would make of the arm a category,
DuckDB and polars would need to be told, and a patient's arms, which are compared with each other, would stand in different files. To
choose one arm then is to read the other too: a fraction of a second for a thousand patients.

pyarrow and pandas get paths from the root on: a `~` at the head of a path they take for the home folder, where nobody else does.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tme_abm.batch.files import scratch_of
from tme_abm.foundation.columns import Heading, find
from tme_abm.foundation.errors import InputError, first_line

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PART_ROWS = 250_000  # after which another part begins


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


def make_schema(headings: Iterable[Heading], is_narrow: bool = False) -> "pa.Schema":
    """The columns of a table before any row of it is known.

    Args:
        headings: Of the columns, without blanks.
        is_narrow: Whether numbers have 32 bits, as the columns of the cells do.
    """
    import pyarrow as pa

    number, whole = (pa.float32(), pa.int32()) if is_narrow else (pa.float64(), pa.int64())
    kinds = {"number": number, "whole number": whole, "truth": pa.bool_(), "word": pa.string()}
    return pa.schema([pa.field(heading.name, kinds[heading.kind], metadata=heading.notes) for heading in headings])


def as_table(rows: Sequence[Mapping[str, Any]], schema: "pa.Schema") -> "pa.Table":
    """Rows as a table; what a row lacks is missing, and a column that nobody has declared comes last."""
    import pyarrow as pa

    columns = [pa.array([row.get(field.name) for row in rows], field.type, from_pandas=True) for field in schema]
    declared = set(schema.names)
    for name in dict.fromkeys(name for row in rows for name in row if name not in declared):
        columns.append(_as_it_comes([row.get(name) for row in rows]))
        schema = schema.append(pa.field(name, columns[-1].type))
    return pa.Table.from_arrays(columns, schema=schema)


def _as_it_comes(values: Sequence[Any]) -> "pa.Array":
    """A column that nobody has declared; words where it is of several kinds."""
    import pyarrow as pa

    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])


def widened(schema: "pa.Schema", other: "pa.Schema", declared: "pa.Schema") -> "pa.Schema":
    """The columns of two pieces of a table: those declared as they are, any other wide enough for both; words where nothing else is.

    Args:
        schema: Of what was written so far, declared columns first.
        other: Of the next piece.
        declared: Columns whose type is known.
    """
    import pyarrow as pa

    known = set(declared.names)
    for field in other:
        place = schema.get_field_index(field.name)
        if place < 0:
            schema = schema.append(field)
        elif field.name not in known and field.type != schema.field(place).type:
            try:
                both = pa.unify_schemas([pa.schema([schema.field(place)]), pa.schema([field])], promote_options="permissive").field(0)
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                both = pa.field(field.name, pa.string())
            schema = schema.set(place, both)
    return schema


def fitted(table: "pa.Table", schema: "pa.Schema") -> "pa.Table":
    """A piece of a table with all columns, in their order; those that it lacks are missing."""
    import pyarrow as pa

    for field in schema:
        if field.name not in table.schema.names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(schema.names).cast(schema)


def joined(pieces: "Sequence[pa.Table]", declared: "pa.Schema") -> "pa.Table":
    """Pieces of a table, one below the other, with all columns that any of them has."""
    import pyarrow as pa

    schema = declared
    for piece in pieces:
        schema = widened(schema, piece.schema, declared)
    return pa.concat_tables([fitted(piece, schema) for piece in pieces]) if pieces else schema.empty_table()


class DataSet:
    """A table that is written piece by piece into a folder of parts; use it in a `with` statement."""

    def __init__(self, folder: Path, schema: "pa.Schema", part_rows: int = PART_ROWS) -> None:
        """Begin a data set.

        Args:
            folder: Of the parts; made here.
            schema: Of the columns that are declared. One that is not is kept all the same: in the end every part has it.
            part_rows: Rows after which another part begins.
        """
        self.folder, self.schema, self.part_rows = folder, schema, part_rows
        self._declared = schema
        self._n_parts = 0
        self._n_narrow = 0  # parts, from the first on, that lack what later ones have
        self._n_rows = 0  # of the part at hand
        self._writer: Any = None
        folder.mkdir(parents=True)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write some rows, which are read back together (`Stored.pieces`)."""
        self.add_table(as_table(rows, self._declared))

    def add_table(self, table: "pa.Table") -> None:
        """Write some rows that are a table already."""
        wider = widened(self.schema, table.schema, self._declared)
        if wider != self.schema:  # a column that no heading declares, or one of those that needs more room
            self._end_part()
            self.schema, self._n_narrow = wider, self._n_parts
        if table.num_rows:
            self._open().write_table(fitted(table, self.schema), table.num_rows)
            self._n_rows += table.num_rows
        if self._n_rows >= self.part_rows:
            self._end_part()

    def _open(self) -> Any:
        import pyarrow.parquet as pq

        if self._writer is None:
            path = self.folder / f"part-{self._n_parts:05d}.parquet"
            self._writer = pq.ParquetWriter(path, self.schema, compression="zstd")
            self._n_parts += 1
        return self._writer

    def _end_part(self) -> None:
        writer, self._writer, self._n_rows = self._writer, None, 0
        if writer is not None:
            writer.close()

    def _widen(self) -> None:
        """Give the parts that lack columns of later ones what they lack: of some readers, the first part tells all columns."""
        import pyarrow.parquet as pq

        for path in parts(self.folder)[: self._n_narrow]:
            scratch = scratch_of(path)
            with pq.ParquetFile(path) as file, pq.ParquetWriter(scratch, self.schema, compression="zstd") as writer:
                for i in range(file.num_row_groups):
                    piece = file.read_row_group(i)
                    writer.write_table(fitted(piece, self.schema), piece.num_rows)
            os.replace(scratch, path)

    def __enter__(self) -> "DataSet":
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End; a table without rows has a part too, which tells its columns."""
        if not self._n_parts:
            self._open()
        self._end_part()
        if kind is None:
            self._widen()


class Stored:
    """A table on disk, a file or a data set, of which a reader takes some columns of one piece at a time.

    Attributes:
        path: The file or the folder.
        columns: Names of the columns.
    """

    def __init__(self, path: Path) -> None:
        """Look at a table.

        Raises:
            InputError: Where there is none, or it cannot be read.
        """
        import pyarrow.parquet as pq

        self.path = path
        self._parts = parts(path)
        with _told(path):
            self.columns: list[str] = list(pq.read_schema(self._parts[0].absolute()).names)
            self._n_rows = sum(pq.read_metadata(part.absolute()).num_rows for part in self._parts)

    def __len__(self) -> int:
        """Number of rows."""
        return self._n_rows

    def pieces(self, columns: Sequence[str] | None = None) -> "Iterator[pd.DataFrame]":
        """The table in pieces, of which each holds whole patients; a single file is one."""
        import pyarrow.parquet as pq

        wanted = None if columns is None else list(columns)
        for path in self._parts:
            with _told(path), pq.ParquetFile(path.absolute()) as file:
                if self.path.is_dir() and file.num_row_groups:
                    for i in range(file.num_row_groups):
                        yield file.read_row_group(i, wanted).to_pandas()
                else:
                    yield file.read(wanted).to_pandas()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Within, a file that cannot be read is told as bad input."""
    import pyarrow as pa

    try:
        yield
    except MemoryError:  # of which pyarrow's own is a kind of both
        raise
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a Parquet table ({first_line(error)})") from None


def parts(path: Path) -> list[Path]:
    """The files of a table: itself, or those of a data set.

    Raises:
        InputError: Where there is no such table.
    """
    found = sorted(path.glob("*.parquet")) if path.is_dir() else [path] if path.exists() else []
    if not found:
        raise InputError(f"{path}: there is no such table; is '{path.parent}' a results folder?")
    return found


def piecewise(table: "pd.DataFrame | Stored", columns: Sequence[str], reduce: "Callable[[pd.DataFrame], pd.DataFrame]") -> "pd.DataFrame":
    """What a function makes of some columns of a table, piece by piece, one below the other.

    Args:
        table: In memory, or on disk, where only a piece of it is read at a time.
        columns: Which the function needs.
        reduce: Called with whole patients.
    """
    import pandas as pd

    if not isinstance(table, Stored):
        return reduce(table[list(columns)])
    return pd.concat([reduce(piece) for piece in table.pieces(columns)], ignore_index=True)


def read(path: Path) -> "pd.DataFrame":
    """A table, a file or a data set, with the notes of its columns in `attrs`: `units`, `meanings` and `allowed`, each by column.

    Args:
        path: Of the file, or of the folder of its parts.

    Raises:
        InputError: Where there is no such table, or it is damaged.
    """
    notes = read_notes(path).attrs
    table = read_bare(path)
    table.attrs |= notes
    return table


def read_bare(path: Path) -> "pd.DataFrame":
    """A table without notes, for those who reckon with it: pandas copies them at each step, which takes longer than many of the steps.

    Raises:
        InputError: As `read`.
    """
    import pandas as pd

    parts(path)
    with _told(path):
        return pd.read_parquet(path.absolute())


def read_checked(path: Path, headings: Iterable[Heading], filters: Any = None) -> "pd.DataFrame":
    """A table whose columns are known, so that what a damaged one says is told here and not by whoever stumbles over it.

    Args:
        path: Of the file, or of the folder of its parts.
        headings: Columns that it must have, with what may stand there.
        filters: Rows that are read, as pyarrow takes them; all where it is left out.

    Raises:
        InputError: Where there is no such table, it cannot be read, or a column is missing or holds what it cannot hold.
    """
    import pyarrow.parquet as pq

    parts(path)
    with _told(path):
        table = pq.read_table(path.absolute(), filters=filters)
    for heading in headings:
        if wrong := _wrong_with(table, heading):
            raise InputError(f"{path}: {wrong}; it is damaged, or another version of tme has written it")
    with _told(path):
        return table.to_pandas()


def _wrong_with(table: "pa.Table", heading: Heading) -> str:
    """What is wrong with a column of a table; empty where nothing is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    name = heading.name
    if table.column_names.count(name) != 1:
        return f"there is no column '{name}'"
    column = table.column(name)
    kind, is_number = column.type, pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    is_word = pa.types.is_string(kind) or pa.types.is_large_string(kind)  # which pandas 3 writes
    fits = {"number": is_number, "whole number": is_number, "truth": pa.types.is_boolean(kind), "word": is_word}
    if not fits[heading.kind] and not (pa.types.is_null(kind) or column.null_count == len(column)):
        return f"the column '{name}' holds no {heading.kind}s"
    if not heading.missing and pc.sum(pc.is_null(column, nan_is_null=pa.types.is_floating(kind))).as_py():
        return f"the column '{name}' lacks values"
    if is_number and len(column):
        least, most = (pc.min_max(column)[end].as_py() for end in ("min", "max"))
        if least is not None and (least < heading.low or most > heading.high):
            return f"the column '{name}' holds {least if least < heading.low else most:g}, which is not {heading.allowed}"
    if heading.words and fits["word"]:
        unknown = [value for value in pc.unique(column).to_pylist() if value is not None and value not in heading.words]
        if unknown:
            return f"the column '{name}' holds '{unknown[0]}', which is not {heading.allowed}"
    return ""


def read_notes(path: Path) -> "pd.DataFrame":
    """The columns of a table without its rows, with the notes of its columns in `attrs`.

    Raises:
        InputError: Where there is no such table.
    """
    import pyarrow.parquet as pq

    first = parts(Path(path))[0]
    with _told(path):
        schema = pq.read_schema(first.absolute())
    table = schema.empty_table().to_pandas()
    fields = {field.name: field.metadata or {} for field in schema}
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
        "Every column of the tables of `tme run`, of trials and of the laboratory, of `tme attribute`, `tme sweep` and `tme sensitivity`,",
        "and of `tme export`. The same notes stand in the files themselves: in the metadata of each Parquet field (`unit`, `meaning`,",
        "`allowed`) and, read with `tme_abm.read_table`, in `attrs` of the DataFrame. As a unit, `1` is a ratio, and `-` stands for words,",
        "truths and numbers that only name something.",
        "",
        "This page is made from the code by `tme describe --columns --to docs/columns.md`.",
    ]
    for title, (rows, headings) in sections.items():
        lines += ["", f"## {title}", "", rows, "", "| column | unit | meaning | allowed |", "| --- | --- | --- | --- |"]
        lines += [f"| `{h.name}` | {cell(h.unit)} | {cell(h.meaning)} | {cell(h.allowed)} |" for h in headings]
    return "\n".join(lines) + "\n"
