"""Which ids are one human being, and which rows of own tables lead to a person."""

from collections.abc import Iterator, Sequence

from troth.ports import Transaction, View
from troth.terms import PersonId

ALIASES = "people.alias"
"""Key is the id that stays and the id merged into it; gone with an un-merge or an erasure."""
INDEX = "people.index"
"""Which rows of own tables lead to a person; key: psid, length and name of the table, row key."""


def keeper(view: View, person: PersonId) -> PersonId:
    """Return whom an id belongs to after merges; one unknown belongs to itself."""
    while found := view.gather([person], None):
        if not found[0].record.alias:
            break
        person = PersonId(bytes.fromhex(found[0].record.alias))
    return person


def aliases(view: View, person: PersonId) -> list[PersonId]:
    """Return every id merged into this one, at any remove."""
    out = []
    for key, _ in view.rows(ALIASES, person, b"", 10_000):
        alias = PersonId(key[len(person) :])
        out += [alias, *aliases(view, alias)]
    return out


def everybody(view: View, person: PersonId) -> list[PersonId]:
    """Return every id of the human being an id belongs to: the one that stays first."""
    kept = keeper(view, person)
    return [kept, *aliases(view, kept)]


def put_pointer(  # noqa: PLR0913 - a row and what goes with it
    tx: Transaction,
    person: PersonId,
    table: str,
    key: bytes,
    value: bytes,
    beside: Sequence[tuple[str, bytes, bytes]] = (),
) -> None:
    """Write a row that leads to a person, and note that it does, for the person's erasure.

    Rows `(table, key, value)` written `beside` it are noted with it, and go with it.
    """
    tx.put_row(table, key, value)
    for other, place, held in beside:
        tx.put_row(other, place, held)
    noted = b"".join([_noted(other, place) for other, place, _ in beside])
    tx.put_row(INDEX, _index_key(person, table, key), noted)


def _index_key(person: PersonId, table: str, key: bytes) -> bytes:
    name = table.encode()
    return person + len(name).to_bytes(1, "big") + name + key


def _noted(table: str, key: bytes) -> bytes:
    name = table.encode()
    return bytes((len(name),)) + name + bytes((len(key),)) + key


def _beside(noted: bytes) -> Iterator[tuple[str, bytes]]:
    while noted:
        cut = 1 + noted[0]
        end = cut + 1 + noted[cut]
        yield noted[1:cut].decode(), noted[cut + 1 : end]
        noted = noted[end:]


def pointers(view: View, person: PersonId) -> Iterator[tuple[str, bytes]]:
    """Yield table and key of every row noted as leading to a person; costs what they have."""
    after = b""
    while page := view.rows(INDEX, person, after, 500):
        for key, noted in page:
            cut = len(person) + 1 + key[len(person)]
            yield key[len(person) + 1 : cut].decode(), key[cut:]
            yield from _beside(noted)
        after = page[-1][0]


def drop_pointer(tx: Transaction, person: PersonId, table: str, key: bytes) -> None:
    """Delete a row that leads to a person, and the note of it."""
    tx.put_row(table, key, None)
    tx.put_row(INDEX, _index_key(person, table, key), None)
