"""The archive's format is fixed by a vector; a record copy is small, whole and of one moment."""

import contextlib
import io
import json
import sqlite3
from pathlib import Path

import pytest

from troth.adapters import archive
from troth.adapters.sqlite import backup as filtered
from troth.adapters.sqlite import schema
from troth.adapters.system import SystemRandomness
from troth.errors import Conflict, EvidenceBroken, InvalidInput, Unavailable

VECTOR = Path(__file__).parents[1] / "vectors" / "archive.json"
"""Regenerate on purpose only: run this file as a script."""


class Counting:
    """Randomness that counts: the same archive on any day."""

    def __init__(self):
        self.next = 0

    def take(self, count):
        self.next += 1
        return bytes([self.next]) * count


def made(path):
    with archive.writing(path, bytes(range(32)), Counting(), chunk=64) as into:
        into.add("record.db", io.BytesIO(b"a record" * 40), 320)
        into.add("drafts/troth.toml", io.BytesIO(b"[house]\n"), 8)
        into.close({"id": "data-vector", "size": 3})
    return path.read_bytes()


def test_an_archive_written_long_ago_still_opens(tmp_path):
    held = json.loads(VECTOR.read_text())
    (tmp_path / "old").write_bytes(bytes.fromhex(held["archive"]))
    (tmp_path / "out").mkdir()
    told = archive.Unpacked.read(
        tmp_path / "old", bytes.fromhex(held["secret"]), tmp_path / "out"
    ).told
    assert told == held["manifest"]
    assert (tmp_path / "out" / "record.db").read_bytes() == b"a record" * 40
    assert (tmp_path / "out" / "drafts" / "troth.toml").read_bytes() == b"[house]\n"


def test_the_frame_of_an_archive_is_the_one_the_vector_fixes(tmp_path):
    """Only what zlib makes of the same bytes may differ between its versions."""
    held = bytes.fromhex(json.loads(VECTOR.read_text())["archive"])
    now = made(tmp_path / "new")
    head = 12 + int.from_bytes(held[8:12], "big")
    assert now[:head] == held[:head]
    assert now[head : head + 4] == held[head : head + 4]


def test_a_name_has_its_length_and_a_source_that_ends_early_makes_no_archive(tmp_path):
    with (
        pytest.raises(InvalidInput),
        archive.writing(tmp_path / "one", bytes(32), SystemRandomness()) as into,
    ):
        into.add("a" * 201, io.BytesIO(b"x"), 1)
    with (
        pytest.raises(InvalidInput, match="early"),
        archive.writing(tmp_path / "two", bytes(32), SystemRandomness()) as into,
    ):
        into.add("a", io.BytesIO(b"x"), 2)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced(tmp_path):
    (tmp_path / "one").write_bytes(b"mine")
    with (
        pytest.raises(Conflict),
        archive.writing(tmp_path / "one", bytes(32), SystemRandomness()),
    ):
        pass
    assert (tmp_path / "one").read_bytes() == b"mine"


def test_what_is_no_backup_is_told_apart_from_a_damaged_one(tmp_path):
    (tmp_path / "text").write_text("hello, this is not a backup at all")
    (tmp_path / "out").mkdir()
    with pytest.raises(InvalidInput, match="no backup"):
        archive.Unpacked.read(tmp_path / "text", bytes(32), tmp_path / "out")
    with pytest.raises(Unavailable):
        archive.Unpacked.read(tmp_path / "missing", bytes(32), tmp_path / "out")
    with pytest.raises(Unavailable):
        archive.digest_of(tmp_path / "missing")


# The copy of a record


def test_a_record_of_an_older_schema_is_copied_before_it_is_changed(tmp_path, monkeypatch):
    path = tmp_path / "record.db"
    con = schema.connect(path)
    schema.migrate(con, path, schema.STEPS)
    con.execute("INSERT INTO meta VALUES ('origin', x'61')")
    con.close()
    assert filtered.before_upgrade(path) is None  # nothing is to be changed
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, "CREATE TABLE later (one)"))
    kept = filtered.before_upgrade(path)
    assert kept.name == f"before-{len(schema.STEPS)}.db"
    assert kept.stat().st_mode & 0o077 == 0
    with contextlib.closing(sqlite3.connect(kept)) as old:
        assert old.execute("SELECT value FROM meta").fetchall() == [(b"a",)]
        assert "later" not in filtered.tables(old)
    assert filtered.before_upgrade(path) == kept  # made once
    assert filtered.before_upgrade(tmp_path / "none.db") is None


def test_a_record_that_was_just_begun_is_not_copied(tmp_path):
    schema.connect(tmp_path / "record.db").close()
    assert filtered.before_upgrade(tmp_path / "record.db") is None


def test_what_is_no_record_is_said_so(tmp_path):
    (tmp_path / "x.db").write_bytes(b"no database, for sure" * 100)
    with pytest.raises(EvidenceBroken):
        filtered.counted(tmp_path / "x.db")
    with pytest.raises(EvidenceBroken):
        filtered.before_upgrade(tmp_path / "x.db")


@pytest.mark.parametrize("size", [5_000_000, archive.CHUNK + 1, 3 * archive.CHUNK])
def test_a_part_far_larger_than_the_chunk_it_is_packed_into_comes_back_whole(tmp_path, size):
    """What is packed tightly lies in the last chunk alone, and is unpacked in many steps."""
    path, whole = tmp_path / "tight.troth-backup", bytes(size)
    with archive.writing(path, bytes(range(32)), Counting()) as into:
        into.add("record.db", io.BytesIO(whole), size)
        into.close({"id": "tight"})
    archive.Unpacked.read(path, bytes(range(32)), tmp_path / "out")
    assert (tmp_path / "out" / "record.db").read_bytes() == whole


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        raw = made(Path(folder) / "v")
        (Path(folder) / "out").mkdir()
        found = archive.Unpacked.read(Path(folder) / "v", bytes(range(32)), Path(folder) / "out")
    held = {"archive": raw.hex(), "secret": bytes(range(32)).hex(), "manifest": found.told}
    VECTOR.write_text(json.dumps(held, indent=1) + "\n")
