"""Where to begin and to end in a log, which lies in several files: places are (number of the file, offset in it)."""

from __future__ import annotations

from gitproc.store.log_lines import LINE_BYTES
from gitproc.store.log_segments import BLOCK, Segment

Place = tuple[int, int]


def start(
    segments: list[Segment], last: int | None, since: float | None, until: float | None = None
) -> Place:
    """Where to begin for the `last` lines of those that arrived in [`since`, `until`)."""
    place = (0, 0)
    if since is not None:
        place = _place_since(segments, since)
    if last is not None:
        end = end_of(segments) if until is None else _place_until(segments, until)
        place = max(place, _place_of_last(segments, last, end))
    return place


def _place_since(segments: list[Segment], since: float) -> Place:
    """The first line that begins in a chunk which arrived at `since` or later."""
    for number, segment in enumerate(segments):
        newest = segment.index.last_time
        if newest is None:
            if segment.changed >= since:
                return number, 0  # no times: rather too much than too little
        elif newest >= since:
            offset = segment.index.offset_since(since)
            if offset is not None:
                return _next_line(segments, number, offset)
    return end_of(segments)


def _place_until(segments: list[Segment], until: float) -> Place:
    """The first chunk that arrived at `until` or later, the end if there is none."""
    for number, segment in enumerate(segments):
        newest = segment.index.last_time
        if newest is not None and newest >= until:
            offset = segment.index.offset_since(until)
            if offset is not None:
                return number, offset
    return end_of(segments)


def end_of(segments: list[Segment]) -> Place:
    """Behind everything."""
    return (len(segments) - 1, segments[-1].size()) if segments else (0, 0)


def _next_line(segments: list[Segment], number: int, offset: int) -> Place:
    """`offset`, if a line begins there, or else the beginning of the next line."""
    if offset == 0 or segments[number].read(offset - 1, 1) == b"\n":
        return number, offset
    while block := segments[number].read(offset):
        newline = block.find(b"\n")
        if newline >= 0:
            return number, offset + newline + 1
        offset += len(block)
    return (number + 1, 0) if number + 1 < len(segments) else end_of(segments)


def _place_of_last(segments: list[Segment], last: int, before: Place) -> Place:
    """The beginning of the `last`-th line before a place, looking back over no more than it can need."""
    wanted = last + 1  # newlines: the one that ends the last line is not before any line
    budget = last * LINE_BYTES
    first_block = True
    if not segments:
        return 0, 0
    for number in range(before[0], -1, -1):
        end = before[1] if number == before[0] else segments[number].size()
        while end > 0:
            offset = max(0, end - BLOCK)
            block = segments[number].read(offset, end - offset)
            if first_block and block:
                first_block = False
                if not block.endswith(b"\n"):
                    wanted -= 1
                if wanted <= 0:
                    return number, end
            newlines = block.count(b"\n")
            if newlines >= wanted:
                at = len(block)
                for _ in range(wanted):
                    at = block.rindex(b"\n", 0, at)
                return number, offset + at + 1
            wanted -= newlines
            budget -= len(block)
            if budget <= 0:
                return number, offset
            end = offset
    return 0, 0
