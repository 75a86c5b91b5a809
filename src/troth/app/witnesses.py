"""The ledger's outside witnesses and its own keys, for surfaces and the housekeeping."""

from collections.abc import Iterator
from dataclasses import dataclass

from troth import crypto
from troth.adapters.anchors import FileAnchors
from troth.adapters.sqlite import keys as keystore
from troth.adapters.system import SystemRandomness
from troth.adapters.witness_client import HttpWitness
from troth.app.checks import Check
from troth.app.workspace import Workspace
from troth.capabilities import custody
from troth.errors import EvidenceBroken, NotFound
from troth.kernel import ledger, proof
from troth.kernel.desk import SYSTEM
from troth.ports import Anchor
from troth.terms import SECOND, Actor

STALE = 3_600 * SECOND
"""A witness that cosigned nothing for an hour, while there was something, is not at work."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """How a ledger stands towards the outside.

    Attributes:
        note: The newest signed checkpoint, "" where nothing was signed.
        size: Entries committed.
        signed: Entries under the newest signed checkpoint.
        root: Its root.
        at: When it was signed, in microseconds; 0 where nothing was.
        now: The moment of the look.
        met: Whether enough outside operators cosigned the newest checkpoint.
        standings: Each witness asked and how it stands.
        keys: Every key of the ledger, oldest first.
        origins: Origins that continued an older one, and the leaf where each says so.
    """

    note: str
    size: int
    signed: int
    root: str
    at: int
    now: int
    met: bool
    trust: custody.Trust
    standings: tuple[tuple[custody.Witness, custody.Standing], ...]
    keys: tuple[custody.LogKey, ...]
    origins: tuple[tuple[str, int], ...]


def witnessed(opened: Workspace) -> Witnessed:
    """Look at checkpoint, witnesses and keys; asks nobody."""
    signer = opened.signer
    with opened.store.look() as view:
        note, size, now = view.note() or "", view.log.size, view.now
        found = custody.standings(view, signer.trust.witnesses)
        origins = tuple(custody.origins(view))
    head = proof.parse_checkpoint(proof.parse_note(note)[0]) if note else None
    newest = signer.anchors.newest(signer.origin)
    return Witnessed(
        note=note,
        size=size,
        signed=head.size if head else 0,
        root=proof.b64(head.root) if head else "",
        at=newest.at if newest else 0,
        now=now,
        met=bool(note) and signer.witnessed(note),
        trust=signer.trust,
        standings=tuple((w, found[w.name]) for w in signer.trust.witnesses),
        keys=signer.keys,
        origins=origins,
    )


def ask_witnesses(opened: Workspace) -> dict[str, custody.Standing]:
    """Sign what is unsigned, then ask every witness that has not cosigned it; may take seconds.

    Raises:
        EvidenceBroken: A witness holds a larger ledger of ours: this record is an older one.
    """
    opened.sign()
    return custody.ask(opened.desk, opened.signer, HttpWitness())


def ask_due(opened: Workspace) -> None:
    """Ask the witnesses of a newest checkpoint already signed, where there are any."""
    if opened.log.trust.witnesses:
        custody.ask(opened.desk, opened.signer, HttpWitness())


def guard_outside(opened: Workspace) -> dict[str, int | None]:
    """Look at what every reachable witness holds of this ledger; None where none can be seen.

    Raises:
        EvidenceBroken: One holds more than the record: it is an older copy.
    """
    signer, out = opened.signer, dict[str, int | None]()
    with opened.store.look() as view:
        size = view.log.size
    for witness in signer.trust.witnesses:
        head = custody.seen_by(signer, HttpWitness(), witness)
        out[witness.name] = head.size if head else None
        if head is not None and head.size > size:
            raise EvidenceBroken(
                f"the witness {witness.name} holds {head.size} entries, here are {size}",
                "this is an older copy: restore the newest record.db",
            )
    return out


# The ledger's own keys


def rotate_key(opened: Workspace, actor: Actor = SYSTEM) -> custody.LogKey:
    """Draw a new key, let it sign beside the old one, and sign with both at once."""
    signer = opened.signer
    seed = SystemRandomness().take(crypto.KEY_BYTES)
    name = f"log-{ledger.log_key(signer.origin, seed).id.hex()}"
    keystore.write_secret(opened.settings.keys / f"{name}.key", seed)
    made = custody.rotate(opened.desk, signer, name, seed, actor)
    opened.sign()
    return made


def retire_keys(opened: Workspace, actor: Actor = SYSTEM) -> tuple[custody.LogKey, ...]:
    """End the overlap of a rotation: the newest key signs alone from here on."""
    done = custody.retire(opened.desk, opened.signer, actor)
    opened.sign()
    return done


def disown_key(
    opened: Workspace, vkey: str, cutoff: int, actor: Actor = SYSTEM
) -> tuple[custody.LogKey, ...]:
    """Disown a stolen key above a size that somebody outside can confirm."""
    done = custody.disown(opened.desk, opened.signer, vkey, cutoff, actor)
    opened.sign()
    return done


def begin_origin_key(opened: Workspace) -> None:
    """Make the first key of an origin that continued another, unless it is there.

    Raises:
        NotFound: The origin continues none: its key must be restored, never made anew.
    """
    with opened.store.look() as view:
        name = custody.secret_of(view, opened.log.origin)
    if name == custody.FIRST_SECRET:
        raise NotFound("this ledger continues none", "restore keys/log.key, or begin an origin")
    path = opened.settings.keys / f"{name}.key"
    if not path.exists():
        keystore.write_secret(path, SystemRandomness().take(crypto.KEY_BYTES))


# Anchors


def anchors(opened: Workspace) -> list[Anchor]:
    """Return every head ever shown outside, oldest first."""
    return FileAnchors(opened.settings.witness / "anchors").all()


def latest_anchors(opened: Workspace) -> list[Anchor]:
    """Return the newest few hundred of them."""
    return FileAnchors(opened.settings.witness / "anchors").latest()


def newest_anchor(opened: Workspace) -> Anchor | None:
    """Return the newest head shown outside."""
    return opened.log.anchors.newest(opened.log.origin)


# What `troth doctor` asks


def checks(opened: Workspace) -> list[Check]:
    """Say how checkpoint, anchors and witnesses stand; opens nothing, asks nobody."""
    return list(_checks(witnessed(opened)))


def _checks(found: Witnessed) -> Iterator[Check]:
    behind = found.size - found.signed
    late = behind > 0 and found.now - found.at > STALE
    yield Check(
        "ledger.signed",
        "stored",
        "The ledger is signed",
        "bad" if late or not found.note else "good",
        f"{found.signed} of {found.size} entries are under a signed checkpoint",
        "keep a worker running: troth worker" if late or not found.note else "",
    )
    if not found.trust.operators:
        yield Check(
            "ledger.witness",
            "stored",
            "Somebody outside watches the ledger",
            "off",
            "no outside witness is named; receipts rest on the house's own signature",
            "name one in troth.toml: see docs/witness.md",
        )
        return
    fresh = {
        w.operator
        for w, s in found.standings
        if w.outside and s.at and (s.size == found.signed or found.now - s.at < STALE)
    }
    need = max(found.trust.needed, 1)
    yield Check(
        "ledger.witness",
        "stored",
        "Somebody outside watches the ledger",
        "good" if len(fresh) >= need else "bad",
        f"{len(fresh)} of {len(found.trust.operators)} outside operators cosigned lately,"
        f" {need} are needed",
        "" if len(fresh) >= need else "see the page Witnesses: which one is silent or refuses",
    )
