"""The key store: wrapped keys in `keys.db`, named secrets as files beside it.

Lies in `keys/`, apart from the record and its backups. The key each epoch's shard keys are wrapped
under is the provider's (`adapters.providers`); it states what its destruction is worth.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import starmap
from pathlib import Path

from troth import crypto
from troth.adapters.providers import FileProvider, write_secret
from troth.adapters.sqlite import schema
from troth.adapters.sqlite.epochs import KeyEpochs, create_shards, open_shard, shard_aad
from troth.adapters.sqlite.keyfile import STEPS, KeyFile
from troth.adapters.system import SystemRandomness
from troth.errors import Conflict, EvidenceBroken, Unavailable
from troth.kernel import restrictions
from troth.kernel.vault import SHARDS, Rewrapped, shard_of
from troth.ports import KeyProvider, Randomness
from troth.terms import Instant, KeyEpoch, KeyRow, PersonId

__all__ = ["SECRETS", "STEPS", "FileKeyStore", "create", "write_secret"]

SECRETS = ("bi", "sup", "journal", "staff", "token", "code", "log", "backup")
LATER = ("backup",)
"""Secrets that a store made by an older Troth does not have."""


def create(
    folder: Path, workspace: bytes, randomness: Randomness, provider: KeyProvider | None = None
) -> None:
    """Make a key store: folder 0700, secrets 0600, the first epoch's key, shard keys.

    Args:
        folder: Where; made if it is not there.
        workspace: Its 16-byte id.
        randomness: Where keys come from.
        provider: Who holds the epochs' keys; None keeps them as files in the folder.

    Raises:
        Conflict: One lies there already; nothing was touched.
        Unavailable: The folder cannot be written, or the provider does not answer.
    """
    if (folder / "keys.db").exists():
        raise Conflict("a key store lies here already", "use another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for name in SECRETS:
            write_secret(folder / f"{name}.key", randomness.take(crypto.KEY_BYTES))
    except OSError:
        raise Unavailable("the key folder cannot be written", "check owner and mode") from None
    held = provider or FileProvider(folder, randomness)
    held.new_epoch(1)
    file = KeyFile(folder / "keys.db")
    file.path.chmod(0o600)
    create_shards(file, workspace, held, randomness.take)
    file.con.close()


class FileKeyStore:
    """See `ports.KeyStore`."""

    def __init__(
        self,
        folder: Path,
        workspace: bytes,
        provider: KeyProvider | None = None,
        randomness: Randomness | None = None,
    ) -> None:
        """Open the key store of one workspace.

        Args:
            folder: Where it lies.
            workspace: Its 16-byte id.
            provider: Who holds the epochs' keys; None: files in the folder.
            randomness: Where new shard keys come from; None: the machine's.

        Raises:
            Unavailable: It is missing, readable by others, or a file of it is missing.
            EvidenceBroken: It is damaged.
        """
        path = folder / "keys.db"
        if not path.exists():
            raise Unavailable(
                "the key store is missing", f"restore {folder.name}/ or run: troth init"
            )
        if folder.stat().st_mode & 0o077:
            raise Unavailable(
                f"{folder.name}/ is open to other users", f"run: chmod 700 {folder.name}"
            )
        self._folder = folder
        self._workspace = workspace
        self._file = KeyFile(path)
        self._con = self._file.con
        random = randomness or SystemRandomness()
        self.provider: KeyProvider = provider or FileProvider(folder, random)
        self.epochs = KeyEpochs(self._file, workspace, self.provider, random)
        self._shards: dict[int, tuple[int, bytes]] = {}
        self._seen = -1
        self._secrets: dict[str, bytes] = {}
        self._check()

    def _check(self) -> None:
        try:
            count = self._con.execute("SELECT count(*) FROM shard").fetchone()[0]
            sound = self._con.execute("PRAGMA quick_check").fetchone()[0]
        except sqlite3.DatabaseError as fault:
            raise schema.damaged(self._folder / "keys.db", fault) from None
        if count != SHARDS or sound != "ok":
            raise EvidenceBroken("the key store is not whole", "restore the newest copy of keys/")

    def rows(self, people: Sequence[PersonId]) -> list[KeyRow]:
        """Return every key row of these people."""
        out: list[KeyRow] = []
        for start in range(0, len(people), 500):
            part = people[start : start + 500]
            sql = (
                "SELECT psid, scope, kver, state, coalesce(wrapped, x''), kcv, epoch, fence_at"  # noqa: S608 - question marks only
                f" FROM key_row WHERE psid IN ({','.join('?' * len(part))})"
            )
            out += starmap(KeyRow, self._file.query(sql, part))
        return out

    def add(self, rows: Iterable[KeyRow]) -> None:
        """Store new rows, durably; see `ports.KeyStore.add`."""
        with self._file.write():
            self._refuse_fenced(rows := list(rows))
            self._refuse_moved(rows)
            self._con.executemany(
                "INSERT INTO key_row VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                [(r.person, r.scope, r.kver, r.state, r.wrapped, r.kcv, r.epoch) for r in rows],
            )
            if any(r.kver > 1 for r in rows):  # others must not go on with the version before
                self._con.execute("UPDATE fence SET counter = counter + 1")

    def _refuse_fenced(self, rows: Sequence[KeyRow]) -> None:
        """Refuse a person's key after theirs was shredded, and a scope's that is not newer."""
        people = list({row.person for row in rows})
        live: set[bytes] = set()
        fences: dict[bytes, list[tuple[str, int]]] = {}
        for start in range(0, len(people), 500):
            part = people[start : start + 500]
            sql = (
                "SELECT psid, scope, kver, state FROM key_row"  # noqa: S608 - question marks only
                f" WHERE psid IN ({','.join('?' * len(part))})"
                " AND (state = 'shredded' OR scope = '')"
            )
            for psid, scope, kver, state in self._con.execute(sql, part):
                if state == "shredded":
                    fences.setdefault(psid, []).append((scope, kver))
                else:
                    live.add(psid)
        for row in rows if fences else ():
            held = fences.get(row.person, ())
            if any(
                (scope == "" and row.person not in live)
                or (scope == row.scope and kver >= row.kver)
                for scope, kver in held
            ):
                raise Conflict("this id was erased and is never used again", "use a new id")

    def _refuse_moved(self, rows: Sequence[KeyRow]) -> None:
        """Refuse a key wrapped under a shard key that was renewed meanwhile."""
        wanted = sorted({shard_of(row.person) for row in rows})
        sql = f"SELECT shard, epoch FROM shard WHERE shard IN ({','.join('?' * len(wanted))})"  # noqa: S608 - question marks only
        have = dict(self._con.execute(sql, wanted))
        if any(have[shard_of(row.person)] != row.epoch for row in rows):
            raise Rewrapped("the shard of a key got a new key meanwhile", "wrap it again")

    @staticmethod
    def _touch(con: sqlite3.Connection, people: Iterable[PersonId]) -> None:
        """Note the shards whose key the next epoch renews; every process reads keys anew."""
        shards = {(shard_of(person),) for person in people}
        con.executemany("UPDATE shard SET dirty = 1 WHERE shard = ?", sorted(shards))
        con.execute("UPDATE fence SET counter = counter + 1")

    def shred(
        self, person: PersonId, scopes: Sequence[str] | None, at: Instant, below: int = 0
    ) -> int:
        """Destroy keys: zero, null, commit, truncate the log; see `ports.KeyStore.shred`."""
        where = "psid = ?"
        args: tuple[bytes | str | int, ...] = (person,)
        if scopes is not None:
            where += f" AND scope IN ({','.join('?' * len(scopes))}) AND (? = 0 OR kver < ?)"
            args = (person, *scopes, below, below)
        with self._file.write():
            self._con.execute(
                f"UPDATE key_row SET wrapped = zeroblob(length(wrapped)) WHERE {where}"  # noqa: S608 - question marks only
                " AND wrapped IS NOT NULL",
                args,
            )
            self._con.execute(
                "UPDATE key_row SET wrapped = NULL, state = 'shredded',"  # noqa: S608 - question marks only
                f" fence_at = CASE state WHEN 'shredded' THEN fence_at ELSE ? END WHERE {where}",
                (at, *args),
            )
            if scopes is None:
                self._con.execute(
                    "INSERT OR IGNORE INTO key_row VALUES (?, '', 0, 'shredded', NULL, x'', 0, ?)",
                    (person, at),
                )
            self._touch(self._con, [person])
            sql = f"SELECT count(*) FROM key_row WHERE {where} AND state = 'shredded'"  # noqa: S608 - question marks only
            count = int(self._con.execute(sql, args).fetchone()[0])
        self._file.truncate_log()
        return count

    def fence(self) -> int:
        """Return the fence counter; where it moved, shard keys are read anew."""
        counter = int(self._file.query("SELECT counter FROM fence")[0][0])
        if counter != self._seen:
            self._shards = {}
            self._seen = counter
        return counter

    def shard_key(self, shard: int) -> tuple[int, bytes]:
        """Return (epoch, key) of a shard."""
        cache = self._shards
        known = cache.get(shard)
        if known is None:
            sql = "SELECT kek, epoch, wrapped FROM shard WHERE shard = ?"
            kek, epoch, wrapped = self._file.query(sql, (shard,))[0]
            raw = open_shard(self.provider, self._workspace, kek, epoch, shard, wrapped)
            known = cache[shard] = (epoch, raw)
        return known

    # Versions of a key

    def retire(self, people: Sequence[PersonId], at: Instant) -> None:
        """Note as retired every key of these people that has a newer version; repeatable."""
        with self._file.write() as con:
            con.executemany(
                "UPDATE key_row SET state = 'retired', fence_at = ?"
                " WHERE psid = ? AND state = 'active'"
                " AND kver < (SELECT max(n.kver) FROM key_row n WHERE n.psid = key_row.psid"
                " AND n.scope = key_row.scope AND n.state <> 'shredded')",
                [(at, person) for person in people],
            )

    def retired_count(self) -> int:
        """Count people who have a retired key."""
        sql = "SELECT count(DISTINCT psid) FROM key_row WHERE state = 'retired'"
        return int(self._file.query(sql)[0][0])

    def retired(self, after: PersonId | None, limit: int) -> list[PersonId]:
        """Page through people who have a retired key."""
        sql = (
            "SELECT DISTINCT psid FROM key_row WHERE state = 'retired' AND psid > ?"
            " ORDER BY psid LIMIT ?"
        )
        return [PersonId(psid) for (psid,) in self._file.query(sql, (after or b"", limit))]

    def shred_retired(self, people: Sequence[PersonId], since: Instant, at: Instant) -> int:
        """Destroy these people's keys retired by `since`: nothing lies under them any more."""
        count, touched = 0, []
        where = " WHERE psid = ? AND state = 'retired' AND fence_at <= ?"
        with self._file.write() as con:
            for person in people:
                zeroed = con.execute(
                    f"UPDATE key_row SET wrapped = zeroblob(length(wrapped)){where}",  # noqa: S608 - question marks only
                    (person, since),
                ).rowcount
                if zeroed:
                    touched.append(person)
                    count += zeroed
                    con.execute(
                        "UPDATE key_row SET wrapped = NULL, state = 'shredded',"  # noqa: S608 - question marks only
                        f" fence_at = ?{where}",
                        (at, person, since),
                    )
            if touched:
                self._touch(con, touched)
        if touched:
            self._file.truncate_log()
        return count

    def fence_again(self, lines: Iterable[Mapping[str, str | int]]) -> int:
        """Shred again what lines of the restriction journal say was; return how many rows are.

        For a key store that was brought back from a copy: call it before anything is read.
        """
        count = 0
        for line in lines:
            person = PersonId(bytes.fromhex(str(line.get("psid", ""))))
            at = Instant(int(line.get("fence_at", 1)))
            if line["act"] == restrictions.ERASURE:
                count += self.shred(person, None, at)
            elif line["act"] == restrictions.PARTIAL and line.get("scopes"):
                for scope, below in _quarters(line):
                    count += self._fence_quarter(person, scope, at, below)
        return count

    def _fence_quarter(self, person: PersonId, scope: str, at: Instant, below: int) -> int:
        """Shred versions of a quarter, and fence the newest of them even if it is not here."""
        if below:
            with self._file.write() as con:
                con.execute(
                    "INSERT OR IGNORE INTO key_row VALUES (?, ?, ?, 'shredded', NULL, x'', 0, ?)",
                    (person, scope, below - 1, at),
                )
        return self.shred(person, [scope], at, below)

    def fences(self) -> list[tuple[PersonId, str, int, Instant]]:
        """Return what stays shredded whatever copy comes back: people, and quarters' versions.

        A data key that was only replaced by a newer version is none.
        """
        sql = (
            "SELECT psid, scope, kver, fence_at FROM key_row WHERE state = 'shredded'"
            " AND (scope <> '' OR kver = 0)"
        )
        return [(PersonId(p), s, v, Instant(at)) for p, s, v, at in self._file.query(sql)]

    def merge(
        self,
        fences: Iterable[tuple[PersonId, str, int, Instant]],
        known: Iterable[KeyEpoch],
        due: Instant,
    ) -> int:
        """Take over what the store this copy replaces knew; return how many rows are shut.

        Its fences win over the copy's keys, and its epochs' ends over later ones; epochs that had
        no end yet are to be destroyed when `due`.
        """
        count = 0
        for person, scope, kver, fenced in fences:
            if scope:
                count += self._fence_quarter(person, scope, fenced, kver + 1)
            else:
                count += self.shred(person, None, fenced)
        self.epochs.take_over(known, due)
        return count

    def opens(self, epoch: int, key: bytes) -> bool:
        """Tell whether a key is the one of an epoch, by a shard key wrapped under it."""
        sql = "SELECT shard, epoch, wrapped FROM shard WHERE kek = ? LIMIT 1"
        for shard, of, wrapped in self._file.query(sql, (epoch,)):
            nonce, sealed = wrapped[: crypto.NONCE_BYTES], wrapped[crypto.NONCE_BYTES :]
            try:
                aad = shard_aad(self._workspace, epoch, of, shard)
                return len(crypto.Aead(key).open(nonce, sealed, aad)) == crypto.KEY_BYTES
            except EvidenceBroken:
                return False
        return False

    def copy_to(self, path: Path) -> None:
        """Copy `keys.db` as it is at one moment; the copy holds no epoch's key."""
        target = sqlite3.connect(path)
        try:
            with self._file.lock, self._file.told():
                self._con.backup(target)
        finally:
            target.close()

    def secret(self, name: str) -> bytes:
        """Return a named 32-byte secret."""
        if name not in self._secrets:
            self._secrets[name] = self._read(f"{name}.key")
        return self._secrets[name]

    def complete(self, take: Callable[[int], bytes]) -> None:
        """Draw the secrets that a store of an older Troth lacks; see `KeyFile.complete`."""
        self._file.complete(LATER, take)

    def _read(self, name: str) -> bytes:
        try:
            raw = (self._folder / name).read_bytes()
        except OSError:
            raise Unavailable(f"{name} is missing from the key folder", "restore it") from None
        if len(raw) != crypto.KEY_BYTES:
            raise EvidenceBroken(f"{name} is damaged", "restore it from the key backup")
        return raw

    def close(self) -> None:
        """Close the file."""
        self._con.close()


def _quarters(line: Mapping[str, str | int]) -> list[tuple[str, int]]:
    """Return the quarters a line names, each with the first version that may live on; 0: none."""
    scopes = [each for each in str(line["scopes"]).split(",") if "/" in each]
    versions = str(line.get("kver") or "").split(",")
    if len(versions) != len(scopes) or not all(each.isdigit() for each in versions):
        return [(scope, 0) for scope in scopes]
    return [(scope, int(version) + 1) for scope, version in zip(scopes, versions, strict=True)]
