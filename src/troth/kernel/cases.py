"""Why staff look at somebody: a reason that exists, is open, and contains the person.

A reason is named as `kind:id`. Cases are opened and closed in the chain of the person they are
about, requests are the person's own, and both leave a row here in the commit that books them, gone
at erasure. Audiences and campaigns are published; whom they contain, the narrowing says that ran.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

import msgspec

from troth.kernel import events
from troth.kernel.pointers import drop_pointer, everybody, put_pointer
from troth.ports import Transaction, View
from troth.terms import PERSON_BYTES, Instant, PersonId, Prepared, from_zulu

TABLE: Final = "access.case"
"""Reference, a slash, the person → the reason as it stands; no text of anybody."""
EVERYBODY: Final = "audience:all"
"""Everybody a purpose may reach: an audience that needs no publishing."""
OF_STAFF: Final = frozenset({"case", "request"})
"""Kinds that contain people by a row; the others contain whom a narrowing has just found."""
BY_HAND: Final = frozenset({"phone", "mail", "shop", "complaint"})
"""Sources of a case that nobody but the account itself vouches for."""
_REQUESTS_END: Final = frozenset({"fulfilled", "denied", "withdrawn", "expired"})
_REF = re.compile(r"(case|request|campaign|audience):[A-Za-z0-9._-]{1,64}")
_PAGE = 500

Stands = Literal["open", "closed", "unknown"]


@dataclass(frozen=True, slots=True)
class Held:
    """One reason as it stands for one person.

    Attributes:
        source: Where it came from: phone, mail, shop, ticket, reply, complaint or request.
        until: It is closed from here on; 0 has no end of its own.
        by: The account that opened it by hand, as the house chain names it; "" where nobody did.
        other: The request it is a duplicate of: open as long as that one is.
    """

    ref: str
    person: PersonId
    closed: bool
    source: str
    opened: Instant
    until: Instant
    by: str = ""
    other: str = ""

    def stands(self, at: Instant) -> bool:
        """Tell whether it is open at an instant."""
        return not self.closed and (not self.until or at < self.until)


@lru_cache(maxsize=4_096)
def kind_of(ref: str) -> str:
    """Return a reference's kind, "" where the text is none.

    >>> kind_of("case:T-1"), kind_of("she rang"), kind_of("")
    ('case', '', '')
    """
    found = _REF.fullmatch(ref)
    return found[1] if found else ""


def standing(view: View, ref: str) -> Stands:
    """Say whether a reason exists and is open; looks at nobody."""
    kind = kind_of(ref)
    if kind not in OF_STAFF:
        return "open" if kind and _published(view, kind, ref) else "unknown"
    found = "unknown"
    for each in about(view, ref):
        if _stands(view, each):
            return "open"
        found = "closed"
    return found  # type: ignore[return-value] # one of two of its words


def contains(view: View, ref: str, person: PersonId) -> bool:
    """Tell whether a case or request is open and about this person, under any of their ids."""
    if kind_of(ref) not in OF_STAFF:
        return False
    found = (held(view, ref, each) for each in everybody(view, person))
    return any(each is not None and _stands(view, each) for each in found)


def _stands(view: View, told: Held) -> bool:
    if told.stands(view.now):
        return True
    first = held(view, told.other, told.person) if told.other else None
    return first is not None and first.stands(view.now)


def held(view: View, ref: str, person: PersonId) -> Held | None:
    """Return a reason as it stands for exactly this id, None where it never named it."""
    raw = view.row(TABLE, _key(ref, person))
    return _read(ref, person, raw) if raw is not None else None


def about(view: View, ref: str) -> Iterator[Held]:
    """Yield a reason as it stands for each person it is about; a household may share a case."""
    prefix = ref.encode() + b"/"
    after = prefix
    while page := view.rows(TABLE, prefix, after, _PAGE):
        for key, raw in page:
            yield _read(ref, PersonId(key[-PERSON_BYTES:]), raw)
        after = page[-1][0]


def every(view: View) -> Iterator[Held]:
    """Yield every reason kept, open or closed, in the order of their references."""
    after = b""
    while page := view.rows(TABLE, b"", after, _PAGE):
        for key, raw in page:
            ref = key[: -PERSON_BYTES - 1].decode()
            yield _read(ref, PersonId(key[-PERSON_BYTES:]), raw)
        after = page[-1][0]


def project(tx: Transaction, prepared: Prepared) -> None:
    """Keep the row of a case or request in step with its chain, in the commit that books it."""
    said = prepared.payload
    if isinstance(said, events.CaseActed):
        _keep(tx, prepared, said)
    elif isinstance(said, events.RequestActed):
        _follow(tx, prepared, said)


def _keep(tx: Transaction, prepared: Prepared, said: events.CaseActed) -> None:
    ref = f"case:{said.case}"
    before = held(tx, ref, prepared.person)
    if said.act == "opened":
        until = from_zulu(said.until) if said.until else Instant(0)
        opened = Held(
            ref, prepared.person, closed=False, source=said.source, opened=prepared.at, until=until
        )
        put(tx, opened)
    elif before is not None:
        put(tx, replace(before, closed=True))


def _follow(tx: Transaction, prepared: Prepared, said: events.RequestActed) -> None:
    ref = f"request:{said.request}"
    if said.act == "opened":
        opened = Held(
            ref, prepared.person, closed=False, source="request", opened=prepared.at,
            until=Instant(0),
        )  # fmt: skip
        put(tx, opened)
    elif (before := held(tx, ref, prepared.person)) is not None:
        if said.act == "linked":
            put(tx, replace(before, closed=True, other=f"request:{said.other}"))
        elif said.act in _REQUESTS_END:
            put(tx, replace(before, closed=True))


def put(tx: Transaction, told: Held) -> None:
    """Write a reason's row and note that it leads to the person."""
    put_pointer(tx, told.person, TABLE, _key(told.ref, told.person), _value(told))


def restored(key: bytes, raw: bytes) -> bytes:
    """Return a row of a backup as it may come back: what somebody opened by hand is closed.

    It may have been closed since the backup, and the looks that came of it are not all logged any
    more: who still needs it opens it anew. Tickets, requests and answers come back as they were.
    """
    ref = key[: -PERSON_BYTES - 1].decode()
    told = _read(ref, PersonId(key[-PERSON_BYTES:]), raw)
    return _value(replace(told, closed=True)) if told.by or told.source in BY_HAND else raw


def forget(tx: Transaction, told: Held) -> None:
    """Delete a reason's row; what was read under it stays in the chain."""
    drop_pointer(tx, told.person, TABLE, _key(told.ref, told.person))


def _key(ref: str, person: PersonId) -> bytes:
    return ref.encode() + b"/" + person


def _value(told: Held) -> bytes:
    value = [told.closed, told.source, told.opened, told.until, told.by, told.other]
    return msgspec.json.encode(value)


def _read(ref: str, person: PersonId, raw: bytes) -> Held:
    closed, source, opened, until, by, other = msgspec.json.decode(raw)
    return Held(ref, person, closed, source, Instant(opened), Instant(until), by, other)


def _published(view: View, kind: str, ref: str) -> bool:
    if ref == EVERYBODY:
        return True
    made_of = ("campaign", "template") if kind == "campaign" else (kind,)
    name = ref.partition(":")[2]
    return any(view.published(f"{each}:{name}") is not None for each in made_of)
