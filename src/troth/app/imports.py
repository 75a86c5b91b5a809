"""Files in: customers, consents, behaviour, suppressions, registries; and the drafts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from troth import crypto
from troth.adapters.drafts import read_drafts
from troth.app.workspace import Workspace
from troth.capabilities import people, preferences
from troth.engines.intake import ImportReport, Kind, RegistryFile
from troth.ports import View

if TYPE_CHECKING:
    from troth.adapters.sources import Source

    OpenFile = Source[Any]


@dataclass(frozen=True, slots=True)
class Extras:
    """What an import may be told besides its file.

    Attributes:
        zone: IANA zone of times without an offset; "" refuses such rows.
        brand: Whose customers they are; "" the workspace's own brand.
        sensitive: Items kept apart, which no marketing purpose ever opens.
        registry: Name of the opt-out registry.
        progress: Told the number of rows done.
    """

    zone: str = ""
    brand: str = ""
    sensitive: frozenset[str] = frozenset()
    registry: str = "ZA"
    progress: Callable[[int], None] = lambda _done: None


def import_file(
    opened: Workspace,
    kind: Kind,
    path: Path,
    extras: Extras = Extras(),
) -> ImportReport:
    """Take a file in, resuming where an earlier run of the same file stopped.

    Raises:
        NotFound: There is no such file.
        InvalidInput: It cannot be read at all; rows that cannot are findings of the report.
    """
    from troth.adapters.sources import open_source

    desk = opened.desk
    brand, progress = extras.brand or opened.settings.brand, extras.progress
    if kind == "customers":
        rows = open_source(path, "customers", extras.zone)
        # with a zone, rows that lacked one are read anew; who is known stays as they are
        digest = crypto.sha256(rows.digest + extras.zone.encode()) if extras.zone else rows.digest
        done = _done(opened, people.done_before, kind, digest)
        report = people.import_customers(desk, rows.batches(done), digest, brand, progress)
        return _noted(rows, report)
    if kind == "consents":
        acts = open_source(path, "consents", extras.zone)
        done = _done(opened, preferences.done_before, kind, acts.digest)
        report = preferences.import_consents(desk, acts.batches(done), acts.digest, progress)
        return _noted(acts, report)
    if kind == "events":
        lines = open_source(path, "events", extras.zone)
        done = _done(opened, people.done_before, kind, lines.digest)
        report = people.import_events(
            desk, lines.batches(done), lines.digest, extras.sensitive, brand, progress
        )
        return _noted(lines, report)
    if kind == "suppressions":
        listed = open_source(path, "suppressions", extras.zone)
        report = preferences.import_suppressions(desk, listed.batches(), listed.digest, progress)
        return _noted(listed, report)
    file = open_source(path, "registry", extras.zone)
    report = ImportReport()
    blocked = preferences.apply_registry(
        desk,
        extras.registry,
        file.registry or RegistryFile(),
        file.batches(),
        file.digest,
        opened.registry_key,
    )
    report.outcomes["meets_somebody"] = blocked
    return _noted(file, report)


def _done(
    opened: Workspace, before: Callable[[View, str, bytes], int], kind: str, digest: bytes
) -> int:
    with opened.store.look() as view:
        return before(view, kind, digest)


def _noted(source: "OpenFile", report: ImportReport) -> ImportReport:
    report.note(source.notes)
    return report


def drafts(folder: Path) -> dict[str, bytes]:
    """Return every draft of a workspace folder by its published name; see `read_drafts`."""
    return read_drafts(folder)


def open_file(kind: Kind, path: Path, zone: str = "") -> "OpenFile":
    """Look at a file to be imported, without taking it in; see `sources.open_source`."""
    from troth.adapters.sources import open_source

    return open_source(path, kind, zone)
