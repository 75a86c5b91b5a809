"""Audiences: the engine's copy rebuilt, an audience read, its candidates found."""

import re
from typing import TYPE_CHECKING

from troth import crypto
from troth.app.workspace import Workspace
from troth.capabilities import insight, rights
from troth.errors import NotFound
from troth.kernel import audience, events
from troth.kernel.house import parse_toml
from troth.ports import View
from troth.terms import Actor, PersonId

if TYPE_CHECKING:
    from troth.adapters.reach import Reach


def rebuild_reach(opened: Workspace, actor: Actor) -> int:
    """Build the next audience generation from the record; return how many people are in it.

    One house event before it runs; needs the extra `[reach]`.
    """
    from troth.adapters.reach import PersonRow, PurchaseColumns, ReachWriter

    desk = opened.desk
    with opened.store.look() as view:
        told = events.SetProcessed("rebuild", "reach", view.log.size, {}, "", "personalise")
    desk.record_house(told, actor)

    def columns(page: list[insight.Bought]) -> PurchaseColumns:
        names = sorted({group for one in page for group in one.groups})
        places = {name: i for i, name in enumerate(names)}
        money = sorted({one.currency for one in page})
        return PurchaseColumns(
            people=[one.person for one in page],
            runs=[len(one.days) for one in page],
            days=[day for one in page for day in one.days],
            groups=[places[group] for one in page for group in one.groups],
            units=[units for one in page for units in one.units],
            minor=[minor for one in page for minor in one.minor],
            currencies=[money.index(one.currency) for one in page for _ in one.days],
            names=names,
            money=money,
        )

    with opened.store.look() as view:
        writer = ReachWriter(opened.settings.reach)
        built = writer.rebuild(
            (
                [PersonRow(r.person, r.known, zone=r.zone, subject=r.subject) for r in page]
                for page in insight.rows(desk, view)
            ),
            (columns(page) for page in insight.agreed_purchases(desk, view, actor) if page),
            view.now,
            view.log.size,
        )
    with opened.store.look() as view:
        if rights.erased_since(view, 0):
            writer.prune(1)  # the generation before still holds whoever left since
    return built.people


def read_audience(opened: Workspace, name: str) -> audience.Audience:
    """Read audiences/NAME.toml.

    Raises:
        NotFound: No such audience.
        InvalidInput: It does not read; names the place.
    """
    path = opened.settings.folder / "audiences" / f"{name}.toml"
    if not _NAME.fullmatch(name) or not path.is_file():
        raise NotFound(f"there is no audience {name}", "write audiences/NAME.toml")
    return audience.parse_audience(parse_toml(f"audiences/{name}.toml", path.read_bytes()))


_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def decided(opened: Workspace, campaign: str) -> int:
    """Return how many people a campaign booked a message for and still knows."""
    with opened.store.look() as view:
        prefix = crypto.sha256(campaign.encode())[:8]
        return len(view.rows("outreach.done", prefix, b"", 2**31))


def narrow(opened: Workspace, name: str) -> tuple[audience.Audience, list[PersonId]]:
    """Return an audience's candidates; people with newer events are judged from the record.

    Raises:
        NotFound: No such audience, or no generation yet.
        Unavailable: The extra is not installed.
    """
    wanted = read_audience(opened, name)
    reach = opened.reach()
    try:
        return wanted, _candidates(opened, reach, wanted)
    finally:
        reach.close()  # a reader that is left open keeps an old generation from being deleted


def _candidates(opened: Workspace, reach: "Reach", wanted: audience.Audience) -> list[PersonId]:
    current = reach.current()
    if current is None:
        raise NotFound("no audience generation was built yet", "run: troth audience rebuild")
    with opened.store.look() as view:
        gone = set(rights.erased_since(view, current.ledger_size))
        newer = [*_changed_since(view, current.ledger_size), *gone]
        found = [p for batch in reach.narrow(wanted, view.now, newer) for p in batch]
        known = {row.person: row for page in insight.rows(opened.desk, view) for row in page}
        again = [
            p
            for p in newer
            if p in known
            and p not in gone
            and audience.evaluate(wanted, known[p].known, view.now) is not False
        ]
    return sorted([*found, *again])


def _changed_since(view: View, size: int) -> list[PersonId]:
    out: dict[PersonId, None] = {}
    while bodies := view.body_at(size, 5_000):
        out |= dict.fromkeys(body.person for body in bodies)
        size = bodies[-1].seq + 1
    return list(out)
