"""Who holds an address, and how far an import came."""

from collections.abc import Callable

from troth.engines import contact as addresses
from troth.errors import InvalidInput, NotFound
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


def whom(desk: Desk, view: View, outside: str, address: str = "") -> PersonId:
    """Return the one person an outside id means, or without one an e-mail address; opens nothing.

    Whoever was merged into another is found as the one who stayed.

    Raises:
        NotFound: Nobody is known under either.
        InvalidInput: Several people share the address, or it is none.
    """
    found = desk.find(view, outside) if outside else None
    known = [desk.keeper(view, found)] if found else []
    if not known and address:
        known = find_by_address(desk, view, Channel.EMAIL, address)
    if not known:
        raise NotFound(
            "nobody is known under this", "give the customer number (outside id) or the address"
        )
    if len(known) > 1:
        raise InvalidInput(
            f"{len(known)} people share this address", "give the customer number of one"
        )
    return known[0]


def done_before(view: View, kind: str, digest: bytes) -> int:
    """Return how many data rows of this very file are taken in already."""
    raw = view.row(PROGRESS, kind.encode() + digest)
    return int(raw) if raw else 0
