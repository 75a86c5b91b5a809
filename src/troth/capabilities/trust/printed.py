"""A form on paper: what is answered stands in it, the rest is left to be filled in by hand."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from troth.engines.forms import Field, Form, Kind
from troth.engines.paper import Block, pdf

EMPTY: Final[Mapping[Kind, str]] = {
    "line": "_" * 44,
    "text": "\n".join(["_" * 66] * 4),
    "date": "_" * 20,
    "sign": "_" * 44,
}
_TICK, _BOX = "[x]", "[ ]"


def print_form(form: Form, answers: Mapping[str, str], company: str) -> bytes:
    """Lay a form out as PDF: what is answered stands in it, the rest is left to be filled by hand.

    The same answers give the same bytes.
    """
    foot = f"{form.law} · {company} · version {form.version}, checked {form.checked_on}"
    return pdf(form.title, list(_blocks(form, answers)), foot)


def _blocks(form: Form, answers: Mapping[str, str]) -> Iterator[Block]:
    yield Block(form.title, "title")
    yield Block(f"{form.law}.", "small", space=6)
    if form.lead:
        yield Block(form.lead, space=8)
    for part in form.parts:
        yield Block(part.heading, "heading", space=16, keep=True)
        for line in filter(None, part.text.splitlines()):
            yield Block(line, space=6)
        for asked in part.fields:
            yield from _asked(asked, answers.get(asked.name, ""))
    for note in form.notes:
        yield Block(note, "small", space=8)
    if form.doubt:
        yield Block(form.doubt, "small", space=8)
    yield Block(f"Source: {form.source}.", "small", space=2)


def _asked(asked: Field, said: str) -> Iterator[Block]:
    if asked.options is not None:
        yield Block(asked.label, "strong", space=8, keep=True)
        chosen = said.split()
        for code, words in asked.options.items():
            yield Block(f"{_TICK if code in chosen else _BOX}  {words}", space=4)
        return
    lines: Sequence[str] = (said or EMPTY[asked.kind]).splitlines()
    for place, line in enumerate(lines):
        yield Block(line, label=asked.label if not place else " ", space=8 if not place else 6)
