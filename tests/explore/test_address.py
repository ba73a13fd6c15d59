"""Addresses: what is written is read back to the bit; what others wrote is checked."""

from urllib.parse import parse_qs, urlencode

import numpy as np
import pytest

from gen.explore import address
from gen.explore.address import CodePlace, Place, Query
from gen.explore.space import Space

D = 5
SPACE = Space(np.array([3, 1, 0, 2, 4]), np.ones(D, bool), np.full(D, -3.0), np.full(D, 3.0))
MODEL, CODES = (SPACE, 10), ((3, 4), 300)
DEFAULT = Place(0, None, 1.0, 0, (3, 1), None, None, "spherical")


def parts(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}


def assert_same(a, b):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def latents():
    return np.random.default_rng(0).normal(size=(3, D)).astype(np.float32)


def test_what_is_written_is_read_back_to_the_bit(latents):
    z, a, b = latents
    for place in (DEFAULT, Place(2**32 - 1, z, 1 / 3, 7, (0, 4), a, b, "linear"), DEFAULT._replace(b=b, psi=0.0)):
        query = Query(parts(address.write(place)))
        assert_same(address.read(query, *MODEL), place)
        assert query.complaint() is None


def test_an_address_that_says_nothing_is_the_first_sample():
    query = Query({"unknown": "1"})
    assert address.read(query, *MODEL) == DEFAULT and query.complaint() is None


@pytest.mark.parametrize(("name", "text"), [
    ("seed", "-1"), ("seed", str(2**32)), ("seed", "1e3"), ("seed", ""), ("seed", "9" * 5000), ("seed", "²"),
    ("psi", "nan"), ("psi", "inf"), ("psi", "1.01"), ("psi", "-0.1"), ("psi", "a"), ("psi", "0" * 99),
    ("label", "10"), ("label", "-1"), ("label", "x"),
    ("axes", "0"), ("axes", "0,5"), ("axes", "0,1,2"), ("axes", "0,-1"), ("axes", "0,"),
    ("path", "__class__"), ("path", ""),
    ("z", ""), ("z", "AAAA"), ("z", "A" * 26), ("z", "A" * 28), ("z", "!" * 27), ("z", "ü" * 27), ("a", "A" * 10**6),
    ("z", address.packed(np.float32([0, 0, np.nan, 0, 0]))), ("b", address.packed(np.float32([0, 0, 0, -np.inf, 0]))),
    ("a", address.packed(np.float32([0, 1001, 0, 0, 0]))),
])
def test_a_part_that_cannot_be_used_is_left_at_its_default_and_named(name, text):
    query = Query({"seed": "3", "psi": "0.5"} | {name: text})
    place = address.read(query, *MODEL)
    expected = DEFAULT._replace(seed=0 if name == "seed" else 3, psi=1.0 if name == "psi" else 0.5)
    assert_same(place, expected)
    assert query.refused == [name]
    assert str(query.complaint()) == (f"The address says something about {name} that does not fit this model: it is "
                                      "left out.")


def test_a_model_without_labels_has_none_to_choose():
    query = Query({"label": "0"})
    address.read(query, SPACE, 0)
    assert query.refused == ["label"]


def test_latents_without_a_slider_are_no_axes(monkeypatch):
    monkeypatch.setattr(address.space, "SLIDERS", 2)
    query = Query({"axes": "3,0"})
    assert address.read(query, *MODEL).axes == (3, 1) and query.refused == ["axes"]


def test_a_long_address_is_left_without_pins_and_then_without_the_latent():
    long = np.ones(6_000, np.float32)
    place = DEFAULT._replace(seed=4, z=long, a=long)
    assert parts(address.write(place)).keys() == {"seed", "z", "psi", "axes"}
    assert parts(address.write(place._replace(z=np.ones(20_000, np.float32)))).keys() == {"seed", "psi", "axes"}
    assert len(address.write(place)) < address.MOST


def test_codes_are_read_back():
    grid = np.arange(12, dtype=np.int32).reshape(3, 4) + 288
    for place in (CodePlace(5, grid), CodePlace(5, None)):
        query = Query(parts(address.write_codes(place)))
        assert_same(address.read_codes(query, *CODES), place)
        assert query.complaint() is None
    assert address.write_codes(CodePlace(1, np.zeros((200, 200), np.int32))) == "seed=1"


@pytest.mark.parametrize("codes", [np.full(12, 300), np.full(12, 65535), np.zeros(11), np.zeros(13)])
def test_codes_that_there_are_not_are_left_out(codes):
    query = Query(parts(urlencode({"codes": address.packed(codes.astype(np.uint16))})))
    assert address.read_codes(query, *CODES) == CodePlace(0, None) and query.refused == ["codes"]
