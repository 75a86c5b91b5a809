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
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from troth.engines.mail import headers, layout
from troth.engines.mail.dkim import REF_HEADER, Draft
from troth.engines.mail.quoted import SOFT, text_block, value_line
from troth.engines.mail.template import MARK, Escaping, Repeat, Slot, Template
from troth.errors import InvalidInput

if TYPE_CHECKING:
    from hashlib import _Hash

Values = Mapping[str, str | Sequence[Mapping[str, str]]]
"""What a person's message is filled with; empty strings count as absent."""

ONE_CLICK = "List-Unsubscribe=One-Click"

_SAFE_PART = re.compile(r"[A-Za-z0-9_.~-]*")
_PERCENT = tuple(
    chr(byte) if _SAFE_PART.fullmatch(chr(byte)) else f"%{byte:02X}" for byte in range(256)
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What one message says about itself; everything here becomes a header.

    Attributes:
        message_id: `<left@right>`.
        date_s: Unix seconds for Date.
        list_id: Dotted name of the list, or "" for none.
        unsubscribe_url: The one-click https URI (RFC 8058), or "" for service mail.
        ref: The message's ref in the sent ledger, or "".
    """

    from_name: str
    from_address: str
    to_address: str = field(repr=False)
    message_id: str
    date_s: int
    list_id: str = ""
    unsubscribe_url: str = field(default="", repr=False)
    ref: str = ""


@dataclass(frozen=True, slots=True)
class _Hole:
    """One place to fill: which slot (of which item of which repeat), and whether it is open."""

    slot: Slot
    repeat: str
    item: int
    open: bool

    def given(self, values: Values) -> str:
        """Return the checked value of this place, or the fallback where none is given."""
        value = values.get(self.slot.name) if not self.repeat else self._item(values)
        if not value:
            return self.slot.fallback
        if not isinstance(value, str):
            raise InvalidInput(f"the value of slot {self.slot.name} is no text")
        return headers.one_line(value, f"the value of slot {self.slot.name}", self.slot.max_chars)

    def _item(self, values: Values) -> str | None:
        items = values[self.repeat]
        if isinstance(items, str):
            raise InvalidInput(f"the value of repeat {self.repeat} is no list")
        return items[self.item].get(self.slot.name)


@dataclass(frozen=True, slots=True)
class Frame:
    """Constant bytes with holes, for one template, one set of categories, one set of contents.

    Made by `compile_frame`. Keep it while the template version lives; filling leaves no trace.

    Attributes:
        template: `name@version` it was compiled from.
        counts: Items shown per repeat.
        link_hosts: Hosts its constant links lead to.
    """

    template: str
    counts: tuple[tuple[str, int], ...]
    link_hosts: frozenset[str]
    _hosts: frozenset[str]
    _content_type: str
    _subject: tuple[str | int, ...]
    _holes: tuple[_Hole, ...]
    _head: bytes = field(repr=False)
    _state: "_Hash" = field(repr=False, compare=False)
    _rest: tuple[bytes, ...] = field(repr=False)
    _places: tuple[tuple[int, int, bool], ...] = field(repr=False)

    def fill(self, values: Values, envelope: Envelope) -> Draft:
        """Return the message for one person: encode the values, join, hash the rest.

        Raises:
            InvalidInput: A value is too long, holds a control character (CR, LF and NUL among
                them), is no link to a listed host where a link is due, or a repeat has another
                number of items than the frame; or an envelope field is malformed. The message
                names the slot or field, never the value.
        """
        self._same_counts(values)
        given = [hole.given(values) for hole in self._holes]
        hosts = set(self.link_hosts)
        for hole, value in zip(self._holes, given, strict=True):
            if hole.slot.escaping == "link":
                hosts.add(_listed(value, hole.slot, self._hosts))
        body, digest = self._body(given)
        subject = "".join(p if isinstance(p, str) else given[p] for p in self._subject)
        return Draft(self._headers(envelope, subject), body, digest, subject, tuple(sorted(hosts)))

    def _body(self, given: list[str]) -> tuple[bytes, bytes]:
        pieces = list(self._rest)
        lines = [
            _lines(value, hole.slot.escaping)
            for hole, value in zip(self._holes, given, strict=True)
        ]
        for place, hole, as_html in self._places:
            pieces[place] = lines[hole][as_html]
        rest = b"".join(pieces)
        state = self._state.copy()
        state.update(rest)
        return self._head + rest, state.digest()

    def _headers(self, envelope: Envelope, subject: str) -> tuple[tuple[str, str], ...]:
        headers.one_line(subject, "the subject", headers.SUBJECT_MAX)
        listed: list[tuple[str, str]] = []
        if envelope.list_id:
            listed.append(("List-Id", headers.list_id(envelope.list_id)))
        if envelope.unsubscribe_url:
            listed.append(("List-Unsubscribe", headers.unsubscribe(envelope.unsubscribe_url)))
            listed.append(("List-Unsubscribe-Post", ONE_CLICK))
        if envelope.ref:
            listed.append((REF_HEADER, headers.reference(envelope.ref)))
        return (
            ("From", headers.mailbox(envelope.from_name, envelope.from_address)),
            ("To", headers.address(envelope.to_address)),
            ("Subject", headers.unstructured(subject)),
            ("Date", headers.date(envelope.date_s)),
            ("Message-ID", headers.message_id(envelope.message_id)),
            ("MIME-Version", "1.0"),
            ("Content-Type", self._content_type),
            *listed,
        )

    def _same_counts(self, values: Values) -> None:
        for name, count in self.counts:
            if len(values.get(name, ())) != count:
                raise InvalidInput(
                    f"repeat {name} was compiled for {count} item(s)", "compile for this number"
                )


def _listed(url: str, slot: Slot, hosts: frozenset[str]) -> str:
    host = headers.https_host(url)
    if host not in hosts:
        raise InvalidInput(f"the value of slot {slot.name} is no https link to a listed host")
    return host


def _lines(value: str, escaping: Escaping) -> tuple[bytes, bytes]:
    """Return the value encoded for the plain part and for the HTML part."""
    plain = _escaped(value, escaping, as_html=False)
    in_html = _escaped(value, escaping, as_html=True)
    line = value_line(plain)
    return line, line if in_html == plain else value_line(in_html)


def _escaped(value: str, escaping: Escaping, *, as_html: bool) -> str:
    if escaping == "part":
        return value if _SAFE_PART.fullmatch(value) else _percent(value)
    return html.escape(value) if as_html else value


def _percent(value: str) -> str:
    return "".join(map(_PERCENT.__getitem__, value.encode()))


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
        self._holes: list[_Hole] = []
        self._numbers: dict[_Hole, int] = {}

    def frame(self) -> Frame:
        t = self._template
        subject, preheader = self._expand(t.subject), self._expand(t.preheader)
        mjml, text = self._expand(t.mjml), self._expand(t.text)
        kinds = {number: hole.slot.escaping for number, hole in enumerate(self._holes)}
        self._check_subject(subject, kinds)
        hosts = layout.check_text(text, kinds, t.hosts)
        rendered = layout.to_html(mjml, preheader, kinds, t.hosts)
        boundary = f"=_troth-{hashlib.sha256(t.mjml.encode() + t.text.encode()).hexdigest()[:24]}"
        body = _Body(self._holes)
        body.constant(_part_head(boundary, "plain"))
        body.text(text, as_html=False)
        body.constant(_part_head(boundary, "html"))
        body.text(rendered, as_html=True)
        body.constant(f"--{boundary}--\r\n")
        return self._made(body, subject, boundary, hosts | layout.hosts_in(rendered))

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
            hole = _Hole(slot, repeat, item, self._agreed(slot))
        else:
            slot = self._slots[name]
            hole = _Hole(slot, "", -1, self._agreed(slot) and name in self._present)
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

    def __init__(self, holes: Sequence[_Hole]) -> None:
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
            value = _escaped(slot.fallback, slot.escaping, as_html=as_html)
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
