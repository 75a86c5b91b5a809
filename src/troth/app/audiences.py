"""Audiences: the engine's copy rebuilt, an audience read, its candidates found."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from troth import crypto
from troth.app.workspace import Workspace
from troth.capabilities import insight, rights
from troth.errors import InvalidInput, NotFound
from troth.kernel import audience, events, profiles
from troth.kernel.desk import SYSTEM
from troth.ports import View
from troth.terms import Actor, Channel, PersonId

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

    def shaped(page: list[insight.Row]) -> list[PersonRow]:
        held = view.gather([row.person for row in page], Channel.EMAIL)
        split = {each.person: profiles.split(each) for each in held}
        member = desk.scribe.member
        return [
            PersonRow(r.person, r.known, zone=r.zone, subject=r.subject, split=split[r.person],
                      member=member(r.person))
            for r in page
        ]  # fmt: skip

    with opened.store.look() as view:
        writer = ReachWriter(opened.settings.reach, sensitive=refused_words())
        built = writer.rebuild(
            (shaped(page) for page in insight.rows(desk, view, actor)),
            (columns(page) for page in insight.agreed_purchases(desk, view, actor) if page),
            view.now,
            view.log.size,
        )
    with opened.store.look() as view:
        if rights.erased_since(view, 0):
            writer.prune(1)  # the generation before still holds whoever left since
    return built.people


def named_audience(name: str) -> str:
    """Return a name that may be an audience's.

    Raises:
        NotFound: No audience can be called so.
    """
    if not _NAME.fullmatch(name):
        raise NotFound("there is no such audience", "use small letters, digits, - and _")
    return name


def read_audience(opened: Workspace, name: str) -> audience.Audience:
    """Read an audience as it is published: NAME, or NAME@VERSION.

    Raises:
        NotFound: No such audience, or no such version, is published.
        InvalidInput: It names what may not be named any more.
    """
    plain, _, version = name.removeprefix(insight.PREFIX).partition("@")
    with opened.store.look() as view:
        held = insight.versions(view, named_audience(plain))
    found = [p for p in held if not version or str(p.version) == version]
    if not found:
        remedy = "choose one of its versions" if held else "write it, then run: troth apply"
        raise NotFound(f"audience {plain} is not published so", remedy)
    return insight.read(found[-1], refused_words())


def read_draft(opened: Workspace, name: str) -> audience.Audience:
    """Read audiences/NAME.toml as it lies there, published or not.

    Raises:
        NotFound: There is no such file.
        InvalidInput: It does not read; names the place.
    """
    path = opened.settings.folder / "audiences" / f"{named_audience(name)}.toml"
    if not path.is_file():
        raise NotFound(f"there is no audience {name}", "write audiences/NAME.toml")
    place = f"audiences/{name}.toml"
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{place} is not UTF-8", "save it as UTF-8") from None
    return audience.read_text(place, text, refused_words())


@cache
def refused_words() -> frozenset[str]:
    """Return the words of goods from which nothing is inferred, as shipped."""
    raw = (files("troth") / "data/proxies.toml").read_text("utf-8")
    return insight.read_proxies(tomllib.loads(raw)).refused


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
    return wanted, narrow_to(opened, wanted)


def narrow_to(opened: Workspace, wanted: audience.Audience) -> list[PersonId]:
    """Return the candidates of an audience that is at hand; raises as `narrow` does."""
    reach = opened.reach()
    try:
        return _candidates(opened, reach, wanted)
    finally:
        reach.close()  # a reader that is left open keeps an old generation from being deleted


def _candidates(opened: Workspace, reach: "Reach", wanted: audience.Audience) -> list[PersonId]:
    current = reach.current()
    if current is None:
        raise NotFound("no audience generation was built yet", "run: troth audience rebuild")
    with opened.store.look() as view:
        gone = set(rights.erased_since(view, current.ledger_size))
        newer = [*changed_since(view, current.ledger_size), *gone]
        found = [p for batch in reach.narrow(wanted, view.now, newer) for p in batch]
        changed = [p for p in newer if p not in gone]
        needed = audience.categories(wanted) - audience.FACTS
        again = [
            row.person
            for row in insight.rows_of(opened.desk, view, changed, SYSTEM, needed)
            if audience.evaluate(wanted, row.known, view.now) is True
        ]
    return sorted([*found, *again])


def changed_since(view: View, size: int) -> list[PersonId]:
    """Return whose chain grew since the ledger had this size."""
    out: dict[PersonId, None] = {}
    while bodies := view.body_at(size, 5_000):
        out |= dict.fromkeys(body.person for body in bodies)
        size = bodies[-1].seq + 1
    return list(out)
