"""A template's own file: written back, and its words edited without touching anything else.

    blocks(mjml)                      # the texts a person may change, in order
    reworded(mjml, {3: "New words"})  # the same source with these texts, and nothing else, changed

A block is a run of text between two tags, with `**bold**` for <b>. Its slots are part of it and
stay: an edit that loses, adds or invents a mark is refused, so that rewording can neither open a
value nor break a block. Everything outside the blocks is kept byte for byte.
"""

import html
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from troth.engines.mail.template import MARK
from troth.errors import InvalidInput

BLOCK_MAX = 2_000
_STOP = re.compile(r"\{\{[#/][a-z0-9_.]+\}\}|<(?!/?b>)[^>]*>")
_TAG = re.compile(r"</?([a-z0-9-]+)")
_STYLE = re.compile(
    r"<mj-(?:style|title|attributes)\b.*?</mj-(?:style|title|attributes)>", re.DOTALL
)
_ROLES = {
    "h1": "Headline", "h2": "Heading", "mj-button": "Button", "a": "Link", "small": "Small print",
    "td": "Line", "li": "Line",
}  # fmt: skip
_BOLD = re.compile(r"\*\*(.+?)\*\*")


@dataclass(frozen=True, slots=True)
class Block:
    """One text of a template that a person may reword.

    Attributes:
        role: What it is in the message, in words.
        text: Its words as a person types them: `**bold**`, slots as `{{name}}`.
        start: Place in the source where it begins, `end` where it ends.
    """

    role: str
    text: str
    start: int
    end: int

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots its words hold."""
        return tuple(mark[2] for mark in MARK.finditer(self.text))


def blocks(mjml: str) -> list[Block]:
    """Return every text between two tags of the body, in order; about a millisecond."""
    hidden = {at for found in _STYLE.finditer(mjml) for at in range(found.start(), found.end())}
    return [
        Block(role, _typed(mjml[start:end]), start, end)
        for role, start, end in _runs(mjml)
        if start not in hidden and _has_words(mjml[start:end])
    ]


def _has_words(run: str) -> bool:
    """Tell whether a run has words of its own, with every <b> closed inside it."""
    words = MARK.sub("", html.unescape(re.sub(r"</?b>", "", run)))
    return run.count("<b>") == run.count("</b>") and any(map(str.isalnum, words))


def _runs(mjml: str) -> Iterator[tuple[str, int, int]]:
    at, role = 0, ""
    for found in _STOP.finditer(mjml):
        start, end = _trimmed(mjml, at, found.start())
        if start < end:
            yield role or "Text", start, end
        tag = _TAG.match(found[0])
        if tag and tag[1] in _ROLES:
            role = "" if found[0].startswith("</") else _ROLES[tag[1]]
        at = found.end()


def _trimmed(mjml: str, start: int, end: int) -> tuple[int, int]:
    words = mjml[start:end]
    return start + len(words) - len(words.lstrip()), start + len(words.rstrip())


def _typed(source: str) -> str:
    bold = re.sub(r"<b>(.*?)</b>", r"**\1**", source, flags=re.DOTALL)
    return html.unescape(re.sub(r"</?b>", "", bold))


def _written(text: str) -> str:
    return _BOLD.sub(r"<b>\1</b>", html.escape(text, quote=False))


def reworded(mjml: str, texts: Mapping[int, str]) -> str:
    """Return the source with some blocks, by their number, reworded.

    Raises:
        InvalidInput: There is no such block; or the words lose, add or invent a slot, are empty
            or too long. Names the block, never its words.
    """
    found = blocks(mjml)
    out, at = [], 0
    for number in sorted(texts):
        if not 0 <= number < len(found):
            raise InvalidInput("this template has no such text", "open the page again")
        block = found[number]
        words = " ".join(texts[number].split())
        if words == " ".join(block.text.split()):
            continue
        require_same_marks(block.text, words, f"text {number + 1}")
        if not words or len(words) > BLOCK_MAX:
            raise InvalidInput(f"text {number + 1} is empty or too long", "write 1 to 2,000 signs")
        out += [mjml[at : block.start], _written(words)]
        at = block.end
    return "".join((*out, mjml[at:]))


def require_same_marks(before: str, after: str, what: str) -> None:
    """Refuse words whose slots are not those that stood there.

    Raises:
        InvalidInput: A slot was lost, added or misspelt, or braces stand alone.
    """
    left = MARK.sub("", after)
    kept = Counter(m[0] for m in MARK.finditer(before)) == Counter(
        m[0] for m in MARK.finditer(after)
    )
    if not kept or "{{" in left or "}}" in left or "{%" in left or "%}" in left:
        raise InvalidInput(
            f"{what} no longer holds the same slots", "keep what stands in double braces as it is"
        )


def write_template(data: Mapping[str, Any], head: str = "") -> str:
    """Write a template as TOML that reads back to exactly this mapping.

    Args:
        data: Strings, whole numbers, lists of strings, and tables of the same.
        head: Comment lines to stand first, or "".
    """
    return head + "".join(_table("", data))


def _table(path: str, data: Mapping[str, Any]) -> Iterator[str]:
    inner = {key: value for key, value in data.items() if isinstance(value, Mapping)}
    plain = {key: value for key, value in data.items() if key not in inner}
    if path and (plain or not inner):
        yield f"\n[{path}]\n"
    for key, value in plain.items():
        yield f"{_key(key)} = {_value(value)}\n"
    for key, value in inner.items():
        yield from _table(f"{path}.{_key(key)}" if path else _key(key), value)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _quoted(key)


def _value(value: object) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _string(text: str) -> str:
    plain = "\n" in text and "'''" not in text and not text.endswith("'")
    if plain and not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text):
        return f"'''\n{text}'''"
    return _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def head_of(source: str) -> str:
    """Return the comment lines that stand first in a file."""
    found = re.match(r"(?:#[^\n]*\n)*", source)
    return found[0] if found else ""
