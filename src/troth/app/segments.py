"""Segments: read, counted, checked for fairness, published. What the page and the command ask."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from troth.app.audiences import changed_since, named_audience
from troth.app.workspace import Workspace
from troth.capabilities import insight, outreach, rights
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import audience, events
from troth.kernel.house import parse_toml
from troth.ports import View
from troth.terms import Actor, Instant, PersonId, Published

if TYPE_CHECKING:
    from troth.adapters.reach import Reach

_NOBODYS = Published("template:none", 0, Instant(0), "", b"")
PREFIX = "segment:"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a look at a segment may say: numbers or why there are none, and its fairness."""

    wanted: audience.Audience
    counted: insight.Counted | insight.Withheld
    fairness: insight.Fairness


@dataclass(frozen=True, slots=True)
class Edition:
    """What somebody publishes: the text, the version they began from, why despite the check."""

    text: str
    seen: int = 0
    reason: str = ""


@cache
def _data(name: str) -> Mapping[str, Any]:
    return tomllib.loads((files("troth") / f"data/{name}.toml").read_text("utf-8"))


@cache
def proxies() -> insight.Proxies:
    """Return the shipped list of what may not be named and what may stand for it."""
    return insight.read_proxies(_data("proxies"))


def segment_defaults() -> Mapping[str, Any]:
    """Return where the form begins: thresholds of scores, days of stages."""
    shipped = _data("segments")
    return {"scores": shipped["scores"], "stages": shipped["stages"]}


def segment_limits(opened: Workspace) -> insight.Limits:
    """Return the rules of showing; the house's own k goes before the shipped one, upwards only."""
    shipped = dict(_data("segments")["limits"])
    with opened.store.look() as view:
        house = view.published("house")
    own = parse_toml("troth.toml", house.data).get("limits", {}) if house else {}
    asked = own.get("segment_k")
    k = max(shipped["k"], asked) if type(asked) is int else shipped["k"]
    return insight.Limits(**{**shipped, "k": k})


def _bounds(limits: insight.Limits) -> insight.Bounds:
    shipped = _data("segments")["fairness"]
    return insight.Bounds(
        shipped["ratio_low"],
        shipped["ratio_high"],
        shipped["confidence"],
        shipped["left_out_percent"],
        limits.k,
    )


def read_segment(text: str, place: str = "the segment") -> audience.Audience:
    """Read the text of a segment as somebody wrote it.

    Raises:
        InvalidInput: It does not read, or names what may not be named; says where.
    """
    found = audience.read_text(place, text, proxies().refused)
    named_audience(found.name)
    return found


def segment_versions(opened: Workspace, name: str) -> list[Published]:
    """Return every published version of a segment, oldest first."""
    with opened.store.look() as view:
        return insight.versions(view, named_audience(name))


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of the list; without `wanted` it may not be used any more, `fault` says why."""

    published: Published
    wanted: audience.Audience | None
    fault: str
    size: insight.Size | None
    used_by: Sequence[str]


def segments(opened: Workspace) -> list[Listed]:
    """Return every published segment, by name."""
    out = []
    with opened.store.look() as view:
        every = view.published_all("")
        for published in insight.newest(view):
            name = published.name.removeprefix(insight.PREFIX)
            wanted, fault = None, ""
            try:
                wanted = insight.read(published, proxies().refused)
            except InvalidInput as wrong:
                fault = str(wrong)
            used = insight.used_by(every, name)
            out.append(Listed(published, wanted, fault, insight.size_of(view, name), used))
    return out


# Counting


def count_audience(opened: Workspace, wanted: audience.Audience, actor: Actor) -> Answer:
    """Say how many are in a segment, may be reached, are kept out and by what; and how fair it is.

    One house event before anything is looked at; the gate's own preview is another.

    Raises:
        NotFound: No audience generation was built yet.
        Unavailable: The extra `[reach]` is not installed.
    """
    limits = segment_limits(opened)
    held = _look(opened, wanted, actor)
    fairness = _fairness(opened, wanted, held.crowds, limits)
    if (used_up := insight.spend(opened.desk, actor, limits)) is not None:
        return Answer(wanted, used_up, replace(fairness, shares=()))
    found = outreach.preview(opened.desk, _campaign(opened, wanted), held.people, actor)
    exact = insight.shown(held.crowds, found.reachable, found.refused, held.at, limits)
    seen = (audience.digest(wanted), held.sketch)
    counted = insight.admit(opened.desk, actor, seen, exact, limits)
    if counted is not exact:  # shares would tell what is kept back
        fairness = replace(fairness, shares=())
    return Answer(wanted, counted, fairness)


@dataclass(frozen=True, slots=True)
class _Held:
    crowds: Sequence[audience.Crowd]
    people: Sequence[PersonId]
    sketch: bytes
    at: Instant


def _look(opened: Workspace, wanted: audience.Audience, actor: Actor) -> _Held:
    from troth.adapters.reach.standing import sketch

    reach = opened.reach()
    try:
        current = reach.current()
        if current is None:
            raise NotFound("no audience copy was built yet", "build it: troth audience rebuild")
        told = events.SetProcessed(
            "count", audience.digest(wanted), current.ledger_size, {}, "", wanted.purpose
        )
        opened.desk.record_house(told, actor)
        with opened.store.look() as view:
            crowds, people = _stand(opened, view, reach, (wanted, actor))
            marks = sketch(people, insight.sketch_key(opened.desk))
            return _Held(crowds, people, marks, view.now)
    finally:
        reach.close()


def _stand(
    opened: Workspace, view: View, reach: "Reach", asked: tuple[audience.Audience, Actor]
) -> tuple[list[audience.Crowd], list[PersonId]]:
    """Return everybody by what keeps them out, and who is inside.

    Who has newer events than the generation is judged from the record, everybody else from it.
    """
    from troth.adapters.reach.standing import tally

    wanted, actor = asked
    current = reach.current()
    size = current.ledger_size if current else 0
    gone = set(rights.erased_since(view, size))
    newer = sorted({*changed_since(view, size), *gone})
    needed = frozenset(audience.categories(wanted) - audience.FACTS)
    fresh = [p for p in newer if p not in gone]
    rows = insight.rows_of(opened.desk, view, fresh, actor, needed)
    groups = tally(reach, wanted, view.now, newer)
    found = [p for batch in reach.narrow(wanted, view.now, newer) for p in batch]
    again = [r.person for r in rows if audience.evaluate(wanted, r.known, view.now) is True]
    crowds = insight.joined(groups, [(r.known, r.subject) for r in rows], wanted, view.now)
    return crowds, sorted([*found, *again])


def _campaign(opened: Workspace, wanted: audience.Audience) -> outreach.Campaign:
    """Ask the gate as a message under the segment's purpose would: no template is read."""
    return outreach.Campaign(
        f"{PREFIX}{wanted.name}",
        wanted.purpose,
        audience.digest(wanted),
        _NOBODYS,
        opened.sender(),
    )


# Fairness, publishing


def _fairness(
    opened: Workspace,
    wanted: audience.Audience,
    crowds: Sequence[audience.Crowd],
    limits: insight.Limits,
) -> insight.Fairness:
    with opened.store.look() as view:
        levels = opened.desk.house(view).levels
    return insight.check(wanted, crowds, proxies(), _bounds(limits), levels)


def check_fairness(opened: Workspace, wanted: audience.Audience, actor: Actor) -> insight.Fairness:
    """Check a segment before it is published; raises and records as `count_audience` does."""
    held = _look(opened, wanted, actor)
    return _fairness(opened, wanted, held.crowds, segment_limits(opened))


def publish_audience(opened: Workspace, name: str, edition: Edition, actor: Actor) -> Published:
    """Publish a segment as its next version, after its fairness check.

    Args:
        opened: The workspace.
        name: Its name; the text must carry the same.
        edition: Text, version it was begun from, and why if the check says to look again.
        actor: Who publishes.

    Raises:
        InvalidInput: It does not read, names what may not be named, or the check says to look
            again and no reason is given. Nothing was published.
        Conflict: Somebody published another version meanwhile.
        NotFound: Its purpose is not published, or there is no audience copy to check it against.
    """
    wanted = read_segment(edition.text)
    if wanted.name != named_audience(name):
        raise InvalidInput("the segment carries another name", "keep its name")
    limits = segment_limits(opened)
    if len(edition.reason) > limits.note_characters:
        raise InvalidInput(
            f"the reason is longer than {limits.note_characters} characters", "shorten it"
        )
    held = segment_versions(opened, name)
    if (held[-1].version if held else 0) != edition.seen:
        raise Conflict(
            "somebody published another version of this segment meanwhile",
            "open it again, then make your change",
        )
    fairness = check_fairness(opened, wanted, actor)
    if fairness.verdict != "fine" and not edition.reason.strip():
        raise InvalidInput(
            "the fairness check says: look again", "write down why you publish it as it is"
        )
    noted = insight.noted(wanted, edition.reason if fairness.verdict != "fine" else "")
    made = insight.publish(opened.desk, noted, edition.seen, actor)
    with opened.store.look() as view:
        before, now = insight.size_of(view, name), view.now
    size = insight.Size(before.band if before else "not counted yet", fairness.verdict, now)
    insight.note_size(opened.desk, name, size)
    return made


def restore_audience(opened: Workspace, name: str, version: int, actor: Actor) -> Published:
    """Publish an earlier version again, as the next one; it is checked anew.

    Raises:
        NotFound: There is no such version.
        InvalidInput: It may not be published today; says why.
    """
    held = segment_versions(opened, name)
    found = next((p for p in held if p.version == version), None)
    if found is None:
        raise NotFound("there is no such version", "choose one from its history")
    earlier = insight.read(found, proxies().refused)
    reason = earlier.note or f"Version {version}, published before, is in force again."
    edition = Edition(audience.written(earlier), held[-1].version, reason)
    return publish_audience(opened, name, edition, actor)


def note_band(opened: Workspace, answer: Answer) -> None:
    """Keep how large a segment was, roughly, for the list; only if it is the published one."""
    held = segment_versions(opened, answer.wanted.name)
    if not held or not isinstance(answer.counted, insight.Counted):
        return
    published = insight.read(held[-1], frozenset())
    if audience.digest(published) == audience.digest(answer.wanted):
        verdict = str(answer.fairness.verdict)
        size = insight.Size(insight.band(answer.counted), verdict, answer.counted.at)
        insight.note_size(opened.desk, answer.wanted.name, size)
