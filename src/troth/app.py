"""The only file that knows every part: settings → adapters → Workspace."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from troth import crypto
from troth.adapters.drafts import read_drafts
from troth.adapters.roles import RolePolicy
from troth.adapters.sqlite import keys as keystore
from troth.adapters.sqlite.record import SqliteStore
from troth.adapters.system import FixedClock, SystemClock, SystemRandomness
from troth.adapters.witness import FileJournal, FileSignedSize
from troth.capabilities import custody, insight, outreach, people, preferences, rights
from troth.engines import mail
from troth.engines.intake import ImportReport, Kind, RegistryFile
from troth.errors import Conflict, EvidenceBroken, Fault, InvalidInput, NotFound, Unavailable
from troth.kernel import audience, events, fold, following, ledger
from troth.kernel.desk import SYSTEM, Desk
from troth.kernel.house import parse_toml
from troth.kernel.scribe import Scribe
from troth.kernel.vault import Keyring, Vault
from troth.ports import Clock, LocalInbox, View
from troth.settings import Settings, read_settings
from troth.terms import (
    DENYING,
    SECOND,
    Actor,
    Instant,
    PersonId,
    Published,
    PurposeKind,
)

if TYPE_CHECKING:
    from troth.adapters.reach import Reach
    from troth.adapters.sources import Source

    OpenFile = Source[Any]

WORKSPACE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Workspace:
    """One responsible party, opened: every part wired, nothing decided here."""

    settings: Settings
    desk: Desk
    store: SqliteStore
    keys: keystore.FileKeyStore
    signer: custody.Signer
    clock: Clock

    def apply(self) -> list[Published]:
        """Publish the drafts that changed."""
        return custody.apply(self.desk, read_drafts(self.settings.folder))

    def sign(self) -> str:
        """Sign a checkpoint over what is committed; return the note."""
        return custody.sign(self.desk, self.signer)

    def verify(self) -> list[ledger.Finding]:
        """Recompute the whole ledger; an empty list means it is what its checkpoints say."""
        with self.store.look() as view:
            entries, tiles, notes = view.audit()
            stored = ledger.Stored(view.log.size, view.log.root, entries, tiles, notes)
            return ledger.verify(stored, self.signer.policy)

    def settle(self) -> None:
        """Fold the record's write-ahead log away; see `rights.erase`."""
        self.store.truncate_wal()

    def erase(self, person: PersonId, request: str, actor: Actor = SYSTEM) -> rights.Certificate:
        """Erase a person; see `rights.erase`. Every follower of the event is run first to last."""
        done = rights.erase(self.desk, person, request, actor, self.settle, _around(self))
        self.follow()
        return done

    def follow(self) -> list[following.Standing]:
        """Do what followers are due; a failing one stays open and is tried again next time."""
        standings = [_follow(self, name, run) for name, run in _followers().items()]
        with suppress(Unavailable):  # a clock that lags; the older tip still guards
            custody.keep_tip(self.desk)
        return standings

    def followers(self) -> list[following.Standing]:
        """Say how far each follower is, and what keeps it."""
        with self.store.look() as view:
            return [following.standing(view, name) for name in _followers()]

    def sender(self) -> outreach.Sender:
        """Return the brand as its messages name it."""
        s = self.settings
        return outreach.Sender(
            s.brand, s.from_name, s.from_address, s.list_id, s.base_url, s.domain, s.postal
        )

    def registry_key(self, hashed: bytes) -> bytes:
        """Return the MAC a registry hash is kept under."""
        return people.registry_key(self.desk, hashed)

    def reach(self) -> "Reach":
        """Open the audience engine; needs the extra `[reach]`.

        Raises:
            Unavailable: The extra is not installed.
        """
        from troth.adapters.reach import Reach

        return Reach.open(self.settings.reach)

    def close(self) -> None:
        """Release files."""
        self.store.close()
        self.keys.close()


def init(folder: Path) -> None:
    """Make keys, record and ledger in a folder that holds drafts.

    Raises:
        NotFound: No troth.toml is there.
        Conflict: The workspace exists already; nothing was touched.
        Unavailable: The folder cannot be written.
    """
    settings = read_settings(folder)
    if settings.record.exists() or settings.keys.exists():
        raise Conflict("a workspace lies here already", "use another folder")
    randomness = SystemRandomness()
    workspace = randomness.take(WORKSPACE_BYTES)
    house = randomness.take(WORKSPACE_BYTES)
    try:
        for path in (settings.record.parent, settings.witness):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        raise Unavailable("the folder cannot be written", "check owner and mode") from None
    keystore.create(settings.keys, workspace, randomness)
    for selector in ("rsa", "ed25519"):
        raw = crypto.rsa_generate() if selector == "rsa" else randomness.take(crypto.KEY_BYTES)
        keystore.write_secret(settings.keys / f"dkim-{selector}.key", raw)
    store = SqliteStore(settings.record, SystemClock(), PROJECTIONS)
    store.set_meta("workspace", workspace)
    store.set_meta("house", house)
    store.set_meta("origin", settings.origin.encode())
    store.close()


def open(folder: Path | str, at: Instant | None = None) -> Workspace:
    """Open a workspace; refuses one that is damaged, rolled back or written by a newer Troth.

    Args:
        folder: The workspace folder.
        at: Stand still at this instant (demo time); None takes the machine's clock.

    Raises:
        NotFound: There is no workspace here.
        InvalidInput: `troth.toml` does not read.
        Unavailable: A part is missing, open to others, or cannot be written; says which.
        EvidenceBroken: Record or keys are damaged or older than what was signed; says what to do.
    """
    settings = read_settings(Path(folder))
    if not settings.record.exists():
        if (settings.keys / "keys.db").exists():
            raise EvidenceBroken("record.db is missing", "restore the newest backup of data/")
        raise NotFound("this workspace was not begun yet", "run: troth init")
    _refuse_backed_up_keys(settings)
    randomness = SystemRandomness()
    clock: Clock = SystemClock() if at is None else FixedClock(at)
    store = SqliteStore(settings.record, clock, PROJECTIONS)
    workspace, house, origin = (store.meta(n) for n in ("workspace", "house", "origin"))
    keys = keystore.FileKeyStore(settings.keys, workspace)
    taxonomy = tomllib.loads((files("troth") / "data/taxonomy.toml").read_text("utf-8"))
    vault = Vault(Keyring(workspace, keys, randomness), randomness, taxonomy["fields"])
    journal = FileJournal(settings.witness / "restrictions", keys.secret("journal"))
    desk: Desk
    desk = Desk(
        workspace=workspace,
        store=store,
        vault=vault,
        scribe=Scribe(vault, randomness, PersonId(house)),
        journal=journal,
        policy=RolePolicy(
            taxonomy["role"], settings.staff, lambda purpose: _kind_of(desk, purpose)
        ),
        randomness=randomness,
    )
    sizes = FileSignedSize(settings.witness / "signed")
    signer = custody.Signer(origin.decode(), keys.secret("log"), sizes)
    opened = Workspace(settings, desk, store, keys, signer, clock)
    try:
        _guard(opened)
        custody.found(desk)
        _probe_keys(opened)
        opened.follow()
    except BaseException:
        opened.close()
        raise
    return opened


def _kind_of(desk: Desk, purpose: str) -> PurposeKind | None:
    with desk.store.look() as view:
        try:
            found = desk.house(view).purposes.get(purpose)
        except InvalidInput:
            return None
    return found.kind if found else None


def _refuse_backed_up_keys(settings: Settings) -> None:
    data = settings.record.parent.resolve()
    if settings.keys.resolve().is_relative_to(data):
        raise Unavailable("the key folder lies under data/", "move it out: backups copy data/")


def _guard(opened: Workspace) -> None:
    last = opened.signer.sizes.last()
    with opened.store.look() as view:
        if last is None and view.note() is not None:
            raise EvidenceBroken("witness/signed is missing", "restore witness/ from its copy")
        custody.guard(
            view.log, last, lambda: ledger.tree_root(last.size, view.tile) if last else b""
        )
    custody.guard_journal(opened.desk)


def _probe_keys(opened: Workspace) -> None:
    """Open the house's own key: a key store that is not this record's is refused at once.

    Raises:
        Unavailable: The key-encryption key is missing.
        EvidenceBroken: It, or the house's key, is damaged.
    """
    desk = opened.desk
    with desk.store.look() as view:
        try:
            desk.vault.keys.key(desk.scribe.house, view.now)
        except (EvidenceBroken, NotFound):
            raise EvidenceBroken(
                "the key store does not open this record's keys",
                "restore the newest copy of keys/",
            ) from None


# FOLLOWERS: what else happens once an event is recorded; event tag → functions, in order


def journal(opened: Workspace, due: Sequence[following.Due]) -> None:
    """Append the journal lines a crash between commit and journal left out."""
    custody.journal_missing(opened.desk, due)


def retention(opened: Workspace, due: Sequence[following.Due]) -> None:
    """Finish deletions whose event is recorded."""
    for each in due:
        custody.finish_retention(opened.desk, each.person, opened.settle)


def erasure(opened: Workspace, due: Sequence[following.Due]) -> None:
    """Carry an erasure through its steps, from wherever it stopped."""
    for each in due:
        rights.erase(opened.desk, each.person, "resumed", SYSTEM, opened.settle, _around(opened))


Follow = Callable[[Workspace, Sequence[following.Due]], None]
FOLLOWERS: Mapping[str, tuple[Follow, ...]] = {
    **{f"consent.{status}": (journal,) for status in sorted(DENYING)},
    "processing.restricted": (journal,),
    "suppression.added": (journal,),
    "retention.applied": (journal, retention),
    "person.erasing": (journal, erasure),
}
FOLLOW_BATCH = 5_000
PROJECTIONS = {**fold.PROJECTIONS}
for _tag, _noted_as_due in following.projections(
    {tag: [run.__name__ for run in runs] for tag, runs in FOLLOWERS.items()}
).items():
    PROJECTIONS[_tag] = (*PROJECTIONS.get(_tag, ()), *_noted_as_due)


def _followers() -> dict[str, Follow]:
    return {run.__name__: run for runs in FOLLOWERS.values() for run in runs}


def _follow(opened: Workspace, name: str, run: Follow) -> following.Standing:
    last: following.Due | None = None
    error = ""
    while True:
        with opened.store.look() as view:
            page = following.due(view, name, last, FOLLOW_BATCH)
            if not page:
                return following.standing(view, name)
        done, failed = _run(opened, run, page)
        last, error = page[-1], error or failed
        try:
            with opened.store.book() as tx:
                following.settle(tx, name, done, error)
        except Fault:  # the record takes no writes now: all of it stays due
            with opened.store.look() as view:
                return following.standing(view, name)


def _run(
    opened: Workspace, run: Follow, page: Sequence[following.Due]
) -> tuple[Sequence[following.Due], str]:
    """Run a batch; where it fails, one by one, so that one person's fault holds up nobody else."""
    error = _tried(opened, run, page)
    if not error:
        return page, ""
    tried = [(each, _tried(opened, run, [each])) for each in page] if len(page) > 1 else []
    done = [each for each, failed in tried if not failed]
    return done, next((failed for _, failed in tried if failed), "" if tried else error)


def _tried(opened: Workspace, run: Follow, page: Sequence[following.Due]) -> str:
    """Return "" or the code of what went wrong: a text might hold personal data."""
    try:
        run(opened, page)
    except Fault as fault:
        return fault.code
    except Exception:  # noqa: BLE001 - a follower's own fault is kept as open and red, not raised
        return Fault.code
    return ""


def _around(opened: Workspace) -> rights.Steps:
    return rights.Steps(uncovered=lambda _leaf: _generations(opened.settings))


def _generations(settings: Settings) -> list[str]:
    """Name the audience generations on disk: each was built before what is erased now."""
    if not settings.reach.is_dir():
        return []
    kept = sorted(each.name for each in settings.reach.iterdir() if each.name.isdigit())
    return [f"audience generation {name}, until the next rebuild deletes it" for name in kept]


def signers(opened: Workspace) -> tuple[mail.Signer, ...]:
    """Return the brand's two DKIM signers, Ed25519 and RSA."""
    folder, domain = opened.settings.keys, opened.settings.domain
    seed = (folder / "dkim-ed25519.key").read_bytes()
    pem = (folder / "dkim-rsa.key").read_bytes()
    return (
        mail.Signer(domain, "troth-ed", "ed25519-sha256", seed),
        mail.Signer(domain, "troth-rsa", "rsa-sha256", crypto.RsaKey(pem)),
    )


# What surfaces ask for by name: files in, audiences, mail out


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
        done = _done(opened, people.done_before, kind, rows.digest)
        report = people.import_customers(desk, rows.batches(done), rows.digest, brand, progress)
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


def deliver(
    opened: Workspace,
    campaign: outreach.Campaign,
    actor: Actor,
    relay: tuple[str, int] | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> outreach.Handed:
    """Hand booked messages over to the relay, finishing first what a killed worker had begun.

    Args:
        opened: The workspace.
        campaign: Whose messages.
        actor: Who sends.
        relay: Host and port; None takes the workspace's own.
        progress: Told after each batch.

    Raises:
        Unavailable: The relay cannot be reached; nothing is lost, repeat later.
    """
    from troth.adapters.smtp import HandoverJournal, SmtpTransport

    s = opened.settings
    host, port = relay or (s.relay_host, s.relay_port)
    path = s.record.parent / "handover.log"
    totals = outreach.Handed()
    with HandoverJournal(path) as log:
        before = HandoverJournal.read(path)
        transport = SmtpTransport(host, port, s.relay_security)
        courier = outreach.Courier(opened.desk, campaign, transport, log, actor)
        courier.recover(before, totals)
        courier.run(totals, progress)
    return totals


def local_inbox(folder: Path) -> LocalInbox:
    """Return a local receiving mailbox, for demos and trials; start it to get its port."""
    from troth.adapters.inbox import Inbox

    return Inbox(folder)


def real_seconds() -> int:
    """Return the machine's own POSIX seconds, for DKIM, whatever the workspace's clock says."""
    return SystemClock().now() // SECOND


def renderer(
    opened: Workspace, campaign: outreach.Campaign, shelf: outreach.Shelf
) -> outreach.Renderer:
    """Return what fills and signs a campaign's messages."""
    return outreach.Renderer(opened.desk, campaign, shelf, signers(opened))


def real_micros() -> int:
    """Return the machine's own microseconds, to time a step; decides nothing."""
    return SystemClock().now()


def drafts(folder: Path) -> dict[str, bytes]:
    """Return every draft of a workspace folder by its published name; see `read_drafts`."""
    return read_drafts(folder)


def open_file(kind: Kind, path: Path, zone: str = "") -> "OpenFile":
    """Look at a file to be imported, without taking it in; see `sources.open_source`."""
    from troth.adapters.sources import open_source

    return open_source(path, kind, zone)
