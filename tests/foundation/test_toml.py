"""TOML as text: lines, places, and tables written out again."""

import time
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tme_abm.foundation.errors import InputError
from tme_abm.foundation.toml import MOST_BYTES, Lines, dotted, parse_path, parse_toml, read_text, to_toml

TEXT = '''# a comment with [brackets] and = signs
title = "a # in words" # and one after
"odd key" = 1

[marrow]
shape = [
    64, # rows
    32,
]
note = """
[not.a.table]
x = 1
"""

[arms.isa-pd]
doses = [
    { drug = "isatuximab", days = [1, 8] },
    { drug = "dexamethasone", days = [
        1,
    ] },
]
parameters.motility.chemotaxis = { value = 0.5, unit = '1' }

[[published]]
value = 1.0
[[published]]
value = 2.0
[published.more]
deep = 3
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("odd key",), 3),
        (("marrow",), 5),
        (("marrow", "shape"), 6),
        (("marrow", "shape", 0), 7),
        (("marrow", "shape", 1), 8),
        (("marrow", "note"), 10),
        (("arms",), 15),
        (("arms", "isa-pd"), 15),
        (("arms", "isa-pd", "doses", 0, "drug"), 17),
        (("arms", "isa-pd", "doses", 0, "days", 1), 17),
        (("arms", "isa-pd", "doses", 1), 18),
        (("arms", "isa-pd", "doses", 1, "days", 0), 19),
        (("arms", "isa-pd", "parameters", "motility", "chemotaxis", "unit"), 22),
        (("published", 0, "value"), 25),
        (("published", 1), 26),
        (("published", 1, "value"), 27),
        (("published", 1, "more", "deep"), 29),
    ],
)
def test_each_key_stands_on_its_line(path, line):
    assert Lines(TEXT).found[path] == line


def test_a_table_in_a_text_is_no_table():
    assert "[not.a.table]" in tomllib.loads(TEXT)["marrow"]["note"]
    assert ("not", "a", "table") not in Lines(TEXT).found


@pytest.mark.parametrize("path", [("a",), ("arms", "isa-pd", "doses", 0, "dose"), ("marrow", "shape", 1), ("a", 0, 1, "b_c")])
def test_a_path_reads_back(path):
    assert parse_path(dotted(path)) == path


@pytest.mark.parametrize("text", ["", ".a", "a.", "a b", "a[x]", "a]", "[0]"])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(InputError, match="cannot read"):
        parse_path(text)


keys = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=8)
scalars = (
    st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=12)
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12)
tables = st.dictionaries(keys, values, max_size=5)


@given(tables)
def test_a_table_reads_back_the_same(table):
    assert tomllib.loads(to_toml(table)) == table


def paths(node, path=()):
    """Every path of a table that is not the table itself."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from paths(value, (*path, key))


plain_keys = st.text("abcdefgh-_0123456789", min_size=1, max_size=8)
plain_values = st.recursive(
    st.integers(0, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_keys, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(plain_keys, plain_values, max_size=5))
def test_every_path_of_a_table_has_a_line_that_names_it(table):
    text = to_toml(table)
    lines = text.split("\n")
    found = Lines(text).found
    for path in paths(table):
        if isinstance(path[-1], str):
            assert path[-1] in lines[found[path] - 1]
        else:
            assert 1 <= found[path] <= len(lines)


# ---- files of strangers ----------------------------------------------------------------------------------------------


def test_the_mark_of_some_editors_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "marked.toml"
    path.write_bytes(b'\xef\xbb\xbftitle = "x"\n')
    assert parse_toml(read_text(path), "marked.toml") == {"title": "x"}


@pytest.mark.parametrize("key", ["a." * 60 + "a = 1", "[" + "a ." * 60 + "b]", '"a".' * 60 + "'b' = 1"])
def test_keys_of_many_parts_are_refused(key):
    with pytest.raises(InputError, match=r"^deep\.toml, line 2: a key has more than 50 parts$"):
        parse_toml(f"x = 1\n{key}\n", "deep.toml")
    assert parse_toml(f'x = "{"a." * 60}"', "deep.toml")  # words are no key
    with pytest.raises(InputError, match="has more than 50 parts"):
        parse_path("a." * 60 + "a")


def test_numbers_beyond_all_measure_are_refused():
    with pytest.raises(InputError, match=r"^long\.toml, line 2: a whole number of more than 4000 digits$"):
        parse_toml(f"x = 1\ny = {'9' * 5000}\n", "long.toml")
    with pytest.raises(InputError, match="as a place in a scenario"):
        parse_path(f"arms.pd.doses[{'9' * 30}].dose")


def test_a_table_that_was_read_before_is_nobodys_to_change():
    first = parse_toml("[a]\nx = [1]\n", "a.toml")
    first["a"]["x"].append(2)
    assert parse_toml("[a]\nx = [1]\n", "a.toml") == {"a": {"x": [1]}}


@pytest.mark.parametrize("brackets", ["[" * 600 + "]" * 600, "{ a = " * 600 + "1" + " }" * 600, "[" * 600])
def test_brackets_without_end_are_refused_with_their_line(brackets):
    with pytest.raises(InputError, match=r"^deep\.toml, line 2: brackets stand more than 50 deep in one another$"):
        parse_toml(f"a = 1\nk = {brackets}\n", "deep.toml")


def test_brackets_in_texts_and_comments_are_none():
    text = "# " + "[" * 99 + '\na = "' + "[" * 99 + "\"\nb = '" + "{" * 99 + "'\nc = [[1], [2]]\n"
    assert parse_toml(text, "flat.toml")["c"] == [[1], [2]]


def test_a_file_too_large_to_be_meant_is_not_read(tmp_path):
    path = tmp_path / "large.toml"
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(InputError, match=r"large\.toml: 2\.0 MB are too much; a file has at most 2 MB"):
        read_text(path, "large.toml")


def test_lines_of_many_tables_are_found_in_time_that_grows_with_their_number():
    """Seconds of the processor for ten times as many rows: some ten times, where it once was a hundred."""
    row = '[[published]]\narm = "a"\nvalue = 30.0\n\n'
    taken = []
    for n in (1000, 10_000):
        start = time.process_time()
        found = Lines(row * n).found
        taken.append(time.process_time() - start)
        assert found["published", n - 1, "value"] == 4 * (n - 1) + 3
    assert taken[1] < 40.0 * taken[0]
