"""Immutable things are equal, hashed, printed and matched by what they hold."""

from gitproc.immutable import immutable, replaced


@immutable
class Point:
    """A place."""

    x: int
    y: int = 0
    tags: tuple[str, ...] = ()


@immutable
class Other:
    """The same fields, another thing."""

    x: int
    y: int = 0
    tags: tuple[str, ...] = ()


def test_they_are_what_they_hold():
    assert Point(1) == Point(1, 0, ())
    assert Point(1) != Point(1, 2)
    assert Point(1) != Other(1)  # type: ignore[comparison-overlap]
    assert Point(1) != (1, 0, ())  # type: ignore[comparison-overlap]
    assert len({Point(1), Point(1), Point(2), Other(1)}) == 3
    assert repr(Point(1, tags=("a",))) == "Point(x=1, y=0, tags=('a',))"
    assert replaced(Point(1), y=3) == Point(1, 3)
    assert not hasattr(Point(1), "__dict__")
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
