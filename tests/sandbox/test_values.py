from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradschool.errors import SandboxError, WireError
from gradschool.sandbox import FunctionRef, Seed
from gradschool.sandbox.functions import KNOWN
from gradschool.sandbox.nodes import ArrayNode, BigIntNode, FunctionNode, ListNode, ScalarNode, SeedNode
from gradschool.sandbox.values import Encoder, TooLarge, Unsendable, decode

MIB = 1 << 20


def there_and_back(value, *, orders=False):
    encoder = Encoder(MIB, orders=orders)
    node = encoder.encode(value)
    return decode(node, encoder.arrays, KNOWN.__getitem__ if orders else None)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers(-5, 5), inner, max_size=3)
    ),
    max_leaves=15,
)


@settings(max_examples=100, deadline=None)
@given(plain)
def test_plain_data_comes_back_with_the_same_types(value):
    got = there_and_back(value)
    assert got == value
    assert type(got) is type(value)


def test_nan_and_infinities_travel():
    got = there_and_back((math.nan, math.inf, -math.inf, np.array([np.nan, np.inf])))
    assert math.isnan(got[0])
    assert got[1:3] == (math.inf, -math.inf)
    np.testing.assert_array_equal(got[3], [np.nan, np.inf])


def test_numpy_scalars_stay_numpy_scalars():
    for scalar in (np.float32(1.5), np.int64(7), np.bool(True)):
        got = there_and_back(scalar)
        assert type(got) is type(scalar)
        assert got == scalar


def test_one_array_in_two_places_is_one_array():
    x = np.arange(4.0)
    first, cache = there_and_back((x, {"x": x, "n": 4}))
    assert first is cache["x"]


def test_a_view_arrives_with_its_own_shape():
    x = np.arange(12.0).reshape(3, 4)
    got = there_and_back((x.T, x[::2, ::-1], x[1, 2:3].reshape(())))
    np.testing.assert_array_equal(got[0], x.T)
    np.testing.assert_array_equal(got[1], x[::2, ::-1])
    assert got[2].shape == ()


class LyingArray(np.ndarray):
    def __eq__(self, other):
        return np.ones(self.shape, bool)


class LyingFloat(float):
    def __eq__(self, other):
        return True


class LyingStr(str):
    pass


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (np.ones(3).view(LyingArray), "LyingArray"),
        (LyingFloat(1.0), "LyingFloat"),
        (LyingStr("x"), "LyingStr"),
        ({LyingStr("x"): 1}, "key"),
        (np.ma.masked_array([1.0], [True]), "MaskedArray"),
        (np.array([1, "a", None], dtype=object), "object"),
        (np.array(["a"]), "<U1"),
        (np.array([1j]), "complex"),
        (np.zeros(2, "datetime64[s]"), "datetime64"),
        (np.zeros(2, [("a", "f4")]), "f4"),
        (np.longdouble(1), np.dtype(np.longdouble).name),
        ({1.5: 1}, "key"),
        ({1, 2}, "set"),
        (1j, "complex"),
        (lambda x: x, "function"),
        (print, "builtin"),
        (iter([]), "iterator"),
        (2**20_000, "bits"),
        ("x" * 200_000, "200,000"),
        ([[0] * 300] * 300, "parts"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else type(value).__name__,
)
def test_what_is_not_plain_data_is_named(value, word):
    with pytest.raises(Unsendable, match=word):
        Encoder(MIB).encode([value])


def test_the_place_of_the_bad_part_is_named():
    with pytest.raises(Unsendable) as caught:
        Encoder(MIB).encode((1, {"w": [2, {3}]}))
    assert caught.value.where == "[1]['w'][1]"


def test_endless_nesting_is_refused():
    value: list = []
    value.append(value)
    with pytest.raises(Unsendable, match="deep"):
        Encoder(MIB).encode(value)


def test_a_shared_monster_is_refused_by_its_unfolded_size():
    value: list = [0]
    for _ in range(25):
        value = [value, value]
    with pytest.raises(Unsendable, match="parts"):
        Encoder(MIB).encode(value)


def test_size_is_what_an_array_would_need_not_what_it_takes():
    with pytest.raises(TooLarge):
        Encoder(MIB).encode(np.broadcast_to(np.zeros(1), (1 << 20, 1 << 20)))


def test_a_seed_and_a_generator_give_the_same_stream_on_both_sides():
    assert there_and_back(Seed(5), orders=True).random() == np.random.default_rng(5).random()
    rng = np.random.default_rng(7)
    rng.integers(10, size=3, dtype=np.int32)
    twin = there_and_back(rng, orders=True)
    np.testing.assert_array_equal(twin.integers(100, size=5), rng.integers(100, size=5))
    np.testing.assert_array_equal(twin.normal(size=5), rng.normal(size=5))


def test_other_generators_are_refused_by_name():
    with pytest.raises(SandboxError, match="MT19937"):
        Encoder(MIB, orders=True).encode(np.random.Generator(np.random.MT19937(1)))


def test_functions_travel_by_name():
    assert there_and_back(np.tanh, orders=True) is np.tanh
    assert there_and_back(FunctionRef("relu"), orders=True) is KNOWN["relu"]
    with pytest.raises(Unsendable):
        Encoder(MIB, orders=True).encode(lambda x: x)


@pytest.mark.parametrize(
    "node",
    [
        ArrayNode(3),
        ArrayNode(-1),
        ScalarNode(0),
        BigIntNode("zz"),
        SeedNode(1),
        FunctionNode("open"),
        ListNode([ArrayNode(9)]),
    ],
)
def test_answers_that_refer_to_nothing_or_to_orders_are_refused(node):
    with pytest.raises(WireError):
        decode(node, [np.zeros(3)], None)
