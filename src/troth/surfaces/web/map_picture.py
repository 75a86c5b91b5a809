"""The data map as a picture: five steps from left to right, a box a system, a line a flow.

Drawn here as plain numbers; the template turns them into SVG. Everything it says the text twin
beneath says too.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth.app.checks import State, Step
from troth.app.datamap import Part

COLUMNS: Final[tuple[tuple[Step, str], ...]] = (
    ("acquired", "Acquired"),
    ("used", "Used"),
    ("stored", "Stored"),
    ("shared", "Shared"),
    ("deleted", "Deleted"),
)
STATES: Final[dict[State, str]] = {
    "good": "Looked at, holds",
    "bad": "Does not hold",
    "unknown": "Not looked at",
    "off": "Not in use",
}
"""State of the measures of a part → its words; colour never says it alone."""
PART_STATES: Final[dict[State, str]] = {**STATES, "unknown": "Not all looked at"}
WIDE, GAP, TOP, LINE = 166, 40, 44, 18
ROOM: Final = 12
_CHARS, _LINES = 19, 2


@dataclass(frozen=True, slots=True)
class Box:
    """One part as drawn; all in pixels."""

    key: str
    title: str
    lines: tuple[str, ...]
    state: State
    said: str
    x: int
    y: int
    tall: int


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything a template draws."""

    width: int
    height: int
    box: int
    heads: tuple[tuple[int, str], ...]
    boxes: tuple[Box, ...]
    flows: tuple[str, ...]


def picture(parts: Sequence[Part]) -> Picture:
    """Lay the parts out: each step a column, in the order they are given."""
    boxes: list[Box] = []
    lowest = TOP
    for place, (step, _) in enumerate(COLUMNS):
        y = TOP
        for part in (each for each in parts if each.step == step):
            box = _box(part, place * (WIDE + GAP), y)
            boxes.append(box)
            y += box.tall + ROOM
        lowest = max(lowest, y)
    at = {box.key: box for box in boxes}
    flows = [
        _flow(at[part.key], at[other])
        for part in parts
        for other in part.into
        if other in at and other != part.key
    ]
    heads = tuple((n * (WIDE + GAP), title) for n, (_, title) in enumerate(COLUMNS))
    wide = len(COLUMNS) * (WIDE + GAP) - GAP
    return Picture(wide, lowest, WIDE, heads, tuple(boxes), tuple(dict.fromkeys(flows)))


def _box(part: Part, x: int, y: int) -> Box:
    lines = textwrap.wrap(part.title, _CHARS, max_lines=_LINES, placeholder=" …") or [part.key]
    tall = 20 + LINE * (len(lines) + 1)
    said = PART_STATES[part.state]
    return Box(part.key, part.title, tuple(lines), part.state, said, x, y, tall)


def _flow(start: Box, end: Box) -> str:
    """Return the path of a line from one box to another, leaving by the side that faces it."""
    y1, y2 = start.y + start.tall // 2, end.y + end.tall // 2
    if start.x == end.x:
        x = start.x + WIDE
        bend = x + GAP // 2
        return f"M{x} {y1}C{bend} {y1} {bend} {y2} {x} {y2}"
    forth = start.x < end.x
    x1, x2 = (start.x + WIDE, end.x) if forth else (start.x, end.x + WIDE)
    bend = GAP if forth else -GAP
    return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
