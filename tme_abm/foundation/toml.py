"""TOML as text: on which line something stands, how its place is written, and a table written out again."""

import json
import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tme_abm.foundation.errors import InputError

MOST_BYTES = 2_000_000  # of a file: some 20,000 rows of published figures
DEEPEST = 50  # brackets within brackets, parts of a key
TEXTS = 32  # that are kept parsed
MARK_OR_TEXT = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[\[{\]}]', re.DOTALL)
PART = r"""(?:[A-Za-z0-9_-]++|"(?:\\.|[^"\\\n])*+"|'[^'\n]*+')"""
LONG_KEY_MARK_OR_TEXT = re.compile(
    rf"(?P<key>(?<![A-Za-z0-9_-]){PART}(?:[ \t]*+\.[ \t]*+{PART}){{{DEEPEST},}}+)|{MARK_OR_TEXT.pattern}", re.DOTALL
)
LONG_NUMBER = re.compile(r"[\d_]{4000,}")
Keys = tuple[str | int, ...]  # where something stands in a table: ("arms", "isa-pd", "doses", 0, "dose")


class Lines:
    """Line numbers of the keys and elements of a valid TOML text: `Lines(text).found[("arms", "isa-pd", "label")]`."""

    BARE = re.compile(r"[A-Za-z0-9_-]+")
    TEXT = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL)
    BLANK = re.compile(r"(?:[\s]|#[^\n]*)*")
    SCALAR = re.compile(r"[^,\]}#\n]*")

    def __init__(self, text: str) -> None:
        """Walk through the text once."""
        self.text = text
        self.at = 0
        self._ends = [found.start() for found in re.finditer("\n", text)]
        self.found: dict[Keys, int] = {}
        tables: dict[Keys, int] = {}  # arrays of tables -> number of tables so far
        base: Keys = ()
        while self._blank() < len(text):
            if text[self.at] != "[":
                self._pair(base)
                continue
            is_array = text.startswith("[[", self.at)
            line = self._line()
            self.at += 2 if is_array else 1
            keys = self._keys()
            self.at += 2 if is_array else 1
            base = ()
            for i, key in enumerate(keys):
                base = (*base, key)
                if is_array and i == len(keys) - 1:
                    tables[base] = tables.get(base, -1) + 1
                if base in tables:
                    self.found.setdefault(base, line)
                    base = (*base, tables[base])
                self.found.setdefault(base, line)

    def _line(self) -> int:
        return bisect_right(self._ends, self.at - 1) + 1

    def _blank(self) -> int:
        blank = self.BLANK.match(self.text, self.at)
        self.at = blank.end() if blank else self.at
        return self.at

    def _keys(self) -> list[str]:
        """A dotted key and the blanks around it."""
        keys = []
        while True:
            self._blank()
            quoted = self.text[self.at] in "\"'"
            part = (self.TEXT if quoted else self.BARE).match(self.text, self.at)
            assert part is not None, "the text has passed tomllib"
            keys.append(part[0][1:-1] if quoted else part[0])
            self.at = part.end()
            if self.text[self._blank()] != ".":
                return keys
            self.at += 1

    def _pair(self, base: Keys) -> None:
        line = self._line()
        keys = self._keys()
        self.at += 1  # the equals sign
        for i in range(len(keys)):
            self.found.setdefault((*base, *keys[: i + 1]), line)
        self._value((*base, *keys))

    def _value(self, path: Keys) -> None:
        start = self.text[self._blank()]
        if start not in "[{":
            value = (self.TEXT if start in "\"'" else self.SCALAR).match(self.text, self.at)
            assert value is not None, "the text has passed tomllib"
            self.at = value.end()
            return
        self.at += 1
        index = 0
        while self.text[self._blank()] not in "]}":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            if start == "{":
                self._pair(path)
                continue
            self.found[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
        self.at += 1


def read_text(path: Path, shown: str = "") -> str:
    """The text of a TOML file, with or without the mark that some editors put first.

    Args:
        path: The file.
        shown: How messages name it; as it is where left out.

    Raises:
        InputError: For a file that is no text in UTF-8, or too large to be meant.
    """
    shown = shown or str(path)
    if (size := path.stat().st_size) > MOST_BYTES:
        raise InputError(f"{shown}: {size / 1e6:.1f} MB are too much; a file has at most {MOST_BYTES / 1e6:g} MB")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{shown}: not a text in UTF-8") from None


def parse_toml(text: str, shown: str) -> dict[str, Any]:
    """The table of a TOML text. A sweep or an analysis reads the same few files hundreds of times: each is parsed once.

    Raises:
        InputError: Where it is none, with the line; where brackets stand deeper in one another than anybody means.
    """
    return deepcopy(_parsed(text, shown))


@lru_cache(TEXTS)
def _parsed(text: str, shown: str) -> dict[str, Any]:
    if deep := find_depth(text):
        raise InputError(f"{shown}, line {deep[0]}: {deep[1]}")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(_syntax(shown, text, str(error))) from None
    except ValueError:  # Python reads no whole number so long
        line = text.count("\n", 0, digits.start()) + 1 if (digits := LONG_NUMBER.search(text)) else 1
        raise InputError(f"{shown}, line {line}: a whole number of more than 4000 digits") from None


def find_depth(text: str) -> tuple[int, str] | None:
    """Line and words of what stands deeper in a TOML text than anybody means; None where nothing does."""
    depth = 0
    for found in LONG_KEY_MARK_OR_TEXT.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > DEEPEST or found["key"]:
            what = f"a key has more than {DEEPEST} parts" if found["key"] else f"brackets stand more than {DEEPEST} deep in one another"
            return text.count("\n", 0, found.start()) + 1, what
    return None


def _syntax(shown: str, content: str, error: str) -> str:
    """What tomllib says, with the place first."""
    what, at = error, re.search(r" \(at line (\d+), column \d+\)$", error)
    line = content.count("\n") + 1
    if at:
        what, line = error[: at.start()], int(at[1])
    elif error.endswith(" (at end of document)"):
        what = f"{error[: -len(' (at end of document)')]} at the end of the file"
    if twice := re.match(r"Cannot declare \((.*)\) twice", what):
        what = f"the table [{'.'.join(re.findall(r'[^, ]+', twice[1].replace(chr(39), '')))}] stands twice"
    return f"{shown}, line {line}: not valid TOML: {what[0].lower()}{what[1:]}"


@lru_cache(TEXTS)
def find_lines(text: str) -> Mapping[Keys, int]:
    """The lines of the keys and elements of a valid TOML text."""
    return MappingProxyType(Lines(text).found)


@contextmanager
def naming_lines(shown: str, path: Path, *below: Keys) -> Iterator[None]:
    """Say of an `InputError` about a file on which line stands what it is about, where its message names that.

    Args:
        shown: How the message names the file, at its head.
        path: The file.
        below: Tables in which the first name of the message may stand, beside the file's top.
    """
    try:
        yield
    except InputError as error:
        message = str(error)
        if not message.startswith(shown) or message.startswith(f"{shown}, line "):
            raise
        try:
            line = line_of(message.removeprefix(shown), find_lines(read_text(path, shown)), *below)
        except (InputError, AssertionError, IndexError, OSError):  # a file that is no TOML has been told so before
            line = 0
        raise InputError(f"{shown}, line {line}{message.removeprefix(shown)}" if line else message) from None


def line_of(words: str, lines: Mapping[Keys, int], *below: Keys) -> int:
    """The line of what some words are about: they name tables and keys from the outermost on; 0 for none.

    Args:
        words: Such as "[kinetics.variability].clearance: unknown unit" or "age: effects[1]: unknown key 'wen'".
        lines: Line of each key and element.
        below: Tables in which the first word may stand, beside the top.
    """
    told = words.partition("; ")[0]  # behind it stands what would be right
    found: list[tuple[int, int]] = []
    for start in ((), *below):
        path: Keys = start
        for index, quoted, word in re.findall(r"\[(\d{1,9})\]|'([^']*)'|([A-Za-z0-9_-]+)", told):
            further = (*path, int(index) if index else quoted or word)
            if further in lines:
                path = further
        if len(path) > len(start):
            found.append((len(path), lines[path]))
    return max(found, default=(0, 0), key=lambda pair: pair[0])[1]


def dotted(path: Keys) -> str:
    """A path as people write it: arms.isa-pd.doses[0].dose."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")


def parse_path(text: str) -> Keys:
    """The path of "arms.isa-pd.doses[0].dose".

    Raises:
        InputError: Where the text is none.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\[\d{1,9}\])*(\.[A-Za-z0-9_-]+(\[\d{1,9}\])*)*", text):
        raise InputError(f"cannot read '{text}' as a place in a scenario; write it like trial.design or arms.pd.doses[0].dose")
    found = re.findall(r"([A-Za-z0-9_-]+)|\[(\d+)\]", text)
    if len(found) > DEEPEST:
        raise InputError(f"'{text[:40]}...' has more than {DEEPEST} parts")
    return tuple(int(index) if index else key for key, index in found)


def to_toml(table: Mapping[str, Any]) -> str:
    """A table as a TOML text that reads back the same."""
    lines: list[str] = []
    _write_table(table, (), lines)
    return "\n".join(lines).strip("\n") + "\n"


def _write_table(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    """Plain values first, then tables; a table without plain values needs no head of its own."""
    deep = {key: value for key, value in table.items() if isinstance(value, Mapping) and not _is_inline(value, len(path))}
    plain = {key: value for key, value in table.items() if key not in deep}
    if path and (plain or not deep):
        lines += ["", f"[{'.'.join(_key(key) for key in path)}]"]
    for key, value in plain.items():
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            lines += [f"{_key(key)} = [", *(f"    {inline(item)}," for item in value), "]"]
        else:
            lines.append(f"{_key(key)} = {inline(value)}")
    for key, value in deep.items():
        _write_table(value, (*path, key), lines)


def _is_inline(table: Mapping[str, Any], depth: int) -> bool:
    return depth >= 2 and not any(isinstance(value, Mapping) for value in table.values())


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _quoted(key)


def inline(value: Any) -> str:
    """A value as it stands behind an equals sign."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {inline(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    return repr(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
