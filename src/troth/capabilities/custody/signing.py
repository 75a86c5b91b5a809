"""The ledger signed: one history, never a second one; by every key that signs for it now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import msgspec

from troth import crypto
from troth.capabilities.custody.trust import Trust
from troth.errors import Conflict, EvidenceBroken, InvalidInput, Unavailable
from troth.kernel import ledger, proof
from troth.kernel.desk import Desk
from troth.ports import Anchor, Anchors, SignedSize, Transaction, View
from troth.terms import LogState

LOG: Final = "custody.log"
"""Own rows about the log itself: `keys`, and `from/ORIGIN` → leaf where that origin began."""
FIRST_SECRET: Final = "log"  # noqa: S105 - the name of a file
SIGNS, RETIRED, DISOWNED = "signs", "retired", "disowned"


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key that signs, or signed, for this ledger.

    Attributes:
        vkey: Its public half, under the origin it signed for.
        secret: Name of its private half in the key folder.
        since: Size of the ledger when it began.
        state: signs; retired, it signed honestly and signs no more; disowned, whatever it signed
            above `until` is not ours.
        until: The last size it answers for; None while it signs.
    """

    vkey: str
    secret: str
    since: int
    state: str = SIGNS
    until: int | None = None

    @property
    def key(self) -> proof.Key:
        """The public key, read."""
        return proof.parse_vkey(self.vkey)

    @property
    def line(self) -> str:
        """Its line in a policy."""
        if self.state == DISOWNED:
            return f"{proof.UNTIL} {self.until} {self.vkey}"
        return f"log {self.vkey}"


_keys = msgspec.json.Decoder(list[LogKey])


def log_keys(view: View) -> tuple[LogKey, ...]:
    """Return every key that ever signed for this record, oldest first; none before the first."""
    raw = view.row(LOG, b"keys")
    return tuple(_keys.decode(raw)) if raw else ()


def put_keys(tx: Transaction, keys: Sequence[LogKey]) -> None:
    """Keep which keys sign and signed."""
    tx.put_row(LOG, b"keys", msgspec.json.encode(list(keys)))


class NoAnchors:
    """No file of anchors: for a signer without a folder of its own."""

    def append(self, anchor: Anchor) -> None:
        """Keep nothing."""

    def newest(self, origin: str) -> Anchor | None:
        """Return None."""
        del origin
        return None


@dataclass(frozen=True)
class Signer:
    """Signs checkpoints of one log: origin, keys, and the guard against a second history.

    Attributes:
        seed: Private half of the newest key that signs.
        others: Private halves of older keys that sign beside it.
        keys: Every key that signs or signed, for the policy; none: `seed`'s alone.
        trust: The witnesses asked.
    """

    origin: str
    seed: bytes
    sizes: SignedSize
    others: tuple[bytes, ...] = ()
    keys: tuple[LogKey, ...] = ()
    trust: Trust = field(default_factory=Trust)
    anchors: Anchors = field(default_factory=NoAnchors)

    @property
    def key(self) -> proof.Key:
        """The newest of the log's public keys."""
        return ledger.log_key(self.origin, self.seed)

    @property
    def seeds(self) -> tuple[bytes, ...]:
        """Private halves of every key that signs now, the newest first."""
        return (self.seed, *self.others)

    def text(self, *, asked: bool = True) -> str:
        """Write the policy: every key of the log, the witnesses, the quorum if it is asked for."""
        logs = [each.line for each in self.keys] or [f"log {self.key.vkey}"]
        return "\n".join([*logs, *self.trust.lines(asked=asked)]) + "\n"

    @cached_property
    def policy(self) -> proof.Policy:
        """What an outsider is told to believe: this log, once enough witnesses cosigned."""
        return proof.parse_policy(self.text(), crypto.ed25519_verify)

    @cached_property
    def own(self) -> proof.Policy:
        """What the house itself goes by: its own signature, and no wrong one of a witness."""
        return proof.parse_policy(self.text(asked=False), crypto.ed25519_verify)

    def witnessed(self, note: str) -> bool:
        """Tell whether as many outside operators cosigned a note as the quorum asks for."""
        try:
            proof.verify_note(note, self.policy)
        except (InvalidInput, EvidenceBroken):
            return False
        return True

    def policy_for(self, note: str) -> str:
        """Write the strictest policy this note meets, to go beside receipts made under it."""
        if not self.trust.needed or self.witnessed(note):
            return self.text()
        told = "# no outside witness had cosigned this checkpoint when the receipt was written\n"
        return told + self.text(asked=False)


@dataclass(frozen=True, slots=True)
class Log:
    """What a signer is made of: fixed while a workspace is open; its keys lie in the record.

    Attributes:
        secret: Reads a private half by name.
    """

    origin: str
    secret: Callable[[str], bytes]
    sizes: SignedSize
    trust: Trust
    anchors: Anchors


def signer(view: View, log: Log) -> Signer:
    """Return who signs as of this view.

    Raises:
        Unavailable: A key that should sign is missing; says which.
        EvidenceBroken: None of the record's keys signs any more.
    """
    keys = log_keys(view)
    ours = [k for k in keys if k.key.name == log.origin and k.state == SIGNS]
    names = [k.secret for k in reversed(ours)] or [secret_of(view, log.origin)]
    seeds = [log.secret(name) for name in names]
    made = Signer(log.origin, seeds[0], log.sizes, tuple(seeds[1:]), keys, log.trust, log.anchors)
    if ours:
        return made
    if any(k.key.public == made.key.public for k in keys):
        raise EvidenceBroken("every key of the ledger ended", "restore the newest record.db")
    return replace(made, keys=(*keys, _first(made, view)))


def _first(made: Signer, view: View) -> LogKey:
    began = view.row(LOG, b"from/" + made.origin.encode()) or b""
    return LogKey(made.key.vkey, secret_of(view, made.origin), int.from_bytes(began, "big"))


def secret_of(view: View, origin: str) -> str:
    """Name the first key of an origin: `log`, and for one that continued another its number."""
    if view.row(LOG, b"from/" + origin.encode()) is None:
        return FIRST_SECRET
    return f"{FIRST_SECRET}-{origin.rpartition('/')[2]}"


def sign(desk: Desk, signer: Signer) -> str:
    """Sign and store a checkpoint over everything committed; return the note.

    The last signed size moves by compare-and-set before the signature is made: two processes on
    copies of one record cannot sign two histories. The note is kept in the file of anchors before
    anybody can be shown it.

    Raises:
        EvidenceBroken: The record is shorter than what was signed before: it was rolled back.
        Unavailable: Another process signs; repeat.
    """
    for _ in range(8):
        last = signer.sizes.last()  # before the look: another process may sign meanwhile
        with desk.store.look() as view:
            state, note, now = view.log, view.note(), view.now
            guard(state, last, _root_then(view, last))
        if note and _is_of(note, signer, state):
            return note
        try:
            signer.sizes.advance(last, state)
        except Conflict:
            continue
        checkpoint = proof.Checkpoint(signer.origin, state.size, state.root)
        note = ledger.sign_checkpoint(checkpoint, list(signer.seeds))
        signer.anchors.append(Anchor(signer.origin, state.size, state.root, now))
        with desk.store.book() as tx:
            tx.put_note(state.size, note)
            if not any(k.key == signer.key for k in log_keys(tx)):
                put_keys(tx, signer.keys)
        return note
    raise Unavailable("another process keeps signing", "repeat in a moment", 1)


def _is_of(note: str, signer: Signer, state: LogState) -> bool:
    """Tell whether a note is this signer's over all that is committed, by every key it has."""
    text, lines = proof.parse_note(note)
    have = {(line.name, line.id) for line in lines}
    want = {(signer.origin, ledger.log_key(signer.origin, seed).id) for seed in signer.seeds}
    return proof.parse_checkpoint(text).size == state.size and want <= have


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


def shown_outside(log: Log) -> tuple[LogState | None, ...]:
    """Return what this ledger ever showed to somebody outside: last signature, newest anchor.

    Read before the record is looked at: another process may sign meanwhile, and a record read
    after it can only have grown.
    """
    last, seen = log.sizes.last(), log.anchors.newest(log.origin)
    return last, LogState(seen.size, seen.root) if seen else None


def guard_start(view: View, shown: Sequence[LogState | None]) -> None:
    """Refuse a record behind, or beside, anything it ever showed to somebody outside.

    Among the anchors are the checkpoints that witnesses were seen to hold.

    Args:
        view: A look begun after `shown` was read.
        shown: From `shown_outside`.

    Raises:
        EvidenceBroken: With the remedy.
    """
    for last in shown:
        guard(view.log, last, _root_then(view, last))
