"""What `@immutable` and `@mutable` make is what `dataclass` makes, in all that anybody uses."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import dataclass
from typing import Any

import pytest

from gitproc.immutable import NamedTuple, as_dict, field, immutable, mutable, replaced


@immutable
class Point:
    """One with a default."""

    x: int
    y: int = 2


@mutable
class Basket:
    """One with a field of its own for each."""

    name: str
    items: list[str] = field(default_factory=list)
    _name: str = "hidden"


@mutable
class Nothing:
    """No field at all."""


@dataclass(slots=True)
class Model:
    """What they are held against."""

    name: str
    items: list[str] = dataclasses.field(default_factory=list)
    _name: str = "hidden"


def test_arguments_go_where_dataclasses_put_them():
    calls: list[tuple[list[Any], dict[str, Any]]] = [
        (["a"], {}),
        (["a", ["b"]], {}),
        (["a"], {"_name": "c"}),
        ([], {"name": "a", "items": ["b"]}),
        (["a", ["b"], "c"], {}),
    ]
    for args, kwargs in calls:
        ours, theirs = Basket(*args, **kwargs), Model(*args, **kwargs)
        names = Basket.__match_args__
        assert names == Model.__match_args__
        assert [getattr(ours, x) for x in names] == [getattr(theirs, x) for x in names]
        assert repr(ours) == repr(theirs).replace("Model", "Basket")


@pytest.mark.parametrize("args", [(), (1, 2, 3)])
def test_a_wrong_number_of_arguments_is_told_each_time(args):
    for _ in range(2):
        with pytest.raises(TypeError, match=r"Point\.__init__\(\)"):
            Point(*args)


def test_defaults_that_are_made_are_made_for_each():
    one, two = Basket("one"), Basket("two")
    one.items.append("apple")
    assert two.items == []


def test_they_are_equal_by_class_and_fields():
    assert Point(1) == Point(1, 2) != Point(1, 3)
    assert Basket("a") == Basket("a") != Basket("b")
    other: Any = Model("a")
    assert Basket("a") != other
    assert Nothing() == Nothing()
    assert len({Point(1), Point(1, 2), Point(2)}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Basket("a"))


def test_they_are_copied_and_changed_like_dataclasses():
    basket = Basket("a", ["b"])
    assert copy.deepcopy(basket) == basket
    assert copy.deepcopy(basket).items is not basket.items
    assert replaced(basket, name="c") == Basket("c", ["b"])
    assert replaced(Point(1), y=5) == Point(1, 5)
    with pytest.raises(AttributeError):
        basket.colour = "red"  # type: ignore[attr-defined]
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)


class Pair(NamedTuple):
    """What `typing.NamedTuple` makes, too."""

    left: int
    right: str = "r"

    @property
    def both(self) -> str:
        """A member that is no field."""
        return f"{self.left}{self.right}"


def test_their_fields_can_be_had_by_name_in_their_order():
    point = Point(3)
    assert list(as_dict(point).items()) == [("x", 3), ("y", 2)]
    assert Point(**as_dict(point)) == point


def test_a_named_tuple_is_one_of_the_usual_kind():
    pair = Pair(1)
    assert (pair, pair.both, repr(pair)) == ((1, "r"), "1r", "Pair(left=1, right='r')")
    assert pair._replace(right="s") == Pair(left=1, right="s")
    assert (Pair.__name__, Pair.__qualname__, Pair.__module__) == ("Pair", "Pair", __name__)
    assert Pair.__doc__ == "What `typing.NamedTuple` makes, too."
    assert pickle.loads(pickle.dumps(pair)) == pair
    with pytest.raises(TypeError):
        Pair()  # type: ignore[call-arg]
    match pair:
        case Pair(left, right):
            assert (left, right) == pair
