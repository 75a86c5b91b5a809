"""Audiences: the engine's copy rebuilt, an audience read, its candidates found."""

import gc
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from troth.app.workspace import Workspace
from troth.capabilities import insight, outreach, rights
from troth.errors import InvalidInput, NotFound
from troth.kernel import audience, events, profiles
from troth.kernel.columns import Columns
from troth.kernel.desk import SYSTEM, Desk
from troth.ports import View
from troth.terms import Actor, PersonId

if TYPE_CHECKING:
    from troth.adapters.reach import PersonRow, Reach


def rebuild_reach(
    opened: Workspace, actor: Actor, progress: Callable[[int], None] = lambda _done: None
) -> int:
    """Build the next audience generation from the record; return how many people are in it.

    One house event before it runs; needs the extra `[reach]`. What is there stays in use until the
    next is whole; a rebuild that was killed is begun again, and nothing of it is left.

    Args:
        opened: The workspace.
        actor: Who rebuilds.
        progress: Told how many people are in so far.
    """
    from troth.adapters.reach import ReachWriter

    desk = opened.desk
    with opened.store.look() as view:
        told = events.SetProcessed("rebuild", "reach", view.log.size, {}, "", "personalise")
    desk.record_house(told, actor)
    with opened.store.look() as view:
        writer = ReachWriter(opened.settings.reach, sensitive=refused_words())
        pages = insight.everything(desk, view, actor)
        filled = (_filled(desk, page) for page in pages)
        with uncollected():
            built = writer.rebuild_pages(filled, view.now, view.log.size, progress)
    with opened.store.look() as view:
        if rights.erased_since(view, 0):
            writer.prune(1)  # the generation before still holds whoever left since
    return built.people


@contextmanager
def uncollected() -> Iterator[None]:
    """Put off the search for unreachable circles: millions of rows pass here and make none."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _filled(desk: Desk, page: insight.Page) -> "tuple[list[PersonRow], Columns]":
    """Shape one page as the writer takes it."""
    from troth.adapters.reach import PersonRow

    member = desk.scribe.member
    rows = [
        PersonRow(row.person, row.known, zone=row.zone, subject=row.subject,
                  split=profiles.split(gathered), member=member(row.person))
        for row, gathered in zip(page.rows, page.gathered, strict=True)
    ]  # fmt: skip
    return rows, page.bought


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
        return outreach.decided(view, campaign)


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
