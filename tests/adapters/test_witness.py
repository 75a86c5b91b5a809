"""The journal tells when it was cut or changed; the signed size lets nobody sign two histories."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cast
import pytest

from troth.adapters import witness
from troth.adapters.witness import FileJournal, FileSignedSize
from troth.errors import Conflict, EvidenceBroken, InvalidInput, Unavailable
from troth.terms import LogState

KEY = b"\x0a" * 32
LINES = [("withdrawn", {"psid": f"{i:032x}", "purpose": "offers"}, i) for i in range(12)]


@pytest.fixture
def journal(tmp_path):
    made = FileJournal(tmp_path / "restrictions", KEY)
    for act, facts, seq in LINES[:6]:
        made.note(act, facts, seq)
    made.note_all(LINES[6:])
    return made


def test_every_line_is_read_back_in_order(journal):
    assert list(journal.lines()) == [{"act": a, "seq": s, **f} for a, f, s in LINES]


def test_a_journal_that_was_never_written_has_no_lines(tmp_path):
    journal = FileJournal(tmp_path / "restrictions", KEY)
    journal.note_all([])
    assert list(journal.lines()) == []


def rewrite(journal, change):
    raw = journal._path.read_bytes()
    lines = raw.split(b"\n")[:-1]
    journal._path.write_bytes(b"".join(line + b"\n" for line in change(lines)))


CHANGES = {
    "first line cut": lambda ls: ls[1:],
    "a line cut": lambda ls: ls[:5] + ls[6:],
    "two lines swapped": lambda ls: [*ls[:3], ls[4], ls[3], *ls[5:]],
    "a line doubled": lambda ls: ls[:4] + ls[3:],
    "a line edited": lambda ls: [*ls[:3], ls[3].replace(b"offers", b"others"), *ls[4:]],
    "a MAC edited": lambda ls: [*ls[:3], b"0" * 64 + ls[3][64:], *ls[4:]],
    "a MAC in capitals": lambda ls: [ls[0][:64].upper() + ls[0][64:], *ls[1:]],
    "an empty line": lambda ls: [*ls[:3], b"", *ls[3:]],
    "a line of another journal": lambda ls: [*ls[:3], ls[3][:64] + ls[5][64:], *ls[4:]],
}


@pytest.mark.parametrize("kind", sorted(CHANGES))
def test_V23_a_cut_edited_or_reordered_journal_is_found(journal, kind):
    rewrite(journal, CHANGES[kind])
    with pytest.raises(EvidenceBroken) as told:
        list(journal.lines())
    assert told.value.remedy


def test_V23_a_forged_journal_under_another_key_is_found(journal, tmp_path):
    forged = FileJournal(tmp_path / "forged", b"\x0b" * 32)
    forged.note(*LINES[0])
    with pytest.raises(EvidenceBroken):
        list(FileJournal(tmp_path / "forged", KEY).lines())


def test_lines_before_the_damage_are_yielded_and_those_after_are_not(journal):
    rewrite(journal, CHANGES["a line edited"])
    read = []
    with pytest.raises(EvidenceBroken, match="line 4"):  # noqa: PT012
        for line in journal.lines():
            read.append(line["seq"])
    assert read == [0, 1, 2]


@pytest.mark.parametrize("cut", [1, 30, 64, 70])
def test_a_line_torn_by_a_crash_is_dropped_and_the_chain_goes_on(journal, cut):
    raw = journal._path.read_bytes()
    start = raw[:-1].rfind(b"\n") + 1
    journal._path.write_bytes(raw[: start + cut])
    assert [line["seq"] for line in journal.lines()] == list(range(11))
    journal.note(*LINES[11])
    assert [line["seq"] for line in journal.lines()] == list(range(12))
    assert journal._path.read_bytes() == raw


def test_a_first_line_torn_by_a_crash_is_dropped(tmp_path):
    path = tmp_path / "restrictions"
    path.write_bytes(b"0123456789")
    journal = FileJournal(path, KEY)
    journal.note(*LINES[0])
    assert len(list(journal.lines())) == 1


def test_a_journal_whose_end_is_no_line_takes_no_further_line(journal):
    with journal._path.open("ab") as out:
        out.write(b"\xff\xfe what is this\n")
    before = journal._path.read_bytes()
    with pytest.raises(EvidenceBroken):
        journal.note(*LINES[0])
    assert journal._path.read_bytes() == before


def test_a_full_disk_is_told_before_any_answer_is_given(journal, monkeypatch):
    before = journal._path.read_bytes()
    real = os.write
    monkeypatch.setattr(witness.os, "write", lambda fd, raw: real(fd, raw[:10]))
    with pytest.raises(Unavailable):
        journal.note(*LINES[0])
    monkeypatch.undo()
    assert [line["seq"] for line in journal.lines()] == list(range(12))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(witness.os, "fsync", full)
    with pytest.raises(Unavailable):
        journal.note(*LINES[0])
    monkeypatch.undo()
    assert journal._path.read_bytes().startswith(before)


def test_a_journal_that_cannot_be_written_is_unavailable(tmp_path):
    with pytest.raises(Unavailable):
        FileJournal(tmp_path / "no" / "restrictions", KEY).note(*LINES[0])


def test_a_fact_may_not_pretend_to_be_the_act_or_the_place(tmp_path):
    journal = FileJournal(tmp_path / "restrictions", KEY)
    for facts in ({"act": "nothing"}, {"seq": 9}):
        with pytest.raises(InvalidInput):
            journal.note("withdrawn", facts, 1)


def test_many_threads_write_one_unbroken_chain(tmp_path):
    def write(i):
        FileJournal(tmp_path / "restrictions", KEY).note("withdrawn", {"i": i}, i)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(40)))
    read = list(FileJournal(tmp_path / "restrictions", KEY).lines())
    assert sorted(line["i"] for line in read) == list(range(40))


# The last signed size

ONE, TWO, RIVAL = LogState(5, b"\x01" * 32), LogState(9, b"\x02" * 32), LogState(9, b"\x03" * 32)


@pytest.fixture
def signed(tmp_path):
    return FileSignedSize(tmp_path / "signed")


def test_the_last_signed_size_moves_by_compare_and_set(signed, tmp_path):
    assert signed.last() is None
    signed.advance(None, ONE)
    again = FileSignedSize(tmp_path / "signed")
    assert again.last() == ONE
    again.advance(ONE, TWO)
    assert signed.last() == TWO
    for before in (None, ONE, RIVAL):
        with pytest.raises(Conflict):
            signed.advance(before, LogState(10, b"\x04" * 32))
    assert signed.last() == TWO


def test_L2_no_smaller_size_and_no_second_root_of_one_size_is_ever_signed(signed):
    signed.advance(None, TWO)
    for after in (ONE, RIVAL):
        with pytest.raises(EvidenceBroken):
            signed.advance(TWO, after)
    signed.advance(TWO, TWO)
    assert signed.last() == TWO


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00" * 128,
        b"garbage\n",
        b"9 AAAA\n" + b"\n" * 100,
        b"9",
        b"9 " + b"!" * 44 + b"\n",
        b"-1 x\n",
    ],
)
def test_a_damaged_signed_size_is_never_taken_for_none_at_all(signed, tmp_path, raw):
    (tmp_path / "signed").write_bytes(raw)
    with pytest.raises(EvidenceBroken) as told:
        signed.last()
    assert told.value.remedy
    with pytest.raises(EvidenceBroken):
        signed.advance(None, ONE)


def test_a_long_number_is_replaced_whole_by_a_short_one_of_the_next_log(signed, tmp_path):
    signed.advance(None, LogState(99_999_999_999, b"\x01" * 32))
    assert len((tmp_path / "signed").read_bytes()) == 128
    assert signed.last().size == 99_999_999_999


RACE = """
import sys
from pathlib import Path
from troth.adapters.witness import FileSignedSize
from troth.errors import Conflict, EvidenceBroken
from troth.terms import LogState
won, signed = 0, FileSignedSize(Path(sys.argv[1]))
for _ in range(2000):
    before = signed.last()
    if before is not None and before.size >= 200:
        break
    after = LogState((before.size if before else 0) + 1, bytes([int(sys.argv[2])]) * 32)
    try:
        signed.advance(before, after)
        won += 1
    except Conflict:
        pass
print(won)
"""


def test_two_processes_never_sign_from_the_same_size(tmp_path):
    running = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path / "signed"), str(i)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(cast.__file__).parent,
        )
        for i in (1, 2)
    ]  # fmt: skip
    told = [process.communicate(timeout=60) for process in running]
    assert [err for _, err in told] == ["", ""]
    assert sum(int(out) for out, _ in told) == 200
    assert FileSignedSize(tmp_path / "signed").last().size == 200
