"""Passkeys of customers: the public half, kept as rows that lead to their person and go with them.

A passkey is not needed by anybody; it spares the letter. It names nobody: the browser is told the
brand and a random handle, and an answer is looked up by the credential it names.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from troth import crypto
from troth.errors import Conflict, InvalidInput
from troth.kernel.desk import Desk, drop_pointer, everybody, put_pointer
from troth.ports import Passkeys, View
from troth.terms import Account, Instant, PersonId, Site

TABLE, OWN = "people.passkey", "people.passkey.own"
"""By credential; and whose they are: the person, then the credential's key."""
HANDLE_BYTES = 16
MOST = 5


class _Held(msgspec.Struct, array_like=True):
    person: bytes
    ident: bytes
    public: bytes
    count: int
    made: int
    used: int
    copied: bool


@dataclass(frozen=True, slots=True)
class OwnPasskey:
    """A passkey as its holder sees it; `key` names it in a form.

    Attributes:
        used: When it last opened something; 0 never.
        copied: Its count betrayed a copy: it opens nothing any more.
    """

    key: str
    made: Instant
    used: int
    copied: bool


def creation(  # noqa: PLR0913 - what a browser is asked
    desk: Desk, passkeys: Passkeys, site: Site, person: PersonId, title: str, challenge: bytes
) -> str:
    """Return, as JSON, what a browser needs to make a passkey; it learns no name."""
    handle = crypto.mac(desk.vault.keys.secret("token"), b"passkey" + person)[:HANDLE_BYTES]
    with desk.store.look() as view:
        held = [each.ident for _, _, each in _of(view, person)]
    account = Account(b"", "active", handle)
    return passkeys.creation(site, account, title, challenge, held)


def keep(  # noqa: PLR0913 - an answer and what it answers
    desk: Desk, passkeys: Passkeys, site: Site, person: PersonId, challenge: bytes, answer: str
) -> None:
    """Keep a passkey a browser made for somebody who is in.

    Raises:
        InvalidInput: The answer does not hold, or they have as many as there may be.
        Conflict: The passkey is kept already.
    """
    ident, public, count = passkeys.created(site, challenge, answer)
    key = _key(ident)
    with desk.store.book() as tx:
        if tx.row(TABLE, key) is not None:
            raise Conflict("this passkey is kept already", "use it, or make another")
        if len(_of(tx, person)) >= MOST:
            raise InvalidInput(f"a person has at most {MOST} passkeys", "remove one first")
        held = _Held(person, ident, public, count, tx.now, 0, copied=False)
        beside = [(OWN, person + key, b"1")]
        put_pointer(tx, person, TABLE, key, msgspec.msgpack.encode(held), beside)


def enter(
    desk: Desk, passkeys: Passkeys, site: Site, challenge: bytes, answer: str
) -> PersonId | None:
    """Return who comes in by a passkey; None is all that is said of a failure.

    A signature count that does not rise betrays a copy: that passkey opens nothing any more.
    """
    try:
        ident, _ = passkeys.named(answer)
    except InvalidInput:
        return None
    key = _key(ident)
    with desk.store.look() as view:
        raw = view.row(TABLE, key)
    held = msgspec.msgpack.decode(raw, type=_Held) if raw else None
    if held is None or held.copied:
        return None
    try:
        count = passkeys.asserted(site, challenge, held.public, answer)
    except InvalidInput:
        return None
    with desk.store.book() as tx:
        raw = tx.row(TABLE, key)  # erased, removed or used by another meanwhile
        if raw is None:
            return None
        now = msgspec.msgpack.decode(raw, type=_Held)
        now.copied |= bool(count or now.count) and count <= now.count
        now.count, now.used = max(count, now.count), tx.now
        tx.put_row(TABLE, key, msgspec.msgpack.encode(now))
        person = desk.keeper(tx, PersonId(now.person))
        found = tx.gather([person], None)
    if now.copied or not found or found[0].record.erasing:
        return None
    return person


def own(view: View, person: PersonId) -> list[OwnPasskey]:
    """Return somebody's passkeys, oldest first."""
    found = [
        OwnPasskey(key.hex(), Instant(each.made), each.used, each.copied)
        for _, key, each in _of(view, person)
    ]
    return sorted(found, key=lambda each: (each.made, each.key))


def remove(desk: Desk, person: PersonId, key: str) -> bool:
    """Delete one of somebody's own passkeys; False where it is not theirs."""
    with desk.store.book() as tx:
        mine = {each.hex(): (whose, each) for whose, each, _ in _of(tx, person)}
        if key not in mine:
            return False
        whose, place = mine[key]
        tx.put_row(OWN, whose + place, None)
        drop_pointer(tx, whose, TABLE, place)
    return True


def _of(view: View, person: PersonId) -> Sequence[tuple[PersonId, bytes, _Held]]:
    """Return under which of a person's ids each passkey was made, its key, and what is kept."""
    out = []
    for whose in everybody(view, person):
        for place, _ in view.rows(OWN, whose, b"", 100):
            raw = view.row(TABLE, place[len(whose) :])
            if raw is not None:
                held = msgspec.msgpack.decode(raw, type=_Held)
                out.append((whose, place[len(whose) :], held))
    return out


def _key(ident: bytes) -> bytes:
    return crypto.sha256(ident)
