"""The certificate of an erasure: checked afterwards, handed to whoever holds its address.

It outlives the person's record, so it lies sealed under a key only its address gives; the house
keeps no address beside it. Beside it goes a proof: the public leaf of the erasure, and the path
from it to a signed checkpoint. It names nobody: a random id that means nothing any more, a salt.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from troth import crypto
from troth.capabilities.rights import clocks
from troth.capabilities.rights.erasing import Certificate
from troth.errors import EvidenceBroken, InvalidInput, NotFound, Unavailable
from troth.kernel import events, ledger, proof
from troth.kernel.desk import Desk, pointers
from troth.kernel.vault import lp
from troth.ports import View
from troth.terms import DAY, Channel, Instant, PersonId, zulu

HANDED: Final = "rights.certificate"
"""MAC of an address → until when, and the sealed certificate; nothing leads here from anybody."""
KEPT: Final = ("suppression", "commitments")
"""What an erasure keeps: the no of an address as a keyed code, and hashes in the tree."""
_CHARS = 26
_LATER: Final = ("epoch", "final_after", "searched", "searched_for")
"""What certificates say since there are key epochs; older ones verify without."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A certificate as it is handed out.

    Attributes:
        data: What the JSON file says.
        proof: The proof of its public leaf, as text.
    """

    data: Mapping[str, Any]
    proof: str

    @property
    def paper(self) -> bytes:
        """The canonical bytes of the JSON file."""
        return events.canonical(self.data)


# Checking what was done


def left_of(desk: Desk, view: View, people: Sequence[PersonId], keys: int) -> dict[str, int]:
    """Count what is still held of erased people, by store; all noughts is what is promised.

    Args:
        desk: The workspace.
        view: A look after the erasure.
        people: Every id of the person.
        keys: Keys of theirs that are not destroyed, as the key store says.
    """
    fields = [*desk.vault.fields, *(f"{scope}/" for scope in _SCOPES)]
    sealed = view.sealed(people, fields)
    points = [
        found.contact
        for channel in Channel
        for found in view.gather(people, channel)
        if found.contact
    ]
    return {
        "contact_points": len(points),
        "keys": keys,
        "rows_leading_to_them": sum(1 for each in people for _ in pointers(view, each)),
        "sealed_values": sum(map(len, sealed.values())),
        "timeline": sum(_readable(desk, view, each) for each in people),
    }


_SCOPES = ("purchases", "purchases.sensitive", "views")


def _readable(desk: Desk, view: View, person: PersonId) -> int:
    """Count the events of a person that still open."""
    out = 0
    for body in view.bodies(person):
        try:
            desk.scribe.read(body, view.now)
        except (NotFound, EvidenceBroken):
            continue
        out += 1
    return out


def written(
    done: Certificate, person: PersonId, left: Mapping[str, int], checked: Instant
) -> dict[str, Any]:
    """Return what the certificate's file says."""
    return {
        "type": "erasure.certificate",
        "v": 1,
        "request": done.request,
        "erased_at": zulu(done.erased_at),
        "leaf": done.leaf,
        "salt": done.salt,
        "subject_id": person.hex(),
        "keys_destroyed": done.keys,
        "deleted": dict(done.counts),
        "kept": list(KEPT),
        "not_covered": list(done.not_covered),
        "epoch": done.horizon.epoch or None,
        "final_after": zulu(done.horizon.at) if done.horizon.state else None,
        "searched": list(done.scanned.stores),
        "searched_for": list(done.scanned.by),
        "checked_at": zulu(checked),
        "left": dict(left),
    }


# Handing it out


def token_of(desk: Desk, request: str) -> str:
    """Return the last part of a certificate's address, the same before and after the erasure."""
    made = crypto.mac(desk.vault.keys.secret("token"), lp(b"certificate", request.encode()))
    return base64.b32encode(made).decode().lower()[:_CHARS]


def hand_out(desk: Desk, data: Mapping[str, Any], note: str) -> Handed:
    """Keep a certificate for whoever has its address; repeatable.

    Args:
        desk: The workspace.
        data: As `written` returns it.
        note: A signed checkpoint that covers the leaf.
    """
    with desk.store.look() as view:
        made = Handed(data, proof_of(view, data["leaf"], note))
        until = view.now + clocks.settings()["keep"]["certificate_days"] * DAY
    token = token_of(desk, data["request"])
    plain = msgspec.json.encode([data, made.proof])
    nonce = desk.randomness.take(crypto.NONCE_BYTES)
    sealed = crypto.Aead(_key(token)).seal(nonce, plain, b"certificate")
    row = until.to_bytes(8, "big") + nonce + sealed
    with desk.store.book() as tx:
        tx.put_row(HANDED, _place(desk, token), row)
    return made


def handed(desk: Desk, token: str) -> Handed:
    """Return the certificate at an address.

    Raises:
        NotFound: There is none, its time is over, or it is not made yet: one answer for all.
    """
    with desk.store.look() as view:
        raw = view.row(HANDED, _place(desk, token))
        if raw is None or int.from_bytes(raw[:8], "big") <= view.now:
            raise NotFound("there is no certificate at this address", "use the one you saved")
    nonce, sealed = raw[8 : 8 + crypto.NONCE_BYTES], raw[8 + crypto.NONCE_BYTES :]
    data, text = msgspec.json.decode(crypto.Aead(_key(token)).open(nonce, sealed, b"certificate"))
    return Handed(data, text)


def forget(desk: Desk, token: str) -> None:
    """Drop a certificate from here; whoever saved it keeps it, and it still verifies."""
    with desk.store.book() as tx:
        tx.put_row(HANDED, _place(desk, token), None)


def forget_old(desk: Desk) -> int:
    """Drop certificates whose time here is over; return how many."""
    with desk.store.look() as view:
        rows = view.rows(HANDED, b"", b"", 10_000)
        old = [key for key, raw in rows if int.from_bytes(raw[:8], "big") <= view.now]
    if old:
        with desk.store.book() as tx:
            for key in old:
                tx.put_row(HANDED, key, None)
    return len(old)


def _place(desk: Desk, token: str) -> bytes:
    return crypto.mac(desk.vault.keys.secret("token"), lp(b"handed", token.encode()))[:16]


def _key(token: str) -> bytes:
    return crypto.hkdf(token.encode(), b"troth certificate")


# Proving it


def proof_of(view: View, leaf: int, note: str) -> str:
    """Write the `.proof` of a public leaf under a signed checkpoint that covers it.

    Raises:
        Unavailable: The checkpoint does not cover it yet.
    """
    if proof.parse_checkpoint(proof.parse_note(note)[0]).size <= leaf:
        raise Unavailable("no signed checkpoint covers this yet", "repeat in a moment")
    entry = view.entries(leaf, leaf + 1)[0]
    return ledger.receipt(proof.public_extra(entry), leaf, note, view.tile)


def verify(paper: bytes, text: str, policy: proof.Policy) -> Mapping[str, Any]:
    """Check a certificate and its proof, without any workspace; return the public statement.

    Raises:
        InvalidInput: One of the files is not what it should be.
        EvidenceBroken: The proof does not hold, or the certificate says something else.
    """
    entry, index = _proved(text, policy)
    data = events.read_canonical(paper)
    said = events.read_canonical(entry[1:])
    salted = crypto.sha256(bytes.fromhex(str(data["subject_id"]) + str(data["salt"])))
    held: dict[str, object] = {
        "type": "erase.done",
        "at": data["erased_at"],
        "subject": salted.hex(),
        "keys": data["keys_destroyed"],
        "counts": data["deleted"],
        "not_covered": data["not_covered"],
        **{name: data[name] for name in _LATER if name in data},
    }
    if data["leaf"] != index or any(said.get(name) != value for name, value in held.items()):
        raise EvidenceBroken("the certificate says something else than the ledger")
    return said


def _proved(text: str, policy: proof.Policy) -> tuple[bytes, int]:
    """Return the public entry a proof shows to be in the signed tree, and its index."""
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    if not gap or len(lines) < 3 or lines[0] != proof.RECEIPT_HEADER:  # noqa: PLR2004
        raise InvalidInput("this is no proof", f"it starts with the line {proof.RECEIPT_HEADER}")
    extra = proof.unb64(lines[1].removeprefix("extra "))
    if extra[:2] != proof.public_extra(proof.PUBLIC):
        raise InvalidInput("this proof shows no public entry", "take the one of the certificate")
    index = proof.number(lines[2].removeprefix("index "))
    checkpoint = proof.verify_note(note, policy)
    path = [proof.unb64(line) for line in lines[3:]]
    proof.verify_inclusion(
        extra[1:], index=index, size=checkpoint.size, path=path, root=checkpoint.root
    )
    return extra[1:], index
