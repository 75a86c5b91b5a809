"""The fixed cast of the tests: people, keys, clocks and randomness that never change.

Nobody here exists: ids are hashes of role names, domains are reserved for examples.
"""

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import replace

from troth import crypto
from troth.kernel import gate, ledger, proof
from troth.kernel.facts import Facts, House
from troth.kernel.regimes import Ruleset
from troth.kernel.scribe import Scribe
from troth.kernel.vault import Keyring, Vault
from troth.terms import (
    NO_HEAD,
    NO_RECORD,
    Action,
    Actor,
    Claim,
    Gathered,
    Instant,
    PersonId,
    Purpose,
    PurposeKind,
    Role,
    UseRequest,
    from_zulu,
)

ORIGIN = "brand.example/ledger"
WITNESS = "witness.example/w1"
LOG_SEED, WITNESS_SEED = b"\x01" * 32, b"\x02" * 32
WORKSPACE = bytes(range(0x10, 0x20))
NOW = from_zulu("2026-11-20T08:00:00Z")
SYSTEM = Actor(Role.SYSTEM, "tests")
LABELS = {
    "contact.email": "contact",
    "contact.phone": "contact",
    "name.given": "identity",
    "birth.date": "birth",
    "secret.note": "secret",
}
CATEGORIES = frozenset({*LABELS.values(), "purchases"})


def person(name: str) -> PersonId:
    """Return the id of a member of the cast."""
    return PersonId(hashlib.sha256(name.encode()).digest()[:16])


AGREED, WITHDREW, ERASING = person("agreed"), person("withdrew"), person("erasing")
HOUSE = person("house")


class Stream:
    """Bytes from SHA-256 over a counter: every run draws the same, no two draws are equal."""

    def __init__(self, seed: bytes = b"cast") -> None:
        self._seed = seed
        self._count = 0

    def take(self, count: int) -> bytes:
        out = b""
        while len(out) < count:
            self._count += 1
            out += hashlib.sha256(self._seed + self._count.to_bytes(8, "big")).digest()
        return out[:count]


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, at: Instant = NOW) -> None:
        self.at = at

    def now(self) -> Instant:
        return self.at


class MemoryKeys:
    """A key store in plain memory: `ports.KeyStore` without files."""

    def __init__(self, randomness: Stream | None = None) -> None:
        self._random = randomness or Stream(b"keys")
        self.table: dict[tuple[PersonId, str, int], object] = {}
        self.counter = 0
        self.epoch = 1
        self._shards: dict[int, bytes] = {}

    def rows(self, people):
        wanted = set(people)
        return [row for (who, _, _), row in sorted(self.table.items()) if who in wanted]

    def add(self, rows):
        for row in rows:
            self.table[row.person, row.scope, row.kver] = row

    def shred(self, who, scopes, at, below=0):
        count = 0
        for place, row in list(self.table.items()):
            asked = scopes is None or (place[1] in scopes and (not below or place[2] < below))
            if place[0] == who and asked:
                self.table[place] = replace(row, state="shredded", wrapped=b"", fence_at=at)
                count += 1
        self.counter += 1
        return count

    def fence(self) -> int:
        return self.counter

    def shard_key(self, shard: int):
        if shard not in self._shards:
            self._shards[shard] = self._random.take(32)
        return self.epoch, self._shards[shard]

    def secret(self, name: str) -> bytes:
        return hashlib.sha256(b"secret " + name.encode()).digest()


def vault(keys=None, seed: bytes = b"vault") -> Vault:
    """Return a vault over memory keys with one data key for everybody of the cast."""
    random = Stream(seed)
    ring = Keyring(WORKSPACE, keys or MemoryKeys(), random)
    return Vault(ring, random, LABELS)


def with_keys(box: Vault, *people: PersonId) -> Vault:
    """Make the data key of these people."""
    box.keys.make([(who, "", 1) for who in people])
    return box


def scribe(box: Vault) -> Scribe:
    """Return a scribe of the cast's house over a vault."""
    return Scribe(box, Stream(b"scribe"), HOUSE)


def policy_text(*extra: str, quorum: str = "none") -> str:
    """Return a policy that trusts the cast's log and knows its witness."""
    log = ledger.log_key(ORIGIN, LOG_SEED).vkey
    witness = proof.Key(WITNESS, proof.ED25519_COSIGNATURE, crypto.ed25519_public(WITNESS_SEED))
    return "\n".join([f"log {log}", f"witness w1 {witness.vkey}", *extra, f"quorum {quorum}", ""])


def policy(*extra: str, quorum: str = "none") -> proof.Policy:
    """Return `policy_text` parsed, checking with the library's Ed25519."""
    return proof.parse_policy(policy_text(*extra, quorum=quorum), crypto.ed25519_verify)


def house() -> House:
    """Return a house with one service purpose that needs no ground."""
    purpose = Purpose(
        "service", 1, PurposeKind.SERVICE, "Service", frozenset(), frozenset(CATEGORIES)
    )
    rules = Ruleset("regimes@test", "0" * 64, (), {}, {})
    return House(
        1, "ZA", "Africa/Johannesburg", {"service": purpose}, rules, frozenset(CATEGORIES)
    )


def permit(who: PersonId, masks: Mapping[str, str], at: Instant = NOW) -> gate.Permit:
    """Ask the gate for a service read of these categories; it must say yes."""
    request = UseRequest(
        Actor(Role.SUPPORT, "s1"),
        who,
        "service",
        Action.READ,
        None,
        frozenset(masks),
        at,
        reason="case:1",
    )
    facts = Facts(
        who,
        at,
        Claim(dict(masks)),
        house(),
        Gathered(who, NO_HEAD, NO_RECORD, None, ()),
        contained=True,
    )
    answer = gate.decide(request, facts)
    assert isinstance(answer, gate.Permit), answer
    return answer


class Tiles:
    """Stored tiles in a dict, fed by an edge: the smallest ledger there is."""

    def __init__(self) -> None:
        self.edge = ledger.Edge(0, [])
        self.tiles: dict[tuple[int, int], bytes] = {}

    def add(self, entries) -> "Tiles":
        for tile in self.edge.extend(ledger.leaf_hashes(entries)):
            self.tiles[tile.level, tile.number] = tile.hashes
        return self

    def read(self, level: int, number: int) -> bytes:
        return self.tiles.get((level, number), b"")


def bytes_of(paths) -> bytes:
    """Read files of an open workspace from another process.

    Closing a database's file in the process that has it open would drop SQLite's own locks on it.
    """
    return subprocess.run(["cat", *map(str, paths)], capture_output=True, check=True).stdout
