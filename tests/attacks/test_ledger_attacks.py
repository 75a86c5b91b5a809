"""The list of attacks on the ledger, L1 to L27, as far as it is not shown elsewhere.

docs/design/attack-list.md names the test of each.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import cast
import marula
import pytest

from troth.app import witness_server, witnesses
from troth.capabilities.outreach.views import members_root
from troth.errors import EvidenceBroken, Unavailable
from troth.kernel import events, ledger, proof
from troth.kernel.desk import SYSTEM

LIST = Path(cast.__file__).parent.parent / "docs" / "design" / "attack-list.md"


def more(house, count=1):
    for number in range(count):
        house.desk.record_house(events.AlarmRaised("test.only", ref=str(number)), SYSTEM)


def findings(house, *, deep=True):
    return {found.what for found in house.ws.verify(deep=deep)}


def test_L2_a_head_in_a_customers_mail_shows_a_record_put_back(house):
    """Yesterday's whole folder, record and witness/ alike: only the mail knows better."""
    house.ws.sign()
    yesterday = house.folder.with_name("yesterday")
    house.ws.close()
    shutil.copytree(house.folder, yesterday)
    house.open()
    more(house, 5)
    with house.ws.store.look() as view:
        before = view.log.size
    house.ws.sign()
    who = house.newcomer("reader", {"status": "given"})
    house.send([who])
    text = house.mails()[-1].path.read_bytes().decode("ascii")
    shown = re.search(r"Our record: (\S+), (\d+) entries, root\s(\S+)", text.replace("=\r\n", ""))
    origin, size, root = shown[1], int(shown[2]), shown[3].replace("=3D", "=")
    assert (origin, size) == (house.ws.signer.origin, before)
    house.ws.close()
    shutil.rmtree(house.folder)
    shutil.copytree(yesterday, house.folder)
    house.open()
    with house.ws.store.look() as view:
        assert view.log.size < size, "the record is smaller than the mail says"
        more(house, 40)
        note = house.ws.sign()
    point = proof.parse_checkpoint(proof.parse_note(note)[0])
    assert point.size > size
    with house.ws.store.look() as view:
        path = ledger.consistency_path(size, point.size, view.tile)
    with pytest.raises(EvidenceBroken):
        proof.verify_consistency(
            size1=size, size2=point.size, root1=proof.unb64(root), root2=point.root, path=path
        )


DAMAGE = {
    "entry": "UPDATE entry SET data = x'00' || randomblob(32) WHERE seq = 5",
    "private made public": "UPDATE entry SET data = CAST('p' || substr(data, 2) AS BLOB) WHERE seq = 5",
    "gap": "DELETE FROM entry WHERE seq = 5",
    "tile": "UPDATE tile SET h = randomblob(length(h)) WHERE l = 0 AND n = 0",
    "root": "UPDATE log_state SET root = randomblob(32)",
    "note": "UPDATE checkpoint SET note = replace(note, 'ledger', 'ledges')",
    "body": "UPDATE body SET rec = randomblob(length(rec)) WHERE seq = (SELECT max(seq) FROM body)",
    "body gone": "DELETE FROM body WHERE seq = (SELECT max(seq) FROM body)",
    "body in the middle gone": "DELETE FROM body WHERE seq = (SELECT min(seq) FROM body)",
    "body elsewhere": "UPDATE body SET seq = seq + 100000 WHERE seq = (SELECT min(seq) FROM body)",
    "head": "UPDATE person SET n = n + 1 WHERE id = (SELECT max(person) FROM body)",
    "person gone": "DELETE FROM person WHERE id = (SELECT max(person) FROM body)",
    "keys of the log": "UPDATE own_row SET value = CAST(replace(value, 'signs', 'retired') AS BLOB)"
    " WHERE tbl = 'custody.log' AND key = x'6b657973'",
}


@pytest.mark.parametrize("what", sorted(DAMAGE))
def test_L4_L5_L6_one_change_of_any_table_of_the_ledger_is_found(house, what):
    more(house, 3)
    witnesses.rotate_key(house.ws)
    house.ws.sign()
    assert findings(house) == set()
    writer = house.ws.store._writer
    before = writer.total_changes
    writer.execute(DAMAGE[what])
    assert writer.total_changes > before, "the damage must be done to be found"
    house.ws.store._edge = None
    try:
        found = findings(house)
    except (EvidenceBroken, Unavailable) as told:
        found = {told.message}
    assert found


def test_L17_a_consent_bit_is_not_found_by_trying_every_word(house):
    """Whoever has entry and every possible event, but not the salt, finds nothing."""
    who = house.newcomer("guess", {"status": "given"})
    with house.ws.store.look() as view:
        recorded = house.desk.scribe.chain(view, who)
        entries = set(view.entries(0, view.log.size))
    for each in recorded:
        assert proof.private_entry(each.c) in entries
        for salt in (b"", bytes(32), b"\xff" * 32, who * 2):
            assert proof.private_entry(proof.commitment(salt, each.raw)) not in entries


def test_L21_no_word_of_an_event_lies_in_the_record_in_clear(house):
    who = house.newcomer("unheard", {"status": "given", "proof": "form:nobody-reads-this"})
    house.ws.settle()
    raw = b"".join(f.read_bytes() for f in (house.folder / "data").rglob("*") if f.is_file())
    assert who in raw, "the id is there; what was said is not"
    for word in (b"nobody-reads-this", b'"psid"', b'consent.given",'):
        assert word not in raw


def test_L11_two_writers_make_one_history(house):
    more(house)
    house.ws.close()
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "import marula\nfrom pathlib import Path\n"
        "from troth.kernel import events\nfrom troth.kernel.desk import SYSTEM\n"
        "house = marula.House(Path(sys.argv[1]))\n"
        "for n in range(25):\n"
        "    house.desk.record_house(events.AlarmRaised('test.only', ref=str(n)), SYSTEM)\n"
        "    if n % 5 == 0:\n"
        "        house.ws.sign()\n"
        "house.ws.close()\n"
    )
    paths = [str(Path(marula.__file__).parent), str(Path(cast.__file__).parent)]
    work = [
        subprocess.Popen([sys.executable, "-c", code, str(house.folder), *paths],
                         stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]  # fmt: skip
    said = [each.communicate(timeout=60)[1] for each in work]
    assert [each.returncode for each in work] == [0, 0], said
    house.open()
    assert findings(house) == set()
    alarms = [e for e in house.house_chain() if e.type == "alarm.raised"]
    assert len(alarms) == 51


def test_L12_a_disk_full_in_mid_batch_books_all_or_nothing(house):
    house.ws.sign()
    writer = house.ws.store._writer
    with house.ws.store.look() as view:
        before = view.log
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable, match="full"):
        more(house, 2_000)
    with house.ws.store.look() as view:
        grown = view.log
    assert grown.size >= before.size
    writer.execute(f"PRAGMA max_page_count = {pages * 10}")
    more(house)
    house.ws.sign()
    assert findings(house) == set()


LIMITED = """
import resource, signal, sys
sys.path[:0] = sys.argv[2:]
import marula
from pathlib import Path
from troth.errors import Fault
from troth.kernel import events
from troth.kernel.desk import SYSTEM
house = marula.House(Path(sys.argv[1]))
size = (Path(sys.argv[1]) / "witness" / "anchors").stat().st_size
house.desk.record_house(events.AlarmRaised("test.only"), SYSTEM)
append = type(house.ws.log.anchors).append
def limited(self, anchor):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, resource.RLIM_INFINITY))
    try:
        append(self, anchor)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
type(house.ws.log.anchors).append = limited
try:
    house.ws.sign()
except Fault as fault:
    print(fault.code)
"""


def test_L12_a_head_that_cannot_be_kept_outside_is_not_shown_to_anybody(house):
    note = house.ws.sign()
    house.ws.close()
    paths = [str(Path(marula.__file__).parent), str(Path(cast.__file__).parent)]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(house.folder), *paths],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "unavailable\n", done.stderr[-600:]
    house.open()
    with house.ws.store.look() as view:
        assert view.note() == note
    later = house.ws.sign()
    assert later != note
    assert findings(house) == set()


@pytest.mark.parametrize("seconds", [1, 3, 3_600])
def test_L13_a_clock_that_goes_backwards_writes_no_earlier_time(house, seconds):
    more(house)
    house.ws.sign()
    house.at(marula.NOW - marula.timedelta(seconds=seconds))
    try:
        more(house)
        house.ws.sign()
    except Unavailable as told:
        assert seconds > 2
        assert "clock" in told.message  # noqa: PT017
    times = [each.at for each in house.house_chain()]
    assert times == sorted(times)
    assert findings(house) == set()


def test_L20_an_event_replayed_is_dropped_and_counted_once(house):
    with house.ws.store.look() as view:
        prepared = house.desk.house_event(view, events.AlarmRaised("test.only"), SYSTEM)
    with house.ws.store.book() as tx:
        assert tx.append(prepared) == frozenset()
    for _ in range(2):
        with house.ws.store.book() as tx:
            assert tx.append(prepared) == {house.desk.scribe.house}
    assert findings(house) == set()


def test_L16_with_its_file_a_witness_of_ours_loses_its_voice(house, tmp_path):
    witness_server.init_witness(tmp_path / "w.db", "witness.example/w1")
    (tmp_path / "w.db").unlink()
    with pytest.raises(EvidenceBroken):
        witness_server.open_witness(tmp_path / "w.db", [house.ws.signer.key.vkey])


def test_L15_without_its_signing_key_the_ledger_signs_nothing_and_says_what_to_do(house):
    house.ws.sign()
    more(house)
    house.ws.close()
    (house.folder / "keys" / "log.key").unlink()
    with pytest.raises(Unavailable, match=r"log\.key"):
        house.open()
    shutil.copy(house.folder / "keys" / "dkim-ed25519.key", house.folder / "keys" / "log.key")
    house.open()  # another key in its place: nothing it signs is believed
    assert house.ws.signer.key.vkey not in {k.vkey for k in witnesses.witnessed(house.ws).keys[:1]}


def test_L27_a_set_processed_without_its_event_first_or_with_other_members_shows(
    house, monkeypatch
):
    one = house.newcomer("one", {"status": "given"})
    two = house.newcomer("two", {"status": "given"})
    house.preview([one, two])
    said = house.house_chain()[-1].payload
    assert isinstance(said, events.SetProcessed)
    roots = {n: members_root(house.desk, p) for n, p in (("same", [two, one]), ("other", [one]))}
    assert said.members == roots["same"]
    assert said.members != roots["other"]

    def full(_self, *_given):
        raise Unavailable("the disk is full")

    monkeypatch.setattr(type(house.desk), "record_house", full)
    with pytest.raises(Unavailable):
        house.preview([one, two])


def test_every_attack_of_the_list_names_a_test_that_exists():
    text = LIST.read_text("utf-8")
    root = Path(cast.__file__).parent.parent
    rows = dict(re.findall(r"^\| L(\d+) \|.*?\|(.*)\|$", text, re.MULTILINE))
    assert sorted(map(int, rows)) == list(range(1, 28))
    for number, shown in rows.items():
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", shown)
        assert named, f"L{number} names no test"
        for file, test in named:
            body = (root / file).read_text("utf-8")
            assert not test or f"def {test}(" in body, f"L{number}: {file}::{test}"
