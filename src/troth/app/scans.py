"""Sources that are not ours: their mappings, scans of them, and what drifted in between.

A scan is an event of the house before it begins. What it found is kept as names, types, guesses
and counts; a value never is. Personal data that no mapping knows raises an alarm, once a finding.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from troth import crypto
from troth.adapters import mapfiles, scanning
from troth.adapters.scanning import Limits, Source
from troth.adapters.system import SystemClock
from troth.app.workspace import Workspace
from troth.capabilities import custody
from troth.engines import datagraph
from troth.engines.datagraph import DataMap, Drift, SeenTable, Store
from troth.errors import Fault, InvalidInput, NotFound
from troth.kernel import events
from troth.kernel.desk import SYSTEM
from troth.ports import View
from troth.settings import Settings, source_secret
from troth.terms import DAY, Actor, Instant, Published, Role

TABLE = "map.scan"
NOTED = "map.noted"
MAY_SCAN = frozenset({Role.IT, Role.OFFICER, Role.SYSTEM})
_SERVERS = frozenset({"postgres", "mysql"})


@cache
def words() -> datagraph.Words:
    """Return what columns are called and look like, from the dated data file."""
    return datagraph.read_words(_columns())


@cache
def titles() -> Mapping[str, str]:
    """Return what categories are called that the house itself has no words for."""
    named: Mapping[str, str] = _columns()["titles"]
    return named


def _columns() -> dict[str, Any]:
    return tomllib.loads((files("troth") / "data/datamap/columns.toml").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Standing:
    """What the last scan of a source found; all of it names and counts.

    Attributes:
        at: When it ended, by the record's time.
        fault: Why nothing was found; "" where the scan went through.
        guarded: here, tls or open: how the way to the source was protected.
        alarms: Digest of the drift that is an alarm, so that each raises one once.
    """

    name: str
    at: Instant
    drift: tuple[Drift, ...] = ()
    tables: int = 0
    columns: int = 0
    personal: int = 0
    unreached: tuple[str, ...] = ()
    guarded: str = ""
    cut: str = ""
    fault: str = ""
    alarms: str = ""

    @property
    def alarming(self) -> tuple[Drift, ...]:
        """Personal data that no mapping knows, or knows as something else."""
        return tuple(each for each in self.drift if each.alarm)


# Categories, theirs and ours


@cache
def _back() -> Mapping[str, str]:
    """Return fideslang category → our own, the shortest of ours where several fit."""
    out: dict[str, str] = {}
    for ours, theirs in words().fideslang.items():
        if theirs not in out or len(ours) < len(out[theirs]):
            out[theirs] = ours
    return out


def all_ours(found: Iterable[str]) -> tuple[str, ...]:
    """Return our own categories for some of fideslang, each once."""
    return tuple(sorted({ours_of(each) for each in found}))


def ours_of(theirs: str) -> str:
    """Return our own category for a fideslang one, or for the nearest above it, else itself.

    >>> ours_of("user.contact.address.street"), ours_of("system.operations")
    ('contact.post', 'system.operations')
    """
    key = theirs
    while key:
        if key in _back():
            return _back()[key]
        key = key.rpartition(".")[0]
    return theirs


def theirs(category: str) -> str:
    """Return the fideslang name of a category of ours, `user` where the data knows none."""
    return words().fideslang.get(category, "user")


# Mappings, as published


def mappings(view: View) -> DataMap:
    """Return every published mapping, put together.

    Raises:
        InvalidInput: Two of them describe one store or system.
        Unavailable: There are some, and the extra `[map]` is not installed.
    """
    newest = {p.name: p for p in view.published_all("map:")}
    return datagraph.merge({name: _read(p.name, p.digest, p.data) for name, p in newest.items()})


@cache
def _read(name: str, digest: str, data: bytes) -> DataMap:
    del digest
    return mapfiles.read_map(data, f"map/{name.removeprefix('map:')}.yml")


def read_mapping(published: Published) -> DataMap | None:
    """Return one published mapping; None where it does not read here: the extra is missing."""
    try:
        return _read(published.name, published.digest, published.data)
    except Fault:
        return None


def publish(opened: Workspace, actor: Actor) -> list[Published]:
    """Publish the drafts under `map/` that changed, with an event each; all or none.

    Raises:
        InvalidInput: A mapping does not read, two describe one store, or this role may not.
    """
    _may(actor)
    drafts = mapfiles.map_drafts(opened.settings.folder)
    datagraph.merge({name: mapfiles.read_map(raw, name) for name, raw in drafts.items()})
    done = custody.apply(opened.desk, drafts)
    note_published(opened, actor)
    return done


def note_published(opened: Workspace, actor: Actor = SYSTEM) -> None:
    """Book an event for each mapping published since the last look, however it was."""
    with opened.store.look() as view:
        newest = {p.name: p for p in view.published_all("map:")}
        due = [
            p for name, p in sorted(newest.items())
            if view.row(NOTED, name.encode()) != p.digest.encode()
        ]  # fmt: skip
    for each in due:
        counts = dict(datagraph.counts(_read(each.name, each.digest, each.data)))
        told = events.MapActed("mapped", each.name.removeprefix("map:"), each.digest, counts)
        opened.desk.record_house(told, actor)
        with opened.store.book() as tx:
            tx.put_row(NOTED, each.name.encode(), each.digest.encode())


def import_file(opened: Workspace, path: Path, actor: Actor) -> tuple[str, Mapping[str, int]]:
    """Lay a Fides mapping under `map/` as it is, after reading it whole, and publish it.

    Returns:
        The draft's name, and what it describes.

    Raises:
        InvalidInput: It does not read; nothing was written.
        NotFound: There is no such file.
    """
    _may(actor)
    if not path.is_file():
        raise NotFound("there is no such mapping file", "check the path")
    held = mapfiles.read_map(path.read_bytes(), path.name)
    name = "".join(s if s.isalnum() or s in "-_" else "-" for s in path.stem.lower())[:60] or "map"
    folder = opened.settings.folder / "map"
    folder.mkdir(exist_ok=True)
    target = folder / f"{name}.yml"
    before = target.read_bytes() if target.is_file() else None
    target.write_bytes(mapfiles.write_map(held))
    try:
        publish(opened, actor)
    except Fault:
        if before is None:
            target.unlink()
        else:
            target.write_bytes(before)
        raise
    return name, datagraph.counts(held)


# Scans


def source(settings: Settings, name: str) -> Source:
    """Return a source as `[sources.NAME]` says, with how it is reached.

    Raises:
        NotFound: There is no such source.
        Unavailable: How it is reached is not known.
    """
    said = settings.sources.get(name)
    if said is None:
        raise NotFound("there is no such source", "list it in troth.toml: [sources.NAME]")
    kind = str(said.get("kind", ""))
    path = settings.folder / str(said["path"]) if said.get("path") else None
    return Source(name, kind, path, source_secret(settings, name) if kind in _SERVERS else "")


def scan(opened: Workspace, name: str, actor: Actor = SYSTEM) -> Standing:
    """Scan one source and compare it with its mapping; alarms are raised for what is unmapped.

    A source that does not answer is kept as such: what was known of it before is not called good.

    Raises:
        InvalidInput: This role may not.
        NotFound: There is no such source.
    """
    _may(actor)
    note_published(opened)
    before = standing(opened).get(name)
    if name not in opened.settings.sources:
        raise NotFound("there is no such source", "list it in troth.toml: [sources.NAME]")
    opened.desk.record_house(events.MapActed("scanned", name), actor)
    try:
        found = _found(opened, name)
    except Fault as fault:
        with opened.store.look() as view:
            found = Standing(name, view.now, fault=f"{fault.message}; {fault.remedy}")
    _keep(opened, found, before, actor)
    return found


def _found(opened: Workspace, name: str) -> Standing:
    s, clock = opened.settings, SystemClock()
    said = s.sources[name]
    limits = Limits(rows=int(said.get("rows", 200)))
    regions = [str(each) for each in said.get("regions", ())] or [str(said.get("country", ""))]
    with scanning.opened(source(s, name), limits.seconds, clock) as reader:
        seen = scanning.scan(reader, words(), regions, limits, clock)
    with opened.store.look() as view:
        mapped = mapped_store(mappings(view), name, said)
        at = view.now
    drift = compare(mapped, seen.tables)
    columns = [each for table in seen.tables for each in table.columns]
    return Standing(
        name=name,
        at=at,
        drift=tuple(drift[:KEPT]),
        tables=len(seen.tables),
        columns=len(columns),
        personal=sum(1 for each in columns if each.guess),
        unreached=tuple(f"{t.name}: {t.fault}" for t in seen.tables if t.fault)[:KEPT],
        guarded=seen.guarded,
        cut=seen.cut,
        alarms=_digest([each for each in drift if each.alarm]),
    )


KEPT = 2_000
"""How many differences of one scan are kept; those to be looked at first come first."""


def compare(mapped: Store | None, seen: Sequence[SeenTable]) -> list[Drift]:
    """Compare a mapping with a scan's tables; one that was not reached is neither new nor gone."""
    looked = {table.name: table for table in seen if table.columns or not table.fault}
    blind = {table.name for table in seen} - looked.keys()
    held = {each.name for each in mapped.collections} if mapped else set()
    found = datagraph.drift(mapped, looked, words().fideslang)
    kept = [d for d in found if not (d.kind == "table_gone" and d.table in blind)]
    return kept + [Drift("table_new", name) for name in sorted(blind - held)]


def mapped_store(held: DataMap, name: str, said: Mapping[str, Any]) -> Store | None:
    """Return the store a source is mapped as: the one its `mapping` names, or of its own name."""
    return held.store(str(said.get("mapping", name)))


def _digest(alarming: Sequence[Drift]) -> str:
    told = sorted((d.kind, d.table, d.column, d.now) for d in alarming)
    return crypto.sha256(msgspec.json.encode(told)).hex() if told else ""


def _keep(opened: Workspace, found: Standing, before: Standing | None, actor: Actor) -> None:
    """Keep what a scan found, and say so: drifted, settled, or an alarm where it is a new one."""
    desk = opened.desk
    counts = {
        "tables": found.tables, "columns": found.columns, "personal": found.personal,
        "drift": len(found.drift), "alarms": len(found.alarming),
        "unreached": len(found.unreached),
    }  # fmt: skip
    act = "drifted" if found.drift or found.fault else "settled"
    desk.record_house(events.MapActed(act, found.name, found.alarms or None, counts), actor)
    if found.alarms and (before is None or before.alarms != found.alarms):
        alarm = {"columns": len(found.alarming)}
        desk.record_house(events.AlarmRaised("map.drift", found.name, counts=alarm), SYSTEM)
    with opened.store.book() as tx:
        tx.put_row(TABLE, found.name.encode(), msgspec.json.encode(found))


def standing(opened: Workspace) -> dict[str, Standing]:
    """Return what the last scan of each source found."""
    with opened.store.look() as view:
        rows = view.rows(TABLE, b"", b"", 1_000)
    return {key.decode(): msgspec.json.decode(raw, type=Standing) for key, raw in rows}


def due(opened: Workspace) -> list[str]:
    """Name the sources whose next scan is due: `every_days` after the last."""
    known = standing(opened)
    with opened.store.look() as view:
        now = view.now
    return [
        name
        for name, said in opened.settings.sources.items()
        if said.get("every_days")
        and (name not in known or now - known[name].at >= int(said["every_days"]) * DAY)
    ]


def tend(opened: Workspace) -> None:
    """Scan what is due; what does not answer stays marked and is tried when it is due again."""
    for name in due(opened):
        with suppress(Fault):
            scan(opened, name)


def _may(actor: Actor) -> None:
    if actor.role not in MAY_SCAN:
        raise InvalidInput("this role keeps no data map", "ask IT or the privacy officer")
