"""Asking outside witnesses to cosign what was signed, and keeping what they said.

Never on the way of a message: the house signs by itself, and witnesses are asked afterwards, one
minute later at most. What none cosigned yet is said to be so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec

from troth import crypto
from troth.capabilities.custody.signing import LOG, Signer
from troth.capabilities.custody.trust import Witness
from troth.errors import EvidenceBroken, Fault, InvalidInput, Unavailable
from troth.kernel import ledger, proof, witnessing
from troth.kernel.desk import Desk
from troth.ports import Anchor, Transaction, View, WitnessPort
from troth.terms import SECOND, Instant

STATES: Final = "custody.witness"
"""Key of a witness → how it stands."""
WITNESSED: Final = b"witnessed"
"""Own row of the log: the newest note that enough witnesses cosigned."""
OK, CONFLICT = 200, 409
Answer = Literal["never", "cosigned", "silent", "refused", "ahead"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How one witness stands.

    Attributes:
        size: The last size it cosigned for us; 0 before the first.
        at: When it did, by its own clock; 0 before the first.
        asked: When it was last asked.
        state: never asked; cosigned; silent, nobody answered; refused, with `status`; ahead, it
            holds a larger ledger of ours than we do: this record is an older one.
    """

    size: int = 0
    at: int = 0
    asked: int = 0
    state: Answer = "never"
    status: int = 0


_standing = msgspec.json.Decoder(Standing)


def standings(view: View, asked: Sequence[Witness]) -> dict[str, Standing]:
    """Return how every witness stands, by its name."""
    out = {}
    for witness in asked:
        raw = view.row(STATES, _place(witness))
        out[witness.name] = _standing.decode(raw) if raw else Standing()
    return out


def _place(witness: Witness) -> bytes:
    return witness.key.vkey.encode()


def due(view: View, signer: Signer) -> list[Witness]:
    """Return which witnesses have not cosigned the newest signed checkpoint."""
    note = view.note()
    if note is None:
        return []
    have = {(line.name, line.id) for line in proof.parse_note(note)[1]}
    return [w for w in signer.trust.witnesses if (w.key.name, w.key.id) not in have]


def ask(desk: Desk, signer: Signer, client: WitnessPort) -> dict[str, Standing]:
    """Ask every witness that has not cosigned the newest checkpoint; keep what they say.

    Each cosignature is verified, then kept with the note and in the file of anchors. A witness
    that shows a larger ledger signed by our own key is kept as an anchor too: from then on this
    record, which is an older one, is not opened or signed any more.

    Raises:
        EvidenceBroken: A witness holds a larger ledger of ours.
        Unavailable: The record or the anchors cannot be written.
    """
    with desk.store.look() as view:
        note, wanted = view.note(), due(view, signer)
        before = standings(view, wanted)
    if note is None or proof.parse_checkpoint(proof.parse_note(note)[0]).origin != signer.origin:
        return {}
    done: dict[str, Standing] = {}
    lines: list[str] = []
    for witness in wanted:
        found, line = _ask_one(desk, client, witness, note, before[witness.name])
        done[witness.name] = found
        lines += [line] if line else []
    _keep(desk, signer, note, lines, {w: done[w.name] for w in wanted})
    for witness in wanted:
        if done[witness.name].state == "ahead":
            _found_ahead(desk, signer, client, witness)
    return done


def _ask_one(
    desk: Desk,
    client: WitnessPort,
    witness: Witness,
    note: str,
    before: Standing,
) -> tuple[Standing, str]:
    with desk.store.look() as view:
        now = view.now
    try:
        status, answer = _handed_in(desk, client, witness, note, before.size)
    except (Unavailable, InvalidInput):
        return replace(before, asked=now, state="silent", status=0), ""
    head = proof.parse_checkpoint(proof.parse_note(note)[0])
    if status == CONFLICT and _told(answer) > head.size:
        return replace(before, asked=now, state="ahead", status=status), ""
    if status == OK:
        try:
            line, at = witnessing.cosignatures(
                answer, head.text, witness.key, crypto.ed25519_verify
            )
        except EvidenceBroken:
            return replace(before, asked=now, state="refused", status=OK), ""
        return Standing(head.size, at * SECOND, now, "cosigned", OK), line
    return replace(before, asked=now, state="refused", status=status), ""


def _handed_in(
    desk: Desk, client: WitnessPort, witness: Witness, note: str, old: int
) -> tuple[int, bytes]:
    """Hand in, and once more from the size the witness says it has, if that is not beyond ours."""
    size = proof.parse_checkpoint(proof.parse_note(note)[0]).size
    old = min(old, size)
    status, answer = client.add(witness.url, _request(desk, old, size, note))
    if status != CONFLICT:
        return status, answer
    told = _told(answer)
    if told > size:
        return status, answer
    return client.add(witness.url, _request(desk, told, size, note))


def _told(answer: bytes) -> int:
    """Read the size a witness answered.

    Raises:
        InvalidInput: It is none.
    """
    return proof.number(answer.decode("ascii", "replace").removesuffix("\n"))


def _request(desk: Desk, old: int, size: int, note: str) -> bytes:
    with desk.store.look() as view:
        path = ledger.consistency_path(old, size, view.tile) if 0 < old < size else []
    return witnessing.request_body(old, path, note)


def _keep(
    desk: Desk,
    signer: Signer,
    note: str,
    lines: Sequence[str],
    done: Mapping[Witness, Standing],
) -> None:
    head = proof.verify_note(note + "".join(lines), signer.own)
    with desk.store.look() as view:
        now = view.now
    if lines:
        signer.anchors.append(
            Anchor(head.origin, head.size, head.root, now, tuple(x[:-1] for x in lines))
        )
    if not done:
        return
    with desk.store.book() as tx:
        if lines:
            _put_cosigned(tx, signer, head.size, note, lines)
        for witness, standing in done.items():
            tx.put_row(STATES, _place(witness), msgspec.json.encode(standing))


def _put_cosigned(
    tx: Transaction, signer: Signer, size: int, note: str, lines: Sequence[str]
) -> None:
    """Keep cosignatures with their note, beside those another process kept meanwhile."""
    now = tx.note()
    if now is not None and proof.parse_checkpoint(proof.parse_note(now)[0]).size == size:
        note = now
    have = {(line.name, line.id) for line in proof.parse_note(note)[1]}
    for line in lines:
        (read,) = proof.parse_note(f"x\n\n{line}")[1]
        note += "" if (read.name, read.id) in have else line
    tx.put_note(size, note)
    if signer.trust.needed and signer.witnessed(note):
        tx.put_row(LOG, WITNESSED, note.encode())


def _found_ahead(desk: Desk, signer: Signer, client: WitnessPort, witness: Witness) -> None:
    """Look at what a witness holds; a larger ledger our own key signed proves this an older one.

    Raises:
        EvidenceBroken: It does; the anchor is kept, and nothing is booked in such a record.
    """
    with desk.store.look() as view:
        now, size = view.now, view.log.size
    head = seen_by(signer, client, witness)
    if head is None or head.size <= size:
        return
    signer.anchors.append(Anchor(head.origin, head.size, head.root, now))
    raise EvidenceBroken(
        f"the witness {witness.name} holds {head.size} entries of this ledger, here are {size}",
        "this is an older copy: stop, restore the newest record.db",
    )


def seen_by(signer: Signer, client: WitnessPort, witness: Witness) -> proof.Checkpoint | None:
    """Return what a witness shows as newest of this ledger, if our own key signed it."""
    try:
        note = client.newest(witness.url, signer.origin)
        return proof.verify_note(note, signer.own) if note else None
    except Fault:
        return None


HOUR: Final = 3_600 * SECOND


def newest_for_receipts(view: View, signer: Signer) -> str | None:
    """Return the note receipts are written under: the newest that enough witnesses cosigned.

    Without a quorum, or where the newest witnessed one is an hour old, the newest signed one:
    nobody waits for their receipt because a witness is silent.
    """
    newest, raw = view.note(), view.row(LOG, WITNESSED)
    if newest is None or raw is None or not signer.trust.needed:
        return newest
    note = raw.decode()
    fresh = view.now - cosigned_at(note) < HOUR
    return note if fresh and signer.witnessed(note) else newest


def cosigned_at(note: str) -> Instant:
    """Return the newest time in a note's cosignatures; 0 where it has none."""
    times = [
        int.from_bytes(line.signature[:8], "big") * SECOND
        for line in proof.parse_note(note)[1]
        if len(line.signature) == 8 + 64
    ]
    return Instant(max(times, default=0))
