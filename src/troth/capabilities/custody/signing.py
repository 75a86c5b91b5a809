"""The ledger signed: one history, never a second one."""

from collections.abc import Callable
from dataclasses import dataclass

from troth import crypto
from troth.errors import Conflict, EvidenceBroken, Unavailable
from troth.kernel import ledger, proof
from troth.kernel.desk import Desk
from troth.ports import SignedSize, View
from troth.terms import (
    LogState,
)


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
            guard(state, last, _root_then(view, last))
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


def _root_then(view: View, last: LogState | None) -> Callable[[], bytes]:
    return lambda: ledger.tree_root(last.size, view.tile) if last else b""


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
