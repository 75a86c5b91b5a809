"""Notices: a small safe part of Markdown made into HTML, what changed, and what is missing.

Everything of a text is escaped; only the forms named here become markup: headings, paragraphs,
`**bold**`, lists, tables, and links to web, mail and own pages. Same text in, same bytes out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape
from typing import Any, Final

from troth.errors import InvalidInput

RENDERER: Final = 1
"""Which way of rendering made a notice's bytes; published versions keep theirs."""
_BLANK = re.compile(r"\n[ \t]*\n")
_HEADING = re.compile(r"(#{1,4})[ \t]+(.+)")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_LINK = re.compile(r"\[([^\]\n]+)\]\(((?:https?://|mailto:|/)[^\s()<>\"]*)\)")
_COVERS = re.compile(r"<!--\s*covers:\s*([^>]*?)\s*-->")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_RULE = re.compile(r"\|?[ \t:|-]+\|?")


def render(text: str) -> str:
    r"""Return a notice's Markdown as HTML.

    >>> render("# Hello\n\n**Who?** <us> & [you](https://a.example).")
    '<h1>Hello</h1>\n<p><strong>Who?</strong> &lt;us&gt; &amp; <a href="https://a.example">you</a>.</p>\n'
    """
    return "".join(f"{_block(block)}\n" for block in _blocks(text))


def _blocks(text: str) -> list[str]:
    plain = _COMMENT.sub("", text.replace("\r\n", "\n"))
    return [block.strip("\n") for block in _BLANK.split(plain) if block.strip()]


def _block(block: str) -> str:
    lines = block.split("\n")
    heading = _HEADING.fullmatch(block.strip())
    if heading:
        level = len(heading[1])
        return f"<h{level}>{_inline(heading[2].strip())}</h{level}>"
    if all(line.lstrip().startswith("- ") for line in lines):
        items = "".join(f"<li>{_inline(line.lstrip()[2:].strip())}</li>" for line in lines)
        return f"<ul>{items}</ul>"
    if len(lines) > 1 and lines[0].lstrip().startswith("|") and _RULE.fullmatch(lines[1].strip()):
        return _table(lines)
    return f"<p>{_inline(' '.join(' '.join(lines).split()))}</p>"


def _table(lines: list[str]) -> str:
    head, *rows = [_cells(line) for n, line in enumerate(lines) if n != 1]
    top = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{_inline(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _inline(text: str) -> str:
    out, at = [], 0
    for link in _LINK.finditer(text):
        out += [_bold(text[at : link.start()])]
        out += [f'<a href="{escape(link[2])}">{_bold(link[1])}</a>']
        at = link.end()
    return "".join([*out, _bold(text[at:])])


def _bold(text: str) -> str:
    return _BOLD.sub(r"<strong>\1</strong>", escape(text, quote=False))


def plain(text: str) -> list[str]:
    r"""Return a notice's blocks as plain words: what a reader reads, without marks.

    >>> plain("# Hello\n\n**Who?** [you](https://a.example)")
    ['Hello', 'Who? you']
    """
    out = []
    for block in _blocks(text):
        lines = [line for line in block.split("\n") if not _RULE.fullmatch(line.strip() or "x")]
        joined = " ".join(" ".join(lines).replace("|", " ").split()).lstrip("#").strip()
        out.append(_LINK.sub(r"\1", joined).replace("**", "").strip())
    return [block for block in out if block]


# What changed

Part = tuple[str, str]
"""`same`, `gone` or `new`, and the words."""
_ALIKE: Final = 0.35


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two versions, in a reader's order.

    Attributes:
        blocks: Each changed paragraph as parts.
        unchanged: How many paragraphs stayed as they were.
    """

    blocks: tuple[tuple[Part, ...], ...]
    unchanged: int


def changes(before: str, after: str) -> Changes:
    """Compare two versions paragraph by paragraph, and within each word by word.

    >>> changes("We keep it a year.", "We keep it two years.").blocks
    ((('same', 'We keep it'), ('gone', 'a year.'), ('new', 'two years.')),)
    """
    old, new = plain(before), plain(after)
    out: list[tuple[Part, ...]] = []
    same = 0
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            same += b - a
        else:
            out += _paired(old[a:b], new[c:d])
    return Changes(tuple(out), same)


def _paired(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[Part, ...]]:
    """Show each new paragraph beside the old one it grew from; what is alone is gone or new."""
    left = list(old)
    for text in new:
        near = max(left, key=lambda each: _likeness(each, text), default="")
        if near and _likeness(near, text) >= _ALIKE:
            left.remove(near)
            yield tuple(_words(near.split(), text.split()))
        else:
            yield (("new", text),)
    for text in left:
        yield (("gone", text),)


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio()


def _words(old: Sequence[str], new: Sequence[str]) -> Iterator[Part]:
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield "same", " ".join(old[a:b])
            continue
        if a < b:
            yield "gone", " ".join(old[a:b])
        if c < d:
            yield "new", " ".join(new[c:d])


# What is missing


@dataclass(frozen=True, slots=True)
class Duty:
    """One thing a notice must tell, by law.

    Attributes:
        regime: Regime that asks for it, such as `za`.
        headings: By language: how a section that tells it may begin.
        says: Words of which one must occur in the notice; () none is asked.
        facts: Facts of the house that must occur: name, address, privacy_contact.
    """

    id: str
    regime: str
    title: str
    source: str
    headings: Mapping[str, tuple[str, ...]]
    says: Mapping[str, tuple[str, ...]]
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lack:
    """A duty a notice does not meet, the line to look at, and what to write."""

    duty: Duty
    line: int
    remedy: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a notice: its heading or leading bold words, its text, what it says it covers."""

    line: int
    heading: str
    text: str
    covers: frozenset[str]


def read_duties(values: Mapping[str, Any]) -> tuple[Duty, ...]:
    """Read the duties of a data file.

    Raises:
        InvalidInput: One lacks id, regime, title, source or headings.
    """
    try:
        return tuple(
            Duty(
                row["id"],
                row["regime"],
                row["title"],
                row["source"],
                _by_language(row["headings"]),
                _by_language(row.get("says", {})),
                tuple(row.get("facts", ())),
            )
            for row in values["duty"]
        )
    except (KeyError, TypeError, AttributeError):
        raise InvalidInput(
            "the duties of notices do not read", "compare with data/notices.toml"
        ) from None


def _by_language(table: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {language: tuple(words) for language, words in table.items()}


def sections(text: str) -> list[Section]:
    """Split a notice into sections: a heading, or bold words at a paragraph's start, begin one."""
    out: list[Section] = []
    covers: set[str] = set()
    for line, block in _numbered(text):
        covers |= {name for found in _COVERS.findall(block) for name in re.split(r"[,\s]+", found)}
        bare = _COMMENT.sub("", block).strip()
        if not bare:
            continue
        heading = _HEADING.match(bare)
        bold = _BOLD.match(bare)
        title = heading[2] if heading else bold[1] if bold else ""
        body = bare[heading.end() :] if heading else bare[bold.end() :] if bold else bare
        if title or covers or not out:
            out.append(Section(line, title, body.strip(), frozenset(covers)))
        else:
            last = out[-1]
            joined = f"{last.text}\n{body}".strip()
            out[-1] = Section(last.line, last.heading, joined, last.covers)
        covers = set()
    return out


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    held: list[str] = []
    start = 1
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.strip():
            start = start if held else number
            held.append(line)
        elif held:
            yield start, "\n".join(held)
            held = []


def lacks(
    text: str, language: str, duties: Iterable[Duty], facts: Mapping[str, str]
) -> list[Lack]:
    """Name every duty a notice does not meet.

    A duty is met by a section that begins with one of its headings, or is marked by a comment
    `<!-- covers: ID -->`, and says something; and by the words and facts it asks for, anywhere.
    """
    parts = sections(text)
    whole = " ".join(" ".join(plain(text)).split())
    first = parts[0].line if parts else 1
    return [
        found for duty in duties if (found := _lack(duty, language, parts, whole, facts, first))
    ]


def _lack(  # noqa: PLR0913 - a duty and what it is held against
    duty: Duty,
    language: str,
    parts: Sequence[Section],
    whole: str,
    facts: Mapping[str, str],
    first: int,
) -> Lack | None:
    starts = duty.headings.get(language, duty.headings.get("en", ()))
    met = next((p for p in parts if _tells(p, duty.id, starts)), None)
    if met is None:
        named = starts[0] if starts else duty.title
        return Lack(duty, first, f'add a paragraph "**{named}.** ..."')
    if len(met.text.split()) < _SAYS:
        return Lack(duty, met.line, "the paragraph says nothing: write it out")
    for name in duty.facts:
        if facts.get(name) and " ".join(facts[name].split()) not in whole:
            return Lack(duty, met.line, f"name the house's {name.replace('_', ' ')} of troth.toml")
    wanted = duty.says.get(language, duty.says.get("en", ()))
    if wanted and not any(word.casefold() in whole.casefold() for word in wanted):
        return Lack(duty, met.line, f"say it in words such as: {wanted[0]}")
    return None


_SAYS: Final = 2
"""A section of fewer words says nothing."""


def _tells(part: Section, duty: str, starts: Sequence[str]) -> bool:
    heading = part.heading.casefold()
    return duty in part.covers or any(_within(heading, start.casefold()) for start in starts)


def _within(heading: str, start: str) -> bool:
    """Tell whether a heading holds these words as whole words.

    >>> _within("where it is and who sees it.", "who sees it"), _within("the lawn", "the law")
    (True, False)
    """
    return re.search(rf"(?<!\w){re.escape(start)}(?!\w)", heading) is not None
