"""Custody: publish what the house decides by, sign what was booked, check that it verifies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from troth import crypto
from troth.errors import Conflict, EvidenceBroken, Unavailable
from troth.kernel import ledger, proof
from troth.kernel.desk import SYSTEM, Desk, public
from troth.kernel.events import PersonCreated
from troth.kernel.house import read_house
from troth.kernel.scribe import Recorded
from troth.kernel.vault import Shredded
from troth.ports import SignedSize
from troth.terms import LogState, PersonId, Published


def found(desk: Desk) -> None:
    """Begin the house chain and the ledger; repeating it changes nothing."""
    with desk.store.look() as view:
        if view.log.size:
            return
        house = desk.scribe.house
        desk.vault.keys.make([(house, "", 1)])
        prepared = desk.house_event(view, PersonCreated("house", "init"), SYSTEM)
        start = public({"type": "log.start"}, view.now)
    with desk.store.book() as tx:
        tx.state(start)
        tx.append(prepared)


def changes(desk: Desk, drafts: Mapping[str, bytes]) -> list[str]:
    """Name the drafts that differ from what is published."""
    with desk.store.look() as view:
        return [
            name
            for name, raw in drafts.items()
            if (now := view.published(name)) is None or now.data != raw
        ]


def apply(desk: Desk, drafts: Mapping[str, bytes]) -> list[Published]:
    """Publish drafts that changed, as new versions, with a public leaf each; all or none.

    The whole house is read once with the new versions in it first: what does not read together
    is not published.

    Raises:
        InvalidInput: A draft does not read; names file and place. Nothing was published.
    """
    names = changes(desk, drafts)
    if not names:
        return []
    with desk.store.look() as view:
        now = view.now
        kept = [p for p in view.published_all("") if p.name not in names]
    trial = [Published(n, 0, now, "", drafts[n]) for n in names]
    read_house(-1, [*kept, *trial])
    out = []
    with desk.store.book() as tx:
        for name in names:
            digest = crypto.sha256(drafts[name]).hex()
            published = tx.publish(name, digest, drafts[name])
            statement = {"type": "policy.published", "name": published.label}
            tx.state(public({**statement, "hash": f"sha256:{digest}"}, tx.now))
            out.append(published)
        house = read_house(tx.house_version, tx.published_all(""))
        ruleset = {"type": "ruleset.published", "hash": f"sha256:{house.ruleset.digest}"}
        tx.state(public({**ruleset, "label": house.ruleset.label}, tx.now))
    return out


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs checkpoints of one log: origin, seed and the guard against a second history."""

    origin: str
    seed: bytes
    sizes: SignedSize

    @property
    def key(self) -> proof.Key:
        """The log's public key."""
        return ledger.log_key(self.origin, self.seed)

    @property
    def policy(self) -> proof.Policy:
        """Believe this log alone; no witness runs yet, and pages say so."""
        return proof.parse_policy(f"log {self.key.vkey}\nquorum none\n", crypto.ed25519_verify)


def sign(desk: Desk, signer: Signer) -> str:
    """Sign and store a checkpoint over everything committed; return the note.

    The last signed size moves by compare-and-set before the signature is made: two processes on
    copies of one record cannot sign two histories.

    Raises:
        EvidenceBroken: The record is shorter than what was signed before: it was rolled back.
        Unavailable: Another process signs; repeat.
    """
    for _ in range(8):
        with desk.store.look() as view:
            state, note = view.log, view.note()
            last = signer.sizes.last()
            guard(state, last, lambda: ledger.tree_root(last.size, view.tile) if last else b"")
        if note and proof.parse_checkpoint(proof.parse_note(note)[0]).size == state.size:
            return note
        try:
            signer.sizes.advance(last, state)
        except Conflict:
            continue
        checkpoint = proof.Checkpoint(signer.origin, state.size, state.root)
        note = ledger.sign_checkpoint(checkpoint, [signer.seed])
        with desk.store.book() as tx:
            tx.put_note(state.size, note)
        return note
    raise Unavailable("another process keeps signing", "repeat in a moment", 1)


def guard(state: LogState, last: LogState | None, root_then: Callable[[], bytes]) -> None:
    """Refuse to go on when the record is behind, or beside, what was signed.

    Raises:
        EvidenceBroken: With the remedy: restore the newest record, or begin a new origin.
    """
    if last is None:
        return
    if state.size < last.size or root_then() != last.root:
        raise EvidenceBroken(
            f"the record holds {state.size} entries, {last.size} were signed",
            "this is an older or another copy: restore the newest record.db",
        )


def check_chain(desk: Desk, person: PersonId) -> list[Recorded]:
    """Open and check one person's whole chain; an erased person has none."""
    with desk.store.look() as view:
        try:
            return desk.scribe.chain(view, person)
        except Shredded:
            return []
