"""A witness of other people's ledgers: its key, its file, and what it answers. No workspace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from troth import crypto
from troth.adapters import witness_server as files
from troth.adapters.system import SystemClock, SystemRandomness
from troth.errors import Conflict, EvidenceBroken, InvalidInput, NotFound
from troth.kernel import ledger, proof, witnessing
from troth.ports import Clock
from troth.terms import SECOND, LogState

HASHED = 64


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness at work.

    Attributes:
        name: Its key's name, which is in every cosignature.
        logs: Origin → keys believed to sign for it.
    """

    name: str
    seed: bytes
    logs: Mapping[str, Sequence[proof.Key]]
    store: files.WitnessStore
    clock: Clock

    def add(self, body: bytes) -> str | witnessing.Refused:
        """Answer a checkpoint handed in: the cosignature line, kept before it is returned."""
        try:
            asked = witnessing.read_request(body)
        except InvalidInput as fault:
            return witnessing.Refused(400, f"{fault.message}\n")
        at = self.clock.now() // SECOND

        def judged(last: LogState) -> str | witnessing.Refused:
            refused = witnessing.judge(asked, self.logs, last, crypto.ed25519_verify)
            if refused is not None:
                return refused
            known = "".join(
                proof.note_line(key, line.signature)
                for line in asked.lines
                for key in self.logs[asked.checkpoint.origin]
                if (line.name, line.id) == (key.name, key.id)
            )
            return ledger.cosign(f"{asked.text}\n{known}", self.name, self.seed, at)

        said = self.store.step(asked.checkpoint.origin, judged)
        return said if isinstance(said, witnessing.Refused) else said.rsplit("\n", 2)[1] + "\n"

    def newest(self, digest: str) -> str | None:
        """Return the newest cosigned note of the log whose origin has this SHA-256 in hex."""
        return self.store.newest(digest) if len(digest) == HASHED else None


def init_witness(data: Path, name: str) -> str:
    """Make a witness's key and its empty file; return the vkey others name it by.

    Raises:
        InvalidInput: The name cannot be a key's.
        Conflict: One of the two files is there already.
    """
    if not name or any(c.isspace() or c == "+" or not c.isprintable() for c in name):
        raise InvalidInput("this is no name of a key", "write witness.example/w1, say")
    if files.key_file(data).exists() or data.exists():
        raise Conflict("a witness lies here already", "name another file")
    seed = SystemRandomness().take(crypto.KEY_BYTES)
    vkey = vkey_of(name, seed)
    files.write_seed(data, seed)
    files.WitnessStore.create(data, vkey)
    return vkey


def vkey_of(name: str, seed: bytes) -> str:
    """Write the public half as policies name it."""
    return proof.Key(name, proof.ED25519_COSIGNATURE, crypto.ed25519_public(seed)).vkey


def open_witness(
    data: Path, logs: Sequence[str], new_key: str = "", clock: Clock | None = None
) -> Witness:
    """Open a witness to serve.

    A key whose file is lost no longer knows what it cosigned: it could cosign a second history.
    It is refused for ever; `new_key` sets it aside and begins anew under that name.

    Raises:
        NotFound: There is no witness here.
        EvidenceBroken: The file was lost, or is another key's.
        InvalidInput: A log's key does not read.
    """
    if new_key and files.key_file(data).exists() and not data.exists():
        files.set_aside(data)
        init_witness(data, new_key)
    seed = files.read_seed(data)
    try:
        store = files.WitnessStore(data)
    except NotFound:
        raise EvidenceBroken(
            "the witness's file is lost: its key may not cosign again",
            "restore nothing older; begin anew with --new-key NAME and tell the logs",
        ) from None
    name = store.vkey.partition("+")[0]
    if vkey_of(name, seed) != store.vkey:
        raise EvidenceBroken("this file is another key's", "put key and file of one witness there")
    return Witness(name, seed, _believed(logs), store, clock or SystemClock())


def _believed(logs: Sequence[str]) -> dict[str, tuple[proof.Key, ...]]:
    out: dict[str, tuple[proof.Key, ...]] = {}
    for vkey in logs:
        key = proof.parse_vkey(vkey)
        if key.kind != proof.ED25519_NOTE:
            raise InvalidInput("a key named with --log is no key of a log")
        out[key.name] = (*out.get(key.name, ()), key)
    return out
