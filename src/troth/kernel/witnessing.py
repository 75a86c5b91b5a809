"""What a witness says to a checkpoint handed in (c2sp.org/tlog-witness): rules alone, no store.

A witness promises one thing: of each log it cosigns one history. Whoever keeps the last size it
cosigned must compare and replace it in one step with the judgement made here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from troth.errors import EvidenceBroken, InvalidInput
from troth.kernel import proof
from troth.terms import LogState

MAX_BODY: Final = 65_536
MAX_PATH: Final = 63
SIZE_KIND: Final = "text/x.tlog.size"
"""Content type of an answer that tells the size last cosigned."""
NOTHING: Final = LogState(0, proof.EMPTY_ROOT)
"""What a witness holds of a log it never cosigned."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it reads; nothing of it is believed yet."""

    old: int
    path: tuple[bytes, ...]
    text: str
    lines: tuple[proof.SignatureLine, ...]
    checkpoint: proof.Checkpoint


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer that is no cosignature."""

    status: int
    said: str
    kind: str = "text/plain; charset=utf-8"


def request_body(old: int, path: Sequence[bytes], note: str) -> bytes:
    """Write a request: the size to continue from, the proof, the signed checkpoint."""
    hashes = "".join(proof.b64(each) + "\n" for each in path)
    return f"old {old}\n{hashes}\n{note}".encode()


def read_request(body: bytes) -> Asked:
    """Read a request.

    Raises:
        InvalidInput: It does not read; a witness answers 400.
    """
    if len(body) > MAX_BODY:
        raise InvalidInput(f"a request has at most {MAX_BODY} bytes")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidInput("a request is UTF-8 text") from None
    head, gap, note = text.partition("\n\n")
    rows = head.split("\n")
    if not gap or not rows[0].startswith("old ") or len(rows) > 1 + MAX_PATH:
        raise InvalidInput("a request has an old size, at most 63 hashes, and a checkpoint")
    path = tuple(proof.unb64(row) for row in rows[1:])
    if any(len(each) != proof.HASH_BYTES for each in path):
        raise InvalidInput(f"every hash must be {proof.HASH_BYTES} bytes long")
    signed, lines = proof.parse_note(note)
    return Asked(proof.number(rows[0][4:]), path, signed, lines, proof.read_checkpoint(signed))


def judge(
    asked: Asked,
    logs: Mapping[str, Sequence[proof.Key]],
    last: LogState,
    check: proof.Ed25519Check,
) -> Refused | None:
    """Say what is wrong with a request, in the standard's order; None: cosign it.

    Args:
        asked: The request.
        logs: Origin → keys believed to sign for it.
        last: What was last cosigned of this origin, `NOTHING` where nothing was.
        check: The Ed25519 check.
    """
    new = asked.checkpoint
    keys = {(key.name, key.id): key for key in logs.get(new.origin, ())}
    if not keys:
        return Refused(404, "this log is not known here\n")
    known = [(keys[s.name, s.id], s) for s in asked.lines if (s.name, s.id) in keys]
    text = asked.text.encode()
    if not known or not all(check(key.public, s.signature, text) for key, s in known):
        return Refused(403, "no key known here signed this, or one of them did not\n")
    if asked.old > new.size:
        return Refused(400, "the old size is larger than the checkpoint's\n")
    if asked.old != last.size:
        return Refused(409, f"{last.size}\n", SIZE_KIND)
    return None if _continues(asked, last) else Refused(422, "the proof does not hold\n")


def _continues(asked: Asked, last: LogState) -> bool:
    new = asked.checkpoint
    if new.size == 0 and new.root != proof.EMPTY_ROOT:
        return False
    if asked.old == 0:
        return not asked.path
    try:
        proof.verify_consistency(
            size1=last.size, size2=new.size, root1=last.root, root2=new.root, path=asked.path
        )
    except (EvidenceBroken, InvalidInput):
        return False
    return True


def cosignatures(
    answer: bytes, text: str, key: proof.Key, check: proof.Ed25519Check
) -> tuple[str, int]:
    """Check what a witness answered; return its line for the note, and when it signed (seconds).

    Lines of keys other than the witness's own are dropped.

    Raises:
        EvidenceBroken: No line of its key, two of them, or a signature that does not hold.
    """
    try:
        found = proof.parse_note(f"{text}\n{answer.decode()}")[1]
    except (UnicodeDecodeError, InvalidInput):
        raise EvidenceBroken("the witness's answer is no signature line") from None
    for line in found:
        if (line.name, line.id) == (key.name, key.id) and len(line.signature) == 8 + 64:
            at = int.from_bytes(line.signature[:8], "big")
            signed = proof.cosigned_text(text, at)
            if 0 < at < 1 << 63 and check(key.public, line.signature[8:], signed):
                return proof.note_line(key, line.signature), at
    raise EvidenceBroken("the witness's answer does not hold under its key")
