"""A consent asked for on a page: taken in sealed, asked back at the address, then counted.

Taking one in does the same writes whoever holds the address, or nobody: it is kept sealed in a
queue until a later step looks. What comes of it is known only to whoever reads that address.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from troth import crypto
from troth.engines import contact as addresses
from troth.errors import EvidenceBroken, NotFound
from troth.kernel.desk import Desk, drop_pointer, pointers
from troth.kernel.vault import lp
from troth.ports import Transaction, View
from troth.terms import DAY, SECOND, Channel, Instant, PersonId

QUEUE, RATES, CONFIRMS, DUE = (
    "preferences.form.queue",
    "preferences.form.rate",
    "preferences.form.confirm",
    "preferences.form.due",
)
LEASE = 60 * SECOND
_TOKEN = 40


class Wanted(msgspec.Struct, array_like=True, frozen=True):
    """What somebody ticked on a form.

    Attributes:
        address: In its one spelling.
        notice: `name@version` shown beside it, in `language`.
        proof: Names the form sent, never its content.
    """

    channel: str
    address: str
    purpose: str
    notice: str
    language: str
    proof: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """One entry of the queue."""

    key: bytes
    wanted: Wanted


class Pending(msgspec.Struct, array_like=True, frozen=True):
    """What a letter's link leads to.

    Attributes:
        person: Whom the letter went to.
        until: When the link is over.
    """

    person: bytes
    until: int
    channel: str
    purpose: str
    notice: str
    language: str
    proof: str


def submit(desk: Desk, wanted: Sequence[Wanted], most: int) -> None:
    """Take a form in, the same work for every address; one asked for too often is left unsent."""
    drawn = [(desk.randomness.take(8), desk.randomness.take(crypto.NONCE_BYTES)) for _ in wanted]
    with desk.store.book() as tx:
        for each, (row, nonce) in zip(wanted, drawn, strict=True):
            key = tx.now.to_bytes(8, "big") + row
            good = _counted(desk, tx, each, most)
            plain = msgspec.msgpack.encode([each, good])
            tx.put_row(QUEUE, key, bytes(8) + nonce + _aead(desk).seal(nonce, plain, key))


def _aead(desk: Desk) -> crypto.Aead:
    return crypto.Aead(crypto.hkdf(desk.vault.keys.secret("token"), b"troth/form"))


def _counted(desk: Desk, tx: Transaction, wanted: Wanted, most: int) -> bool:
    point = desk.contact(Channel(wanted.channel), wanted.address, addresses.NORMALISER)
    key = crypto.mac(desk.vault.keys.secret("token"), lp(b"form", point.sup))[:16]
    held = tx.row(RATES, key)
    times = [at for at in (msgspec.msgpack.decode(held) if held else []) if at > tx.now - DAY]
    good = len(times) < most
    tx.put_row(RATES, key, msgspec.msgpack.encode([*times, tx.now] if good else times))
    return good


def take(desk: Desk, limit: int) -> list[Waiting]:
    """Take forms from the queue, each for a while; what a dead worker left is taken again."""
    out: list[Waiting] = []
    with desk.store.look() as view:
        if not view.rows(QUEUE, b"", b"", 1):
            return []
    with desk.store.book() as tx:
        for key, held in tx.rows(QUEUE, b"", b"", limit):
            if int.from_bytes(held[:8], "big") > tx.now:
                continue
            found = _read(desk, key, held)
            if found is None:
                tx.put_row(QUEUE, key, None)
                continue
            until = Instant(tx.now + LEASE)
            tx.put_row(QUEUE, key, until.to_bytes(8, "big") + held[8:])
            out.append(Waiting(key, found))
    return out


def _read(desk: Desk, key: bytes, held: bytes) -> Wanted | None:
    nonce, sealed = held[8 : 8 + crypto.NONCE_BYTES], held[8 + crypto.NONCE_BYTES :]
    try:
        plain = _aead(desk).open(nonce, sealed, key)
        wanted, good = msgspec.msgpack.decode(plain, type=tuple[Wanted, bool])
    except (EvidenceBroken, msgspec.DecodeError):
        return None
    return wanted if good else None


def end(desk: Desk, key: bytes) -> None:
    """Take a form out of the queue: its letter is booked, or none may be written."""
    with desk.store.book() as tx:
        tx.put_row(QUEUE, key, None)


def forget_counts(desk: Desk, limit: int) -> None:
    """Delete what counted forms by address, a day later."""
    with desk.store.look() as view:
        rows = view.rows(RATES, b"", b"", limit)
        old = [key for key, held in rows if max(msgspec.msgpack.decode(held)) <= view.now - DAY]
    if old:
        with desk.store.book() as tx:
            for key in old:
                tx.put_row(RATES, key, None)


def new_token(desk: Desk) -> str:
    """Draw the token of a letter's link; kept nowhere but in the letter."""
    return desk.randomness.take(_TOKEN // 2).hex()


def pending_row(desk: Desk, token: str, pending: Pending) -> tuple[str, bytes, bytes]:
    """Return the row that lets a link lead to what it asks; written with the letter."""
    return CONFIRMS, desk.token_key(f"form:{token}"), msgspec.msgpack.encode(pending)


def due_row(person: PersonId, until: int) -> tuple[str, bytes, bytes]:
    """Return the row by which somebody who never answered is found."""
    return DUE, until.to_bytes(8, "big") + person, b""


def is_due(view: View, person: PersonId) -> bool:
    """Tell whether somebody is here for a form alone and no letter of it was answered yet."""
    return any(table == DUE for table, _ in pointers(view, person))


def stay(tx: Transaction, person: PersonId) -> None:
    """Let somebody who came by a form stay, whichever of its letters they answered."""
    for table, key in [*pointers(tx, person)]:
        if table == DUE:
            drop_pointer(tx, person, DUE, key)


def read_pending(desk: Desk, view: View, token: str) -> Pending:
    """Return what a link asks; changes nothing.

    Raises:
        NotFound: Unknown, answered, or over.
    """
    raw = None
    if len(token) == _TOKEN and token.isascii():
        raw = view.row(CONFIRMS, desk.token_key(f"form:{token}"))
    found = None if raw is None else msgspec.msgpack.decode(raw, type=Pending)
    if found is None or found.until <= view.now:
        raise NotFound("this link is not known, was answered, or is over", "send the form again")
    return found


def settle(desk: Desk, token: str, pending: Pending) -> bool:
    """Use a link up; False where somebody was quicker. Whoever answered is here to stay."""
    person, key = PersonId(pending.person), desk.token_key(f"form:{token}")
    with desk.store.book() as tx:
        if tx.row(CONFIRMS, key) is None:
            return False
        drop_pointer(tx, person, CONFIRMS, key)
        stay(tx, person)
    return True


def unanswered(view: View, limit: int) -> list[PersonId]:
    """Return who is here for a form alone and never answered its letter."""
    rows = view.rows(DUE, b"", b"", limit)
    return [PersonId(key[8:]) for key, _ in rows if int.from_bytes(key[:8], "big") <= view.now]
