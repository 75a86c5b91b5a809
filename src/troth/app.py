"""The only file that knows every part: settings → adapters → Workspace."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from troth import crypto
from troth.adapters.drafts import read_drafts
from troth.adapters.roles import RolePolicy
from troth.adapters.sqlite import keys as keystore
from troth.adapters.sqlite.record import SqliteStore
from troth.adapters.system import FixedClock, SystemClock, SystemRandomness
from troth.adapters.witness import FileJournal, FileSignedSize
from troth.capabilities import custody, outreach, people, rights
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.engines import mail
from troth.kernel import fold, ledger
from troth.kernel.desk import Desk
from troth.kernel.scribe import Scribe
from troth.kernel.vault import Keyring, Vault
from troth.ports import Clock
from troth.settings import Settings, read_settings
from troth.terms import Instant, PersonId, Published, PurposeKind

if TYPE_CHECKING:
    from troth.adapters.reach import Reach

PROJECTIONS = fold.PROJECTIONS
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

    def erase(self, person: PersonId, request: str) -> rights.Certificate:
        """Erase a person; see `rights.erase`."""
        from troth.kernel.desk import SYSTEM

        return rights.erase(self.desk, person, request, SYSTEM, self.settle)

    def sender(self) -> outreach.Sender:
        """Return the brand as its messages name it."""
        s = self.settings
        return outreach.Sender(
            s.brand, s.from_name, s.from_address, s.list_id, s.base_url, s.domain
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
        custody.found(desk)
        _guard(opened)
        _finish_what_was_begun(opened)
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
        custody.guard(
            view.log, last, lambda: ledger.tree_root(last.size, view.tile) if last else b""
        )


def _finish_what_was_begun(opened: Workspace) -> None:
    for person in rights.unfinished(opened.desk):
        opened.erase(person, "resumed")


def signers(opened: Workspace) -> tuple[mail.Signer, ...]:
    """Return the brand's two DKIM signers, Ed25519 and RSA."""
    folder, domain = opened.settings.keys, opened.settings.domain
    seed = (folder / "dkim-ed25519.key").read_bytes()
    pem = (folder / "dkim-rsa.key").read_bytes()
    return (
        mail.Signer(domain, "troth-ed", "ed25519-sha256", seed),
        mail.Signer(domain, "troth-rsa", "rsa-sha256", crypto.RsaKey(pem)),
    )
