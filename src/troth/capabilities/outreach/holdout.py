"""The standing holdout: a share of people who get no marketing, so that its effect can be told.

Who is in it is drawn once by a keyed digest of the id, the same for every campaign. It holds for a
person, not for a row: whoever shares their address, and every id they were merged with, goes
along, so that no merge and no second import of the same address ends it.
"""

from collections.abc import Iterable, Sequence

from troth import crypto
from troth.capabilities.outreach.model import BATCH, DONE, Campaign, done_key, puts_off
from troth.capabilities.outreach.views import judge, members_root
from troth.kernel import events, gate
from troth.kernel.desk import Desk, aliases, put_pointer
from troth.kernel.vault import lp
from troth.ports import View
from troth.terms import Actor, Channel, Instant, PersonId

HELD = "outreach.held"
WOULD, WOULD_NOT = b"1", b"0"


def held_out(desk: Desk, person: PersonId, share: int) -> bool:
    """Tell whether an id belongs to the standing holdout of so many per cent.

    The same ids in every campaign, and those of a smaller share are among those of a larger.
    """
    secret = desk.vault.keys.secret("staff")
    drawn = crypto.mac(secret, lp(b"holdout", person))
    return int.from_bytes(drawn[:4], "big") * 100 < share * 2**32


def standing(
    desk: Desk, people: Sequence[PersonId], channel: Channel, share: int
) -> frozenset[PersonId]:
    """Return who of these is held out, with those they share an address or a chain with.

    Costs about 15 µs a person, nothing where no share is held out.
    """
    out: set[PersonId] = set()
    for start in range(0, len(people) if share else 0, BATCH):
        with desk.store.look() as view:
            for one in view.gather(people[start : start + BATCH], channel):
                ids: Iterable[PersonId] = (one.person, *aliases(view, one.person))
                if one.contact is not None:
                    ids = (*ids, *view.holders(one.contact.sup))
                if any(held_out(desk, each, share) for each in ids):
                    out.add(one.person)
    return frozenset(out)


def keep(desk: Desk, campaign: Campaign, held: Iterable[PersonId], actor: Actor) -> int:
    """Keep who was held out of a campaign, and who of them it would have written to.

    Decided at the campaign's start, as the others are; only those are compared with them later.
    One house event first; nothing is opened, nothing leaves. Safe to repeat: the first answer
    stays. Return how many it would have written to.
    """
    people, would = sorted(held), 0
    if people:
        _announce(desk, campaign, people, actor)
    for start in range(0, len(people), BATCH):
        with desk.store.look() as view:
            judged = judge(desk, view, campaign, people[start : start + BATCH], actor)
            now = view.now
        with desk.store.book() as tx:
            for one in judged:
                key = done_key(campaign, one.gathered.person)
                asked = _would(campaign, one.answer, now)
                would += asked
                if tx.row(HELD, key) is None:
                    put_pointer(tx, one.gathered.person, HELD, key, WOULD if asked else WOULD_NOT)
    return would


def _announce(desk: Desk, campaign: Campaign, people: Sequence[PersonId], actor: Actor) -> None:
    with desk.store.look() as view:
        size = view.log.size
    said = events.SetProcessed(
        work="narrow",
        expression=campaign.expression,
        generation=size,
        counts={"held_out": len(people)},
        members=members_root(desk, people),
        purpose=campaign.purpose,
        campaign=campaign.name,
    )
    desk.record_house(said, actor)


def _would(campaign: Campaign, answer: object, now: Instant) -> bool:
    """Tell whether they would be written to, at another hour if not at this one."""
    return isinstance(answer, gate.Permit) or puts_off(campaign, answer, now)


def groups(view: View, campaign: str) -> tuple[list[PersonId], list[PersonId]]:
    """Return for whom a campaign booked a message, and whom it would have but held out."""
    first = crypto.sha256(campaign.encode())[:8]
    booked = [PersonId(key[8:]) for key, _ in _all(view, DONE, first)]
    held = [PersonId(key[8:]) for key, raw in _all(view, HELD, first) if raw == WOULD]
    return booked, held


def _all(view: View, table: str, prefix: bytes) -> Iterable[tuple[bytes, bytes]]:
    after = b""
    while page := view.rows(table, prefix, after, 5_000):
        yield from page
        after = page[-1][0]
