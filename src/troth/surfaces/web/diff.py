"""What changed between two versions of a template, word by word, in what a reader gets."""

import tomllib
from collections.abc import Iterator
from difflib import SequenceMatcher

Part = tuple[str, str]
"""`same`, `gone` or `new`, and the words."""
KEPT = 8
"""Words shown before and after a change."""


def changes(before: str, after: str) -> list[tuple[str, list[Part]]]:
    """Return per part of the message what changed; parts that did not are left out.

    Args:
        before: The earlier version's file, "" for none.
        after: The later one's.

    >>> changes('subject = "a b"', 'subject = "a c"')
    [('Subject', [('same', 'a'), ('gone', 'b'), ('new', 'c')])]
    """
    old, new = _read(before), _read(after)
    titles = {"subject": "Subject", "preheader": "Beside the subject", "text": "Message"}
    out = []
    for key, title in titles.items():
        parts = list(_words(str(old.get(key, "")).split(), str(new.get(key, "")).split()))
        if any(kind != "same" for kind, _ in parts):
            out.append((title, parts))
    layout = {k: v for k, v in old.items() if k not in {*titles, "version"}} != {
        k: v for k, v in new.items() if k not in {*titles, "version"}
    }
    if layout and not out:
        out.append(("Layout or slots", [("new", "changed; the words stayed")]))
    return out


def _read(source: str) -> dict[str, object]:
    try:
        return tomllib.loads(source)
    except tomllib.TOMLDecodeError:
        return {}


def _words(old: list[str], new: list[str]) -> Iterator[Part]:
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            yield "same", _short(old[a:b])
        else:
            if a < b:
                yield "gone", " ".join(old[a:b])
            if c < d:
                yield "new", " ".join(new[c:d])


def _short(words: list[str]) -> str:
    if len(words) <= 2 * KEPT + 2:
        return " ".join(words)
    return f"{' '.join(words[:KEPT])} … {' '.join(words[-KEPT:])}"
