"""A compiled frame and how it is filled for one person; `frame.compile_frame` makes one."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from troth.engines.mail import headers
from troth.engines.mail.dkim import REF_HEADER, Draft
from troth.engines.mail.packing import Skeleton
from troth.engines.mail.quoted import value_line
from troth.engines.mail.template import Escaping, Slot
from troth.errors import InvalidInput

if TYPE_CHECKING:
    from hashlib import _Hash

Values = Mapping[str, str | Sequence[Mapping[str, str]]]
"""What a person's message is filled with; empty strings count as absent."""

ONE_CLICK = "List-Unsubscribe=One-Click"

_HOUSE_WORDS = frozenset({"why", "used"})
_SAFE_PART = re.compile(r"[A-Za-z0-9_.~-]*")
_PERCENT = tuple(
    chr(byte) if _SAFE_PART.fullmatch(chr(byte)) else f"%{byte:02X}" for byte in range(256)
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What one message says about itself; everything here becomes a header.

    Attributes:
        message_id: `left@right`, with or without angle brackets.
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
class Hole:
    """One place to fill: which slot (of which item of which repeat), and whether it is open.

    Attributes:
        shared: Its values are the house's own words, few and the same for many people.
    """

    slot: Slot
    repeat: str
    item: int
    open: bool
    shared: bool = field(init=False)

    def __post_init__(self) -> None:
        """Tell the house's words from what is one person's."""
        object.__setattr__(self, "shared", self.slot.name in _HOUSE_WORDS)

    def given(self, values: Values) -> str:
        """Return the checked value of this place, or the fallback where none is given."""
        value = values.get(self.slot.name) if not self.repeat else self._item(values)
        slot = self.slot
        if not value:
            return slot.fallback
        if not isinstance(value, str):
            raise InvalidInput(f"the value of slot {slot.name} is no text")
        if len(value) <= slot.max_chars and value.isascii() and value.isprintable():
            return value
        return headers.one_line(value, f"the value of slot {slot.name}", slot.max_chars)

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
    _holes: tuple[Hole, ...]
    _head: bytes = field(repr=False)
    _state: "_Hash" = field(repr=False, compare=False)
    _rest: tuple[bytes, ...] = field(repr=False)
    _places: tuple[tuple[int, int, bool], ...] = field(repr=False)
    skeleton: Skeleton = field(repr=False)

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
        body, digest, filled = self._body(given)
        subject = "".join([p if isinstance(p, str) else given[p] for p in self._subject])
        listed = self._headers(envelope, subject)
        return Draft(listed, body, digest, subject, tuple(sorted(hosts)), filled)

    def _body(self, given: list[str]) -> tuple[bytes, bytes, tuple[bytes, ...]]:
        pieces = list(self._rest)
        lines = [
            (_shared if hole.shared or value is hole.slot.fallback else _lines)(
                value, hole.slot.escaping
            )
            for hole, value in zip(self._holes, given, strict=True)
        ]
        filled = tuple([lines[hole][as_html] for _, hole, as_html in self._places])
        for (place, _, _), value in zip(self._places, filled, strict=True):
            pieces[place] = value
        rest = b"".join(pieces)
        state = self._state.copy()
        state.update(rest)
        return self._head + rest, state.digest(), filled

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
            ("Date", _date(envelope.date_s)),
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


_date = lru_cache(maxsize=64)(headers.date)
"""A batch is written at one look: its messages bear one date."""


def _listed(url: str, slot: Slot, hosts: frozenset[str]) -> str:
    host = headers.https_host(url)
    if host not in hosts:
        raise InvalidInput(f"the value of slot {slot.name} is no https link to a listed host")
    return host


def _lines(value: str, escaping: Escaping) -> tuple[bytes, bytes]:
    """Return the value encoded for the plain part and for the HTML part."""
    if escaping == "part":
        line = value_line(escaped(value, escaping, as_html=False))
        return line, line
    line = value_line(value)
    in_html = html.escape(value)
    return line, line if in_html == value else value_line(in_html)


_shared = lru_cache(maxsize=1024)(_lines)
"""The house's own words are encoded once; a person's never stay in memory."""


def escaped(value: str, escaping: Escaping, *, as_html: bool) -> str:
    """Return a value as its place in the plain part or in HTML needs it."""
    if escaping == "part":
        return value if _SAFE_PART.fullmatch(value) else _percent(value)
    return html.escape(value) if as_html else value


def _percent(value: str) -> str:
    return "".join(map(_PERCENT.__getitem__, value.encode()))
