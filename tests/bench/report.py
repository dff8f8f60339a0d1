"""One row of figures, printed: what was measured, beside its floor and its goal, and by which command."""


def row(what: str, figure: str, *, baseline: str = "-", goal: str = "-", command: str = "") -> None:
    print(f"\n{what}\n    {figure:<44} goal {goal:<30} floor {baseline}")
    print(f'    make bench PYTEST="-k {command}"')


def detail(text: str) -> None:
    print(f"    {text}")


def spent(before: dict[str, float], after: dict[str, float]) -> str:
    """CPU seconds of each of our processes between two looks."""
    parts = [f"{role} {used - before.get(role, 0.0):.3f} s" for role, used in after.items()]
    return "CPU: " + ", ".join(parts)


def held(descriptors: dict[str, int]) -> str:
    return "descriptors: " + ", ".join(f"{role} {count}" for role, count in descriptors.items())
