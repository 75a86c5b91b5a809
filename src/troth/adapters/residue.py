"""Searches files for byte strings; run as a process of its own, on the standard library alone.

A process of its own, since closing a database's file in the process that has it open would drop
SQLite's locks on it. What is searched for comes by standard input, never as an argument: nobody
sees it in a list of processes, and it is written nowhere. The answer names files and counts only.

Input: one line of JSON `{"files": [...], "needles": N}`, then N lines of hex.
Output: one line of JSON `{"bytes": B, "found": {file: [which needles]}, "unread": [...]}`.

Few strings are each looked for alone, at 2 to 4 GB a second. Many are looked for together: a file
is cut into pieces of 8 (or 4) bytes, and every string has one such piece within it, at one of 8
(or 4) places; what pieces a file has is one set operation. About 15 s a GB, however many.
"""

import json
import mmap
import sys
from pathlib import Path

CHUNK = 1 << 20
FEW = 32
"""Up to so many strings it is faster to look for each alone."""
WIDE, NARROW = PIECES = (8, 4)
"""Bytes of a piece; a string that is looked for by it has at least twice as many but one."""


class Together:
    """Many strings, found by the pieces they must have."""

    def __init__(self, needles: "list[bytes]") -> None:
        """Take each string's pieces: one of them begins at a multiple of its length wherever."""
        self.needles = needles
        self.reach = max(map(len, needles), default=1) - 1
        self.short: list[int] = []
        self.pieces: dict[int, dict[int, list[int]]] = {width: {} for width in PIECES}
        for number, needle in enumerate(needles):
            fitting = [width for width in PIECES if len(needle) >= 2 * width - 1]
            if not fitting:
                self.short.append(number)
                continue
            held = self.pieces[fitting[0]]
            for start in range(fitting[0]):
                piece = int.from_bytes(needle[start : start + fitting[0]], sys.byteorder)
                held.setdefault(piece, []).append(number)
        self.sets = {width: frozenset(held) for width, held in self.pieces.items()}

    def within(self, held: "mmap.mmap", size: int) -> "list[int]":
        """Return which strings a file has."""
        found = {n for n in self.short if held.find(self.needles[n]) >= 0}
        for start in range(0, size, CHUNK):
            part = held[start : start + CHUNK + self.reach]
            maybe = self._maybe(part) - found
            found.update(n for n in maybe if part.find(self.needles[n]) >= 0)
        return sorted(found)

    def _maybe(self, part: bytes) -> "set[int]":
        out: set[int] = set()
        for width, held in self.sets.items():
            if held:
                view = memoryview(part)[: len(part) // width * width]
                for piece in held.intersection(view.cast("Q" if width == WIDE else "I")):
                    out.update(self.pieces[width][piece])
        return out


def search(
    path: Path, needles: "list[bytes]", together: "Together | None"
) -> "tuple[int, list[int]]":
    """Return the size of a file and which needles are in it."""
    with path.open("rb") as file:
        size = path.stat().st_size
        if not size:
            return 0, []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
            if together is not None:
                return size, together.within(held, size)
            return size, [n for n, each in enumerate(needles) if held.find(each) >= 0]


def run(lines: "list[str]") -> "dict[str, object]":
    """Search what the input names; a file that goes away meanwhile holds nothing."""
    asked = json.loads(lines[0])
    needles = [bytes.fromhex(each) for each in lines[1 : 1 + asked["needles"]]]
    together = Together(needles) if len(needles) > FEW else None
    total, found, unread = 0, {}, []
    for name in asked["files"]:
        try:
            size, hits = search(Path(name), needles, together)
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            unread.append(name)
            continue
        total += size
        if hits:
            found[name] = hits
    return {"bytes": total, "found": found, "unread": unread}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(sys.stdin.read().splitlines())))
