"""Compile a template once into constant quoted-printable bytes; per message only fill the holes.

    frame = compile_frame(template, categories, presence(template, values))
    draft = frame.fill(values, envelope)              # -> dkim.Draft, ready for dkim.sign

or, keeping what is compiled: `Frames(template).of(categories, values).fill(values, envelope)`.

`values` maps a slot's name to its value and a repeat's name to a sequence of mappings, one per
item. A slot whose category is not among `categories` shows its fallback from compile time on: no
value can reach it, whatever `values` holds. A section shows when its category is agreed and
`present` names it; a repeat shows as many items as `present` says (`"products:3"`).

The body is multipart/alternative, plain then HTML, CRLF, 7-bit, lines within `quoted.WIDTH`, and
already relaxed in the sense of DKIM; the hash of everything before the first hole is kept.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence

from troth.engines.mail import headers, layout, links
from troth.engines.mail.filling import Envelope, Frame, Hole, Values, escaped
from troth.engines.mail.packing import Skeleton
from troth.engines.mail.quoted import SOFT, text_block, value_line
from troth.engines.mail.template import MARK, Escaping, Repeat, Slot, Template
from troth.errors import InvalidInput

__all__ = ["Envelope", "Frame", "Frames", "Values", "compile_frame", "presence"]


def presence(template: Template, values: Values) -> frozenset[str]:
    """Say what of a template these values can show.

    A slot is present with a value that is not empty, a repeat with its number of items (at most
    its maximum), a section when everything of its own category inside it is present, or, if there
    is nothing such, when `values` holds its name.
    """
    blocks: tuple[Slot | Repeat, ...] = (*template.slots, *template.repeats)
    names = {slot.name for slot in template.slots if values.get(slot.name)}
    for repeat in template.repeats:
        count = min(len(values.get(repeat.name, ())), repeat.maximum)
        names.add(f"{repeat.name}:{count}")
    for section in template.sections:
        inside = _inside(template, section.name)
        own = [
            p.name
            for p in blocks
               if p.category == section.category and p.name in inside]  # fmt: skip
        if all(values.get(name) for name in own) if own else values.get(section.name):
            names.add(section.name)
    return frozenset(names)


def _inside(template: Template, section: str) -> set[str]:
    pattern = re.compile(rf"\{{\{{#{section}\}}\}}(.*?)\{{\{{/{section}\}}\}}", re.DOTALL)
    blocks = (b[1] for _, source in template.texts() for b in pattern.finditer(source))
    return {mark[2] for block in blocks for mark in MARK.finditer(block) if mark[1] != "/"}


def compile_frame(
    template: Template, categories: frozenset[str], present: frozenset[str]
) -> Frame:
    """Lay a template out for people who agreed to `categories`; about 2 ms, keep the result.

    Args:
        template: As published.
        categories: Data categories agreed, from the permit; nothing else ever opens a slot.
        present: What there is to show, see `presence`.

    Raises:
        InvalidInput: The layout would lose a slot, load something, lead to an unlisted host or
            put a slot where it does not belong; or `present` counts beyond a repeat's maximum.
    """
    return _Compiler(template, categories, present).frame()


class Frames:
    """The frames of one template compiled so far, by agreed categories and contents.

    Grows by one frame per combination met. Not locked: two threads may compile the same one.
    """

    def __init__(self, template: Template) -> None:
        """Start empty; nothing is compiled before it is asked for."""
        self.template = template
        self._known: dict[tuple[frozenset[str], frozenset[str]], Frame] = {}

    def of(self, categories: frozenset[str], values: Values) -> Frame:
        """Return the frame for these categories and for what `values` can show."""
        slots = {slot.name for slot in self.template.slots}  # a gap shows its fallback when filled
        key = (categories & self.template.categories, presence(self.template, values) | slots)
        frame = self._known.get(key)
        if frame is None:
            frame = self._known[key] = compile_frame(self.template, *key)
        return frame


class _Compiler:
    """One compilation: resolves blocks, numbers the holes, lays out, encodes."""

    def __init__(
        self, template: Template, categories: frozenset[str], present: frozenset[str]
    ) -> None:
        self._template, self._categories, self._present = template, categories, present
        self._slots = {slot.name: slot for slot in template.slots}
        self._repeats = {repeat.name: repeat for repeat in template.repeats}
        self._sections = {section.name: section for section in template.sections}
        self._rounds = {name: self._count(name) for name in self._repeats}
        self._holes: list[Hole] = []
        self._numbers: dict[Hole, int] = {}

    def frame(self) -> Frame:
        t = self._template
        subject, preheader = self._expand(t.subject), self._expand(t.preheader)
        mjml, text = self._expand(t.mjml), self._expand(t.text)
        kinds = {number: hole.slot.escaping for number, hole in enumerate(self._holes)}
        self._check_subject(subject, kinds)
        hosts = layout.check_text(text, kinds, t.hosts)
        rendered = self._marked(layout.to_html(mjml, preheader, kinds, t.hosts))
        boundary = f"=_troth-{hashlib.sha256(t.mjml.encode() + t.text.encode()).hexdigest()[:24]}"
        body = _Body(self._holes)
        body.constant(_part_head(boundary, "plain"))
        body.text(text, as_html=False)
        body.constant(_part_head(boundary, "html"))
        body.text(rendered, as_html=True)
        body.constant(f"--{boundary}--\r\n")
        return self._made(body, subject, boundary, hosts | layout.hosts_in(rendered))

    def _marked(self, rendered: str) -> str:
        """Put the open mark at the end of the page, only where it is agreed and asked for."""
        name = links.OPEN_MARK
        if not self._template.pixel or not self._agreed(self._slots[name]):
            return rendered
        mark = layout.token(self._number(name, "", -1))
        image = f'<img src="{self._template.pixel}/{mark}" alt="" width="1" height="1">'
        head, end, rest = rendered.rpartition("</body>")
        return f"{head}{image}{end}{rest}" if end else rendered

    def _made(self, body: "_Body", subject: str, boundary: str, hosts: frozenset[str]) -> Frame:
        head, rest, places = body.split()
        used = sorted({hole for _, hole, _ in places} | set(_numbers_of(subject)))
        used = [number for number in used if self._holes[number].open]
        new = {number: place for place, number in enumerate(used)}
        return Frame(
            template=f"{self._template.name}@{self._template.version}",
            counts=tuple(sorted((n, c) for n, c in self._rounds.items() if c)),
            link_hosts=hosts | self._closed_hosts(),
            _hosts=self._template.hosts,
            _content_type=f'multipart/alternative;\r\n boundary="{boundary}"',
            _subject=self._subject(subject, new),
            _holes=tuple(self._holes[number] for number in used),
            _head=head,
            _state=hashlib.sha256(head),
            _rest=rest,
            _places=tuple((place, new[hole], as_html) for place, hole, as_html in places),
            skeleton=Skeleton.of(head, rest, tuple(place for place, _, _ in places)),
        )

    def _count(self, name: str) -> int:
        repeat = self._repeats[name]
        if repeat.category and repeat.category not in self._categories:
            return 0
        counts = [int(p.rpartition(":")[2]) for p in self._present if p.startswith(f"{name}:")]
        if len(counts) > 1 or any(not 0 <= count <= repeat.maximum for count in counts):
            raise InvalidInput(f"repeat {name} shows 0 to {repeat.maximum} items")
        return counts[0] if counts else 0

    def _expand(self, source: str, repeat: str = "", item: int = -1) -> str:
        """Return `source` with blocks resolved and a token for every slot."""
        if layout.TOKEN.search(source):
            raise InvalidInput("template: a text looks like a slot token", "reword it")
        out, at = [], 0
        while mark := MARK.search(source, at):
            out.append(source[at : mark.start()])
            at = mark.end()
            if mark[1] == "#":
                close = f"{{{{/{mark[2]}}}}}"
                end = source.index(close, at)
                out.append(self._block(mark[2], source[at:end], repeat, item))
                at = end + len(close)
            else:
                out.append(layout.token(self._number(mark[2], repeat, item)))
        return "".join((*out, source[at:]))

    def _block(self, name: str, inner: str, repeat: str, item: int) -> str:
        if name in self._repeats:
            return "".join(self._expand(inner, name, i) for i in range(self._rounds[name]))
        category = self._sections[name].category
        agreed = not category or category in self._categories
        return self._expand(inner, repeat, item) if agreed and name in self._present else ""

    def _number(self, name: str, repeat: str, item: int) -> int:
        owner, dot, inner = name.partition(".")
        if dot:
            slot = next(s for s in self._repeats[owner].slots if s.name == inner)
            hole = Hole(slot, repeat, item, self._agreed(slot))
        else:
            slot = self._slots[name]
            hole = Hole(slot, "", -1, self._agreed(slot) and name in self._present)
        if hole not in self._numbers:
            self._numbers[hole] = len(self._holes)
            self._holes.append(hole)
        return self._numbers[hole]

    def _agreed(self, slot: Slot) -> bool:
        return not slot.category or slot.category in self._categories

    def _closed_hosts(self) -> frozenset[str]:
        closed = (h.slot.fallback for h in self._holes if not h.open and h.slot.escaping == "link")
        return frozenset(headers.https_host(url) for url in closed)

    def _check_subject(self, subject: str, kinds: Mapping[int, Escaping]) -> None:
        if any(kinds[number] != "text" for number in _numbers_of(subject)):
            raise InvalidInput("template: a slot in the subject is no text", 'escaping = "text"')

    def _subject(self, subject: str, new: Mapping[int, int]) -> tuple[str | int, ...]:
        pieces = layout.TOKEN.split(subject)
        constant: list[str | int] = list(pieces)
        for place in range(1, len(pieces), 2):
            number = int(pieces[place])
            constant[place] = new.get(number, self._holes[number].slot.fallback)
        return tuple(constant)


def _numbers_of(text: str) -> list[int]:
    return [int(number) for number in layout.TOKEN.findall(text)]


def _part_head(boundary: str, subtype: str) -> str:
    return (
        f"--{boundary}\r\n"
        f"Content-Type: text/{subtype}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
    )


class _Body:
    """The body under construction: constant bytes, and holes between them."""

    def __init__(self, holes: Sequence[Hole]) -> None:
        self._holes = holes
        self._pieces: list[bytes] = [b""]
        self._places: list[tuple[int, int, bool]] = []

    def constant(self, text: str) -> None:
        self._pieces[-1] += text.encode("ascii")

    def text(self, text: str, *, as_html: bool) -> None:
        """Add a whole part: encoded text, a soft break before and after every slot."""
        pieces = layout.TOKEN.split(text.rstrip("\r\n") + "\n")
        for place, piece in enumerate(pieces):
            if place % 2:
                self._slot(int(piece), as_html=as_html)
                continue
            block = text_block(piece)
            soft = SOFT if block and not block.endswith("\r\n") else ""
            self.constant(block + soft)

    def _slot(self, number: int, *, as_html: bool) -> None:
        slot = self._holes[number].slot
        if not self._holes[number].open:
            value = escaped(slot.fallback, slot.escaping, as_html=as_html)
            self._pieces[-1] += value_line(value)
            return
        self._places.append((len(self._pieces), number, as_html))
        self._pieces += [b"", b""]

    def split(self) -> tuple[bytes, tuple[bytes, ...], list[tuple[int, int, bool]]]:
        """Return the constant head, the rest, and where in the rest each slot stands."""
        head, *rest = self._pieces
        return (
            head,
            tuple(rest),
            [(place - 1, hole, as_html) for place, hole, as_html in self._places],
        )
