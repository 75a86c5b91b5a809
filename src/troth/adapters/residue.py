"""Searches files for byte strings; run as a process of its own, on the standard library alone.

A process of its own, since closing a database's file in the process that has it open would drop
SQLite's locks on it. What is searched for comes by standard input, never as an argument: nobody
sees it in a list of processes, and it is written nowhere. The answer names files and counts only.

Input: one line of JSON `{"files": [...], "needles": N}`, then N lines of hex.
Output: one line of JSON `{"bytes": B, "found": {file: [which needles]}, "unread": [...]}`.
"""

import json
import mmap
import sys
from pathlib import Path


def search(path: Path, needles: "list[bytes]") -> "tuple[int, list[int]]":
    """Return the size of a file and which needles are in it."""
    with path.open("rb") as file:
        size = path.stat().st_size
        if not size:
            return 0, []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
            return size, [n for n, each in enumerate(needles) if held.find(each) >= 0]


def run(lines: "list[str]") -> "dict[str, object]":
    """Search what the input names; a file that goes away meanwhile holds nothing."""
    asked = json.loads(lines[0])
    needles = [bytes.fromhex(each) for each in lines[1 : 1 + asked["needles"]]]
    total, found, unread = 0, {}, []
    for name in asked["files"]:
        try:
            size, hits = search(Path(name), needles)
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
