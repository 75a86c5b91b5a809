"""Somebody new by an address they typed themselves: an id, a chain, the address sealed."""

from collections.abc import Callable

from troth.engines import contact as addresses
from troth.kernel import events
from troth.kernel.desk import SYSTEM, Desk, put_pointer
from troth.terms import NO_HEAD, Channel, PersonId


def create(  # noqa: PLR0913 - an address, how it came, and what is noted of it
    desk: Desk,
    channel: Channel,
    normalised: str,
    language: str,
    source: str,
    beside: Callable[[PersonId], tuple[str, bytes, bytes]],
) -> PersonId:
    """Make a person of whom nothing is known but an address nobody has confirmed yet.

    Nothing may be sent but a letter that asks; who never answers is to be erased by the caller.
    A crash in between leaves an id without anything under it.

    Args:
        desk: The desk.
        channel: The address's channel.
        normalised: The address in its one spelling.
        language: Of the form they used.
        source: Where they came from, such as `form`.
        beside: Returns a row that leads to them, written in the same commit: table, key, value.
    """
    person = desk.new_person()
    desk.vault.keys.make([(person, "", 1)])
    field = f"contact.{channel}"
    said: list[events.Payload] = [
        events.PersonCreated("natural", source),
        events.FactsRecorded(source=source, language=language or None),
        events.ContactAdded(channel, field, 0, 1, addresses.NORMALISER, source),
        events.ValuesSealed({field: 1}, source),
    ]
    with desk.store.look() as view:
        prepared = desk.scribe.prepare(person, NO_HEAD, said, SYSTEM, view.now)
        sealed = desk.vault.seal_values(person, {field: normalised}, {}, view.now)
    with desk.store.book() as tx:
        tx.append(prepared)
        tx.put_sealed(person, sealed)
        tx.put_contact(person, desk.contact(channel, normalised, addresses.NORMALISER))
        put_pointer(tx, person, *beside(person))
    return person
