"""A workspace opened: settings → adapters → every part wired; and who follows which event."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from troth import crypto
from troth.adapters import leftovers
from troth.adapters.anchors import FileAnchors
from troth.adapters.drafts import read_drafts
from troth.adapters.signin import FileSignin
from troth.adapters.sqlite import keys as keystore
from troth.adapters.sqlite.backup import before_upgrade
from troth.adapters.sqlite.record import SqliteStore
from troth.adapters.system import FixedClock, SystemClock, SystemRandomness
from troth.adapters.witness import FileJournal, FileSignedSize
from troth.app.base_policy import require_policy
from troth.app.keycare import provider_of, refuse_misplaced, require_sound
from troth.app.looks import reply_cases
from troth.app.policy import staff_policy
from troth.app.returns import answers, bounces, complaints
from troth.app.staff import known_staff
from troth.capabilities import connections, custody, outreach, people, preferences, rights
from troth.capabilities.access.shipped import shipped
from troth.errors import Conflict, EvidenceBroken, Fault, NotFound, Unavailable
from troth.kernel import cases, fold, following, ledger, proof
from troth.kernel.desk import SYSTEM, Desk
from troth.kernel.profiles import Grouping
from troth.kernel.scribe import Scribe
from troth.kernel.vault import Keyring, Vault
from troth.ports import Clock, Transaction
from troth.settings import Settings, read_settings
from troth.terms import (
    DENYING,
    Actor,
    Instant,
    PersonId,
    Prepared,
    Published,
)

if TYPE_CHECKING:
    from troth.adapters.reach import Reach
    from troth.adapters.sources import Source

    OpenFile = Source[Any]

WORKSPACE_BYTES = 16
UNFINISHED = "restore.unfinished"
"""Lies in a workspace folder while a restore of it is under way: nothing opens it meanwhile."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """One responsible party, opened: every part wired, nothing decided here."""

    settings: Settings
    desk: Desk
    store: SqliteStore
    keys: keystore.FileKeyStore
    log: custody.Log
    clock: Clock
    signin: FileSignin

    @property
    def signer(self) -> custody.Signer:
        """Who signs for the ledger now; another process may have given it a new key."""
        with self.store.look() as view:
            return custody.signer(view, self.log)

    def apply(self) -> list[Published]:
        """Publish the drafts that changed."""
        drafts = read_drafts(self.settings.folder)
        require_policy(drafts)
        return custody.apply(self.desk, drafts)

    def sign(self) -> str:
        """Sign a checkpoint over what is committed; return the note."""
        return custody.sign(self.desk, self.signer)

    def verify(
        self, *, deep: bool = False, watch: custody.Walked = lambda _done: None
    ) -> list[ledger.Finding]:
        """Recompute the whole ledger; an empty list means it is what its heads say.

        With `deep` every event is opened and every chain walked too.
        """
        signer = self.signer
        with self.store.look() as view:
            entries, tiles, notes = view.audit()
            stored = ledger.Stored(view.log.size, view.log.root, entries, tiles, notes)
            found = ledger.verify(stored, signer.own) + custody.check_keys(view, entries)
            if not found:
                shown = FileAnchors(self.settings.witness / "anchors").all()
                found = custody.check_anchors(view, shown, signer.origin)
        if deep and not found:
            private = {seq: entry for seq, entry in entries if entry[:1] == proof.PRIVATE}
            found = custody.check_chains(self.desk, private, watch)
        return found

    def settle(self) -> None:
        """Fold the record's write-ahead log away; see `rights.erase`."""
        self.store.truncate_wal()

    def erase(
        self,
        person: PersonId,
        request: str,
        actor: Actor = SYSTEM,
        epoch_ends: Literal["daily", "now"] = "daily",
    ) -> rights.Certificate:
        """Erase a person; see `rights.erase`. Every follower of the event is run first to last.

        Args:
            person: Whom.
            request: Id of the request.
            actor: Who carries it out.
            epoch_ends: "now" ends the key epoch for this one person, "daily" with the others.
        """
        from troth.app import keys

        done = keys.erase(self, person, request, actor, epoch_ends, _around(self))
        self.follow()
        return done

    def erase_all(
        self, wanted: Sequence[tuple[PersonId, str]], actor: Actor = SYSTEM
    ) -> list[rights.Certificate]:
        """Erase many people, each for a request, with one search; see `app.keys.erase_all`."""
        from troth.app import keys

        done = keys.erase_all(self, wanted, actor, _around(self))
        self.follow()
        return done

    def unsearched(self) -> rights.Steps:
        """Return the steps of an erasure that searches nothing; see `app.keys.unsearched`."""
        from troth.app import keys

        return keys.unsearched(self, _around(self))

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
        self.signin.close()


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
    require_sound(randomness)
    provider = provider_of(settings, workspace, randomness)
    keystore.create(settings.keys, workspace, randomness, provider)
    for selector in ("rsa", "ed25519"):
        raw = crypto.rsa_generate() if selector == "rsa" else randomness.take(crypto.KEY_BYTES)
        keystore.write_secret(settings.keys / f"dkim-{selector}.key", raw)
    store = SqliteStore(settings.record, SystemClock(), PROJECTIONS)
    store.set_meta("workspace", workspace)
    store.set_meta("house", house)
    store.set_meta("origin", settings.origin.encode())
    store.close()


def open(folder: Path | str, at: Instant | None = None, clock: Clock | None = None) -> Workspace:
    """Open a workspace; refuses one that is damaged, rolled back or written by a newer Troth.

    Args:
        folder: The workspace folder.
        at: Stand still at this instant (demo time); None takes the machine's clock.
        clock: Another clock altogether, such as a served demo's; goes before `at`.

    Raises:
        NotFound: There is no workspace here.
        InvalidInput: `troth.toml` does not read.
        Unavailable: A part is missing, open to others, or cannot be written; says which.
        EvidenceBroken: Record or keys are damaged or older than what was signed; says what to do.
    """
    settings = read_settings(Path(folder))
    if (settings.folder / UNFINISHED).exists():
        raise Unavailable(
            "a restore of this workspace is not finished", "run again: troth restore"
        )
    if not settings.record.exists():
        if (settings.keys / "keys.db").exists():
            raise EvidenceBroken("record.db is missing", "restore the newest backup of data/")
        raise NotFound("this workspace was not begun yet", "run: troth init")
    opened = wire(settings, clock or (SystemClock() if at is None else FixedClock(at)))
    try:
        _guard(opened)
        custody.found(opened.desk)
        _probe_keys(opened)
        _complete_keys(opened)
        opened.follow()
    except BaseException:
        opened.close()
        raise
    return opened


def wire(settings: Settings, clock: Clock) -> Workspace:
    """Put the parts together without asking whether they belong together; see `open`.

    A restore alone works with a workspace nobody guarded yet.
    """
    refuse_misplaced(settings)
    randomness = SystemRandomness()
    require_sound(randomness)
    leftovers.sweep(settings.record.parent, settings.keys)
    before_upgrade(settings.record)
    store = SqliteStore(settings.record, clock, PROJECTIONS)
    workspace, house, origin = (store.meta(n) for n in ("workspace", "house", "origin"))
    provider = provider_of(settings, workspace, randomness)
    keys = keystore.FileKeyStore(settings.keys, workspace, provider, randomness)
    signin = FileSignin(settings.keys)
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
        policy=staff_policy(
            taxonomy["role"], settings, lambda: desk, known_staff(settings, signin, keys)
        ),
        randomness=randomness,
        grouping=partial(_grouping, settings.reach),
        shipped=shipped(),
    )
    log = custody.Log(
        origin.decode(),
        keys.secret,
        FileSignedSize(settings.witness / "signed"),
        custody.read_trust(settings.witnesses, settings.ledger.get("quorum", custody.NONE)),
        FileAnchors(settings.witness / "anchors"),
    )
    return Workspace(settings, desk, store, keys, log, clock, signin)


def _guard(opened: Workspace) -> None:
    shown = custody.shown_outside(opened.log)
    with opened.store.look() as view:
        if shown[0] is None and view.note() is not None and opened.log.sizes.last() is None:
            raise EvidenceBroken("witness/signed is missing", "restore witness/ from its copy")
        custody.signer(view, opened.log)
        custody.guard_start(view, shown)
    custody.guard_journal(opened.desk)
    _guard_anchored(opened.settings, opened.keys.secret("journal"))


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


def _complete_keys(opened: Workspace) -> None:
    from troth.app import backup

    backup.complete_keys(opened)


def _guard_anchored(settings: Settings, key: bytes) -> None:
    """Refuse a restriction journal that is shorter than the newest anchor says, or another one.

    Raises:
        EvidenceBroken: It was cut together with its mark; a restore must not miss a line.
    """
    journal = FileJournal(settings.witness / "restrictions", key)
    for count, code in journal.held_by(FileAnchors(settings.witness / "anchors").journal_mark()):
        tips = journal.tips()
        if len(tips) < count or tips[count - 1] != code:
            raise EvidenceBroken(
                "the restriction journal does not reach where an anchor of the ledger saw it",
                "restore witness/ from its copy",
            )


# FOLLOWERS: what else happens once an event is recorded; event tag → functions, in order


def journal(opened: Workspace, due: Sequence[following.Due]) -> None:
    """Append the journal lines a crash between commit and journal left out."""
    custody.journal_missing(opened.desk, due)


def retention(opened: Workspace, due: Sequence[following.Due]) -> None:
    """Finish deletions whose event is recorded."""
    for each in due:
        custody.finish_retention(opened.desk, each.person, opened.settle)


def deletion(opened: Workspace, due: Sequence[following.Due]) -> None:
    """Finish deletions of activity whose event is recorded."""
    for each in due:
        people.finish_deletion(opened.desk, each.person, opened.settle)


def binding(opened: Workspace, due: Sequence[following.Due]) -> None:
    """Put the addresses of whoever said no on the list, where a crash left it at the no."""
    for person in dict.fromkeys(each.person for each in due):
        preferences.finish_binding(opened.desk, person)


def erasure(opened: Workspace, due: Sequence[following.Due]) -> None:
    """Carry an erasure through its steps, from wherever it stopped."""
    from troth.app import keys

    for each in due:
        keys.finish_erasure(opened, each.person, _around(opened))


def notify(opened: Workspace, due: Sequence[following.Due]) -> None:
    """Queue what webhooks are told of; nothing where there are none."""
    connections.note_event(opened.desk, due)


Follow = Callable[[Workspace, Sequence[following.Due]], None]
FOLLOWERS: Mapping[str, tuple[Follow, ...]] = {
    "message.bounced": (bounces,),
    "message.complained": (complaints,),
    "message.replied": (answers, reply_cases),
    **{f"consent.{status}": (journal, binding, notify) for status in sorted(DENYING)},
    "processing.restricted": (journal, notify),
    "suppression.added": (journal, notify),
    "preference.set": (journal,),
    "person.linked": (journal,),
    "person.merged": (journal,),
    "person.unmerged": (journal,),
    "retention.chosen": (journal,),
    "retention.applied": (journal, retention),
    "behaviour.deleted": (journal, deletion),
    "value.corrected": (notify,),
    "person.erasing": (journal, notify, erasure),
}
FOLLOW_BATCH = 5_000
PROJECTIONS: dict[str, tuple[Callable[[Transaction, Prepared], None], ...]] = {
    **{tag: tuple(each) for tag, each in fold.PROJECTIONS.items()},
    "request.acted": (rights.project, cases.project),
    "case.acted": (cases.project,),
}
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
    return rights.Steps(uncovered=lambda _leaf: _copies(opened.settings))


def _copies(settings: Settings) -> list[str]:
    """Name what on disk was written before what is erased now."""
    older = sorted(settings.record.parent.glob("before-*.db"))
    told = [f"{path.name}, made before an upgrade, until the next backup" for path in older]
    return [*_generations(settings), *told]


def _generations(settings: Settings) -> list[str]:
    """Name the audience generations on disk: each was built before what is erased now."""
    if not settings.reach.is_dir():
        return []
    kept = sorted(each.name for each in settings.reach.iterdir() if each.name.isdigit())
    return [f"audience generation {name}, until the next rebuild deletes it" for name in kept]


def _grouping(folder: Path) -> Grouping | None:
    """Open the shapes of the newest audience generation, None where there are none."""
    try:
        from troth.adapters.reach import Groups, Reach

        return Groups(Reach.open(folder))
    except (ImportError, NotFound, Unavailable):
        return None
