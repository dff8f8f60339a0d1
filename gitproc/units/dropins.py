"""Which drop-in and dependency folders are about a unit, and which file of one name counts.

The rules are systemd's: folders of the unit's name, of its template and of the template's prefixes, of each
prefix that ends in a dash, and last of its type. Of files of one name the one in the most specific folder
counts; those that are left take effect in the order of their names, wherever they lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gitproc.units.names import split_name


def owners(name: str) -> Iterator[str]:
    """Names whose folders are about unit `name`, the most specific first, without its type."""
    prefix, instance, suffix = split_name(name)
    yield name
    if instance:
        yield from owners(f"{prefix}@{suffix}")
    shorter = _shorter(prefix)
    if shorter is not None:
        at = f"@{instance}" if instance else ""  # a template's prefix is plain
        yield from owners(f"{shorter}{at}{suffix}")


def all_owners(name: str, aliases: Iterable[str]) -> tuple[str, ...]:
    """`owners` of a unit under all its names, and its type at the end."""
    found = dict.fromkeys(owners(name))
    for alias in sorted(aliases):
        found.update(dict.fromkeys(owners(alias)))
    found[split_name(name)[2][1:]] = None
    return tuple(found)


def choose(
    folders: Iterable[str], index: Mapping[str, tuple[str, ...]]
) -> tuple[list[str], list[tuple[str, str]]]:
    """The files to apply, in order, and pairs of files that stand in each other's way.

    `index` gives the paths of a folder's files. Two files of one name in two folders of one name (in
    different places of the tree) are such a pair: nothing says which counts.
    """
    chosen: dict[str, str] = {}
    clashes: list[tuple[str, str]] = []
    for folder in folders:
        here: dict[str, str] = {}
        for path in index.get(folder, ()):
            base = path.rpartition("/")[2]
            if base in here:
                clashes.append((here[base], path))
            else:
                here[base] = path
        for base, path in here.items():
            chosen.setdefault(base, path)
    return [chosen[base] for base in sorted(chosen)], clashes


def _shorter(prefix: str) -> str | None:
    """The next shorter prefix that ends in a dash: `a-b-` for `a-b-c`, `a-` for `a-b-`."""
    head, dash, _ = prefix.removesuffix("-").rpartition("-")
    return head + dash if head else None
