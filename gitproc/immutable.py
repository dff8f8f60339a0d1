"""Plain things of a few fields, equal if of one class with the same fields: `@immutable` ones, and `@mutable`.

They are `@dataclass(frozen=True, slots=True)` and `@dataclass(slots=True)`, except that comparing, hashing and
printing are three functions for all classes instead of three compiled for each, that a constructor is
compiled when the first object of its class is made, and that nothing else is kept of a field. With a hundred and
fifty such classes, of which one manager uses half, that is 30 ms of every start and a megabyte of memory. What
keeps the immutable ones from being changed is the type checker.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

T = TypeVar("T")


def _equal(self: Any, other: Any) -> bool:
    if type(self) is not type(other):
        return False
    return all(getattr(self, name) == getattr(other, name) for name in self.__match_args__)


def _hash(self: Any) -> int:
    return hash((type(self), *(getattr(self, name) for name in self.__match_args__)))


def _show(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
    return f"{type(self).__qualname__}({shown})"


def as_dict(thing: Any) -> dict[str, Any]:
    """Its fields by their names, in their order; what they hold is left as it is."""
    return {name: getattr(thing, name) for name in thing.__match_args__}


def replaced(thing: T, **changes: Any) -> T:
    """Another one with these fields changed; as `dataclasses.replace`, in a fraction of its time."""
    kind = type(thing)
    other = object.__new__(kind)
    for name in kind.__match_args__:  # type: ignore[attr-defined]
        setattr(other, name, changes[name] if name in changes else getattr(thing, name))
    return other


class _Made:
    """A default that is made for each object."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], T]) -> T:
    """A field whose default is what this returns, called for each object."""
    made: Any = _Made(default_factory)
    return made  # type: ignore[no-any-return]


_NOT_GIVEN = object()


def _constructor(made: type[Any], defaults: dict[str, Any]) -> Callable[..., None]:
    """What assigns all fields, in their order."""
    parameters, lines = ["self"], []
    known: dict[str, Any] = {"_missing": _NOT_GIVEN}
    for name in made.__match_args__:
        value, default = name, defaults.get(name, _NOT_GIVEN)
        if isinstance(default, _Made):
            known[f"_default_of_{name}"] = default.make
            parameters.append(f"{name}=_missing")
            value = f"_default_of_{name}() if {name} is _missing else {name}"
        elif default is not _NOT_GIVEN:
            known[f"_default_of_{name}"] = default
            parameters.append(f"{name}=_default_of_{name}")
        else:
            parameters.append(name)
        lines.append(f"    self.{name} = {value}\n")
    exec(f"def __init__({', '.join(parameters)}):\n{''.join(lines) or '    pass'}", known)
    constructor: Callable[..., None] = known["__init__"]
    constructor.__qualname__ = f"{made.__qualname__}.__init__"
    return constructor


def _plain(cls: type[T], hashed: Callable[[Any], int] | None) -> type[T]:
    names = tuple(cls.__annotations__)
    body = {key: value for key, value in vars(cls).items() if key not in _NOT_KEPT}
    defaults = {name: body.pop(name) for name in names if name in body}

    def first(self: Any, *args: Any, **kwargs: Any) -> None:
        made.__init__ = _constructor(made, defaults)
        made.__init__(self, *args, **kwargs)

    body |= {"__qualname__": cls.__qualname__, "__slots__": names, "__match_args__": names}
    body |= {"__init__": first, "__eq__": _equal, "__hash__": hashed, "__repr__": _show}
    made: Any = type(cls.__name__, cls.__bases__, body)
    return made  # type: ignore[no-any-return]


_NOT_KEPT = frozenset({"__dict__", "__weakref__"})


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def immutable(cls: type[T]) -> type[T]:
    """Give a class of annotated fields its constructor and the rest. All fields count, in their order."""
    return _plain(cls, _hash)


@dataclass_transform(field_specifiers=(field,))
def mutable(cls: type[T]) -> type[T]:
    """The same for what changes, and is no key therefore."""
    return _plain(cls, None)


if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414 (so that it counts as ours to give)
else:

    class _Named(type):
        """As in `typing`, but for compiling the text of each annotation: 4 ms of every start of the manager."""

        def __new__(cls, name: str, _: tuple[type, ...], body: dict[str, Any]) -> type:
            fields = body.get("__annotations__", {})
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body.pop("__module__"))
            for key, value in body.items():
                setattr(made, key, value)
            return made

    NamedTuple = type.__new__(_Named, "NamedTuple", (), {})
