"""The past is kept as it was, found by its day, and within its budget."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tme_viz.history import History, Shelf, pack, unpack
from tme_viz.picture import DTYPES, LAYERS, Picture, from_byte, image, to_bytes


def picture(seed, n=64):
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(0, 9 if i == 0 else 127, n).astype(dtype) for i, dtype in enumerate(DTYPES)]
    return Picture(*arrays)


@given(st.integers(0, 10_000))
def test_a_packed_picture_comes_back(seed):
    before = picture(seed)
    for one, other in zip(before, unpack(pack(before)), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_a_moment_is_found_by_its_day():
    history = History()
    with pytest.raises(LookupError):
        history.find(0.0)
    for day in (0.0, 1.0, 3.0):
        history.add(day, [pack(picture(int(day))), pack(picture(int(day) + 10))])
    assert [history.find(day) for day in (-1.0, 0.0, 0.9, 1.0, 2.9, 3.0, 99.0)] == [0, 0, 0, 1, 1, 2, 2]
    day, (left, right) = history.at(1)
    assert day == 1.0
    np.testing.assert_array_equal(left.name, picture(1).name)
    np.testing.assert_array_equal(right.name, picture(11).name)
    with pytest.raises(ValueError, match="does not come after"):
        history.add(3.0, [])
    history.forget_after(1.0)
    assert history.days == [0.0, 1.0] and history.holds(1.0) and not history.holds(0.5) and not history.holds(3.0)
    history.add(2.0, [pack(picture(7)), pack(picture(8))])
    np.testing.assert_array_equal(history.at(2)[1][0].name, picture(7).name)
    np.testing.assert_array_equal(history.at(1)[1][0].name, picture(1).name)


@pytest.mark.parametrize("in_memory", [0, 10**9])
def test_a_long_past_stays_within_its_budget_and_keeps_both_ends(in_memory):
    history = History(budget=20_000, in_memory=in_memory)
    for day in range(400):
        history.add(float(day), [pack(picture(day)), pack(picture(day + 1))])
        assert history.n_bytes <= 20_000
        assert history.shelf.memory_bytes == (history.n_bytes if in_memory else 0)
    days = history.days
    assert days[0] == 0.0 and days[-1] == 399.0 and days == sorted(set(days))
    for place, day in enumerate(days):
        np.testing.assert_array_equal(history.at(place)[1][1].name, picture(int(day) + 1).name)
    history.close()
    assert len(history) == 0 and history.n_bytes == 0


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=20), st.integers(0, 19), st.sampled_from([0, 40, 10**6]))
def test_a_shelf_gives_back_what_was_put_and_forgets_what_was_cut(parts, n_kept, in_memory):
    shelf = Shelf(in_memory)
    places = [shelf.put(part) for part in parts]
    assert [shelf.get(place) for place in places] == parts and shelf.n_bytes == sum(map(len, parts))
    kept = places[: n_kept + 1]
    shelf.cut(kept[-1].start + kept[-1].size)
    places = [*kept, shelf.put(b"later")]
    assert [shelf.get(place) for place in places] == [*parts[: n_kept + 1], b"later"]
    shelf.close()


@pytest.mark.parametrize("layer", [layer for layer in LAYERS.values() if layer.name != "clone"], ids=lambda layer: layer.name)
def test_a_byte_keeps_a_value_to_half_a_level(layer):
    values = np.geomspace(layer.low, layer.high, 50) if layer.is_log else np.linspace(layer.low, layer.high, 50)
    back = np.array([from_byte(int(b), layer) for b in to_bytes(values, layer)])
    if layer.is_log:
        assert np.abs(np.log(back / values)).max() <= 0.5001 * np.log(layer.high / layer.low) / 255
    else:
        assert np.abs(back - values).max() <= 0.5001 * (layer.high - layer.low) / 255
    assert to_bytes(np.array([layer.low / 2 - 1, layer.high * 2]), layer).tolist() == [0, 255]


@pytest.mark.parametrize("layer", LAYERS)
def test_an_image_has_a_colour_for_every_site(layer):
    drawn = image(picture(3), layer, 8, zoom=3)
    assert drawn.shape == (24, 24, 3) and drawn.dtype == np.uint8
    assert (drawn[0:3, 0:3] == drawn[0, 0]).all()
