"""Who holds an address, and how far an import came."""

from collections.abc import Callable

from troth.engines import contact as addresses
from troth.kernel.desk import Desk
from troth.ports import View
from troth.terms import Channel, PersonId

PROGRESS = "people.import"
Progress = Callable[[int], None]
"""Called with the number of rows done so far."""


def find_by_address(desk: Desk, view: View, channel: Channel, text: str) -> list[PersonId]:
    """Return everybody who holds this address (a shared mailbox has several), merged ids once."""
    normalised = addresses.normalise(channel, text)
    point = desk.contact(channel, normalised, addresses.NORMALISER)
    found = view.find(channel, point.bi)
    return list(dict.fromkeys(desk.keeper(view, person) for person in found))


def done_before(view: View, kind: str, digest: bytes) -> int:
    """Return how many data rows of this very file are taken in already."""
    raw = view.row(PROGRESS, kind.encode() + digest)
    return int(raw) if raw else 0
