"""Broken files, damaged folders, wrong machines: one line, a remedy, a status, nothing half-done.

Every failing command here is also searched for the marks planted in all names and addresses.
"""

import contextlib
import csv
import json
import os
import re
import shutil
import sqlite3
import tempfile
from pathlib import Path

import cli_shop as shop
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CUSTOMERS, CONSENTS = shop.CUSTOMERS, shop.CONSENTS
LINE = re.compile(r"troth: [^\n]+\n")


@pytest.fixture
def ws(tmp_path):
    return shop.copied(shop.built(), tmp_path / "ws")


@pytest.fixture
def bare(tmp_path):
    return shop.copied(shop.bare(), tmp_path / "ws")


def wrote(folder, text, name="file.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def imported(ws, kind, path, *more, status=0):
    ran = shop.at(ws, "import", kind, path, *more, "--json")
    assert ran.status == status, ran
    leaks(ws, ran)
    return ran.data


def leaks(ws, *ran):
    """Look for planted values in what was printed, logged and listed as rejected."""
    texts = [each.out + each.err for each in ran]
    texts += [p.read_text("utf-8") for p in (ws / "data").glob("*.log") if p.is_file()]
    texts += [p.read_text("utf-8") for p in (ws / "data" / "rejects").glob("*")]
    for mark in shop.MARKS:
        assert not any(mark.lower() in text.lower() for text in texts), mark


def failed(ws, *line, status, stdin=""):
    """Run a command that must fail: one line on stderr, nothing leaks, its JSON says the same."""
    ran = shop.at(ws, *line, stdin=stdin)
    last = ran.err.splitlines(keepends=True)[-1]
    assert (ran.status, ran.out) == (status, ""), ran
    assert LINE.fullmatch(last), ran
    assert "Traceback" not in ran.err
    leaks(ws, ran)
    told = shop.at(ws, *line, "--json", stdin=stdin)
    assert told.status == status
    assert LINE.fullmatch(told.err), told
    assert {"code", "message", "remedy"} <= told.data.keys()
    return told.data


def sizes(ws):
    return shop.done(shop.at(ws, "ledger", "head", "--json")).data["size"]


def found(told):
    return {f["code"]: (f["count"], f["lines"]) for f in told["findings"]}


def test_the_search_for_leaks_finds_one(ws):
    leaks(ws)
    with pytest.raises(AssertionError):
        leaks(ws, shop.Ran(2, "", f"troth: {shop.address('c-agreed')} is unknown; x"))
    (ws / "data/troth.log").write_text("QZXPLANTED")
    with pytest.raises(AssertionError):
        leaks(ws)


# Rows


def test_each_broken_row_is_named_by_its_line_and_costs_itself_only(bare):
    rows = [
        shop.customer("c-1"),
        shop.customer("c-2").replace("@", ""),
        shop.customer("c-3", residence="Qzxplanted"),
        shop.customer("c-4").replace("+02:00", ""),
        shop.customer("c-5", born="19"),
        "c-6,too,few\n",
        shop.customer("c-7"),
    ]
    told = imported(bare, "customers", wrote(bare, CUSTOMERS + "".join(rows)))
    assert sorted(told) == [
        "digest", "findings", "kind", "outcomes", "rejects", "resumed_after",
    ]  # fmt: skip
    assert [sorted(f) for f in told["findings"]] == [
        ["code", "count", "fields", "lines", "remedy"]
    ] * len(told["findings"])
    codes = found(told)
    assert codes["email_invalid"] == (1, [3])
    assert codes["residence_invalid"] == (1, [4])
    assert codes["time_without_zone"] == (1, [5])
    assert codes["birth_year_invalid"] == (1, [6])
    assert codes["ragged_row"] == (1, [7])
    kept, lost = told["outcomes"]["kept"], told["outcomes"]["rejected"]
    assert kept + lost == len(rows)
    with Path(told["rejects"]).open(newline="") as file:
        rejects = list(csv.DictReader(file))
    assert len({row["line"] for row in rejects}) == lost
    assert sorted(rejects[0]) == ["code", "field", "line", "remedy"]
    assert shop.at(bare, "explain", "c-7", "--purpose", "offers").status in (0, 1)


def test_a_person_reads_lines_and_remedies_too(bare):
    path = wrote(bare, CUSTOMERS + shop.customer("c-1") + shop.customer("c-2").replace("@", ""))
    ran = shop.at(bare, "import", "customers", path)
    assert ran.status == 0
    assert "1 times email_invalid (email), line 3:" in ran.out
    assert "write the address like name@shop.example" in ran.out


def test_duplicates_count_once_and_conflicts_keep_the_first(bare):
    one = shop.customer("c-1")
    other = one.replace("Qzxgiven", "Qzxgivenother")
    told = imported(bare, "customers", wrote(bare, CUSTOMERS + one + one + other))
    assert found(told) == {"duplicate_row": (1, [3]), "conflict": (1, [4])}
    assert (told["outcomes"]["kept"], told["outcomes"]["skipped"]) == (1, 2)


def test_a_zone_named_for_the_file_makes_its_times_times(bare):
    path = wrote(bare, CUSTOMERS + shop.customer("c-1").replace("+02:00", ""))
    assert found(imported(bare, "customers", path, "--zone", "Africa/Johannesburg")) == {}
    failed(bare, "import", "customers", path, "--zone", "Qzxplanted/Nowhere", status=2)


def test_a_file_in_another_encoding_is_read_and_said_or_refused(bare):
    text = CUSTOMERS + shop.customer("c-1").replace("Qzxgiven", "Zoë")
    told = imported(bare, "customers", wrote(bare, text.encode("cp1252")))
    assert "encoding_guessed" in found(told)
    told = imported(bare, "customers", wrote(bare, text.encode("utf-16"), "wide.csv"))
    assert told["outcomes"].get("kept", 0) + told["outcomes"].get("known", 0) >= 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("head.csv", b"qzxmark,qzxmark2\n1,2\n"),
        ("text.pdf", b"%PDF qzxmark"),
        ("zip.xlsx", b"PK qzxmark"),
        ("broken.parquet", b"PAR1qzxmark"),
        ("broken.jsonl", b"{qzxmark\n"),
        ("nul.csv", b"\0qzxmark\0" * 40),
    ],
)
def test_a_file_that_is_none_is_refused_whole(bare, name, content):
    size = sizes(bare)
    failed(bare, "import", "customers", wrote(bare, content, name), status=2)
    assert sizes(bare) == size


def test_a_file_of_which_every_row_is_rejected_is_bad_input(bare):
    path = wrote(bare, CONSENTS + act("c-1", status="Qzxplanted") * 2)
    told = imported(bare, "consents", path, status=2)
    assert told["outcomes"] == {"kept": 0, "rejected": 2}


def test_a_missing_file_a_folder_and_a_wrong_kind_are_bad_input(bare):
    for path in (bare / "qzxmark.csv", bare, "qzxmark\0.csv"):
        failed(bare, "import", "customers", path, status=2)
    path = wrote(bare, CONSENTS + "c-1,offers,email,given,,,,,,\n")
    failed(bare, "import", "registry", path, status=2)


def test_an_import_repeated_or_cut_off_takes_nothing_twice(bare):
    rows = "".join(shop.customer(f"c-{n}") for n in range(6))
    path = wrote(bare, CUSTOMERS + rows)
    assert imported(bare, "customers", path)["outcomes"]["kept"] == 6
    size = sizes(bare)
    again = imported(bare, "customers", path)
    assert (again["resumed_after"], again["outcomes"].get("kept", 0)) == (6, 0)
    longer = imported(bare, "customers", wrote(bare, CUSTOMERS + rows + shop.customer("c-9")))
    assert (longer["resumed_after"], longer["outcomes"]["known"]) == (0, 6)
    assert sizes(bare) <= size + 2 + 10


# What an import may never do


PROOFS = {
    "notice": "offers@3",
    "time": "2026-10-01T10:00:00+02:00",
    "method": "paper",
    "proof": "f",
}


def act(who, purpose="offers", channels="email", status="given", **changed):
    told = {**PROOFS, **changed}
    told = {k: "" if v is None else v for k, v in told.items()}
    return (
        f"{who},{purpose},{channels},{status},{told['time']},{told['notice']},"
        f"{told['method']},{told['proof']},,\n"
    )


def agreed(ws, who):
    return shop.at(ws, "explain", who, "--purpose", "offers").status == 0


@pytest.mark.parametrize("lacking", sorted(PROOFS))
def test_a_yes_without_each_proof_is_unknown_and_counted(ws, lacking):
    for value in (None, "nobody@99") if lacking == "notice" else (None,):
        path = wrote(ws, CONSENTS + act("c-german", **{lacking: value}))
        told = imported(ws, "consents", path)
        assert told["outcomes"]["unproven"] == told["outcomes"]["act.imported"] == 1
        assert "act.given" not in told["outcomes"]
        assert not agreed(ws, "c-german")
    shown = shop.at(ws, "consent", "show", "c-german", "--json").data["history"]
    assert {(a["status"], tuple(a["missing"])) for a in shown} == {("imported", (lacking,))}


def test_a_yes_with_every_proof_is_given(ws):
    told = imported(ws, "consents", wrote(ws, CONSENTS + act("c-german")))
    assert told["outcomes"]["act.given"] == 1
    assert agreed(ws, "c-german")


def test_a_yes_for_every_channel_or_one_the_purpose_lacks_opens_nothing(ws):
    for channels in ("all", "*", "push", "email;pigeon"):
        path = wrote(ws, CONSENTS + act("c-german", channels=channels))
        shop.at(ws, "import", "consents", path)
        assert not agreed(ws, "c-german"), channels


def test_an_import_lifts_no_suppression_and_no_objection(ws):
    early = {"time": "2026-06-01T10:00:00+02:00"}
    rows = act("c-stopped") + act("c-objected", **early)
    imported(ws, "consents", wrote(ws, CONSENTS + rows))
    head = "external_id,email,relation_kind,relation_at,details_from_sale,objection_offered\n"
    row = f"c-new,{shop.address('c-stopped')},sale,2026-10-01T10:00:00+02:00,yes,yes\n"
    imported(ws, "customers", wrote(ws, head + row, "again.csv"))
    for who in ("c-stopped", "c-objected", "c-new"):
        assert not agreed(ws, who)


def test_a_known_customer_is_not_changed_by_a_later_file(ws):
    row = shop.customer("c-german", residence="ZA", zone="Africa/Johannesburg", born="1950")
    told = imported(ws, "customers", wrote(ws, CUSTOMERS + row))
    assert told["outcomes"]["known"] == 1
    no = shop.at(ws, "explain", "c-german", "--purpose", "offers", "--json").data
    assert {r["rule"][:2] for r in no["reasons"]} & {"EU"}


def test_an_act_in_the_future_or_of_nobody_is_counted_and_not_kept(ws):
    rows = act("c-german", time="2026-11-18T10:00:00+02:00") + act("c-nobody")
    rows += act("c-german", purpose="nothing")
    told = imported(ws, "consents", wrote(ws, CONSENTS + rows))
    assert (told["outcomes"]["future"], told["outcomes"]["unknown_person"]) == (1, 1)
    assert found(told) == {"word_unknown": (1, [4])}
    assert not agreed(ws, "c-german")


def test_a_registry_file_without_scheme_or_date_closes_marketing(ws):
    assert agreed(ws, "c-agreed")
    path = wrote(ws, shop.registry(head=""))
    told = imported(ws, "registry", path)
    assert {"registry_scheme", "registry_as_of"} <= found(told).keys()
    no = shop.at(ws, "explain", "c-agreed", "--purpose", "offers", "--json").data
    assert {r["code"] for r in no["reasons"]} == {"registry_stale"}
    imported(ws, "registry", wrote(ws, shop.registry(shop.address("c-agreed")), "2.csv"))
    no = shop.at(ws, "explain", "c-agreed", "--purpose", "offers", "--json").data
    assert {r["code"] for r in no["reasons"]} == {"registry_block"}
    imported(ws, "registry", wrote(ws, shop.registry(), "3.csv"))
    assert agreed(ws, "c-agreed")


def test_events_are_refused_until_somebody_said_what_is_sensitive(bare):
    path = wrote(bare, shop.EVENTS)
    failed(bare, "import", "events", path, status=2)
    for text in ("item,name\n1,x\n", b"\xff\xfe\x00", 'item,sensitive\n"1,no\n'):
        products = wrote(bare, text, "products.csv")
        failed(bare, "import", "events", path, "--products", products, status=2)
    failed(bare, "import", "events", path, "--products", bare / "qzxmark.csv", status=2)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(junk=st.binary(max_size=200), kind=st.sampled_from(["customers", "consents", "registry"]))
def test_no_bytes_make_an_import_crash(tmp_path_factory, junk, kind):
    global _FUZZED  # noqa: PLW0603 - one workspace for all examples: each must survive them all
    if _FUZZED is None:
        _FUZZED = shop.copied(shop.bare(), tmp_path_factory.mktemp("fuzz") / "ws")
    head = CUSTOMERS if kind == "customers" else CONSENTS if kind == "consents" else "hash\n"
    ran = shop.at(_FUZZED, "import", kind, wrote(_FUZZED, head.encode() + junk))
    assert ran.status in (0, 2), ran
    assert "internal" not in ran.err


_FUZZED = None


# Damage


def flip(path, wanted):
    """Flip one bit of a file inside the bytes `wanted`."""
    raw = bytearray(path.read_bytes())
    place = raw.find(wanted)
    assert place >= 0
    raw[place + len(wanted) // 2] ^= 1
    path.write_bytes(raw)


def row(path, sql):
    con = sqlite3.connect(path)
    try:
        return bytes(con.execute(sql).fetchone()[0])
    finally:
        con.close()


EVERY = (
    ("ledger", "verify"),
    ("explain", "c-agreed", "--purpose", "offers"),
    ("consent", "withdraw", "c-agreed"),
)


@pytest.mark.parametrize("line", EVERY)
def test_a_flipped_tile_is_refused_at_start(ws, line):
    record = ws / "data/record.db"
    flip(record, row(record, "SELECT h FROM tile WHERE l = 0")[:32])
    told = failed(ws, *line, status=1)
    assert (told["code"], bool(told["remedy"])) == ("evidence", True)


def test_a_flipped_entry_is_found_by_verify(ws):
    record = ws / "data/record.db"
    flip(record, row(record, "SELECT data FROM entry WHERE seq = 30"))
    ran = shop.at(ws, "ledger", "verify", "--json")
    assert (ran.status, ran.data["verified"]) == (1, False)
    assert ran.data["findings"]
    said = shop.at(ws, "ledger", "verify")
    assert "NOT verified" in said.out
    leaks(ws, ran, said)


def test_a_flipped_event_is_never_shown(ws):
    record = ws / "data/record.db"
    sql = "SELECT rec FROM body ORDER BY length(rec) DESC LIMIT 1 OFFSET 3"
    raw = row(record, sql)
    con = sqlite3.connect(record)
    con.execute("UPDATE body SET rec = ?", (raw,))
    con.commit()
    con.close()
    told = failed(ws, "consent", "show", "c-agreed", status=1)
    assert told["code"] == "evidence"


@pytest.mark.parametrize("keep", [0, 50, 4096, 0.3, 0.7])
def test_a_truncated_record_is_refused(ws, keep):
    record = ws / "data/record.db"
    raw = record.read_bytes()
    record.write_bytes(raw[: int(len(raw) * keep) if isinstance(keep, float) else keep])
    for line in EVERY:
        told = failed(ws, *line, status=1)
        assert (told["code"], bool(told["remedy"])) == ("evidence", True), (keep, told)


def test_an_older_copy_of_the_record_is_refused(ws, tmp_path):
    record = ws / "data/record.db"
    shutil.copy(record, tmp_path / "older.db")
    shop.done(shop.at(ws, "consent", "withdraw", "c-agreed"))
    shutil.copy(tmp_path / "older.db", record)
    for line in EVERY:
        told = failed(ws, *line, status=1)
        assert "were signed" in told["message"]
        assert "newest record.db" in told["remedy"]


@pytest.mark.parametrize("lost", ["data/record.db", "witness/signed"])
def test_what_would_show_a_roll_back_is_not_missed_silently(ws, lost):
    (ws / lost).unlink()
    for line in EVERY:
        told = failed(ws, *line, status=1)
        assert (told["code"], bool(told["remedy"])) == ("evidence", True)
    assert shop.run("init", ws).status == 2


def test_a_second_history_of_the_same_length_is_refused(ws, tmp_path):
    fork = shop.copied(ws, tmp_path / "fork")
    shop.done(shop.at(ws, "consent", "withdraw", "c-agreed"))
    shop.done(shop.at(fork, "consent", "withdraw", "c-level"))
    shutil.copy(fork / "data/record.db", ws / "data/record.db")
    assert failed(ws, "ledger", "verify", status=1)["code"] == "evidence"


@pytest.mark.parametrize("store", ["data/record.db", "keys/keys.db"])
def test_a_newer_schema_is_refused_untouched(ws, store):
    con = sqlite3.connect(ws / store)
    con.execute("PRAGMA user_version = 99")
    con.close()
    before = (ws / store).read_bytes()
    told = failed(ws, "ledger", "verify", status=3)
    assert "newer Troth" in told["message"]
    assert (ws / store).read_bytes() == before


@pytest.mark.parametrize("lost", ["kek-1.key", "log.key", "bi.key", "keys.db", "journal.key"])
def test_a_key_store_that_misses_a_part_is_refused(ws, lost):
    (ws / "keys" / lost).unlink()
    for line in EVERY[1:]:
        told = failed(ws, *line, status=3)
        assert (told["code"], bool(told["remedy"])) == ("unavailable", True)


@pytest.mark.parametrize("damaged", ["kek-1.key", "keys.db"])
def test_a_damaged_key_store_is_refused(ws, damaged):
    path = ws / "keys" / damaged
    raw = path.read_bytes()
    for broken in (raw[: len(raw) // 2], b"", bytes([raw[0] ^ 1]) + raw[1:]):
        path.write_bytes(broken)
        for line in EVERY:
            told = failed(ws, *line, status=1)
            assert (told["code"], bool(told["remedy"])) == ("evidence", True), told


def test_a_flipped_wrapped_key_is_refused(ws):
    con = sqlite3.connect(ws / "keys/keys.db")
    con.execute("UPDATE shard SET wrapped = zeroblob(length(wrapped))")
    con.commit()
    con.close()
    told = failed(ws, "explain", "c-agreed", "--purpose", "offers", status=1)
    assert told["remedy"] == "restore the newest copy of keys/"


def test_keys_others_can_read_are_refused(ws):
    (ws / "keys").chmod(0o755)
    told = failed(ws, "ledger", "head", status=3)
    assert "chmod 700" in told["remedy"]


@pytest.mark.parametrize(
    "text", ["[house", "", "qzxmark = 1\n", "\xff", "[house]\nzone = 1\n[brands.x]\ndomain = 2\n"]
)
def test_a_broken_settings_file_is_refused_with_its_name(ws, text):
    (ws / "troth.toml").write_bytes(text.encode("latin-1"))
    for line in (("check",), ("ledger", "head"), *EVERY):
        told = failed(ws, *line, status=2)
        assert "troth.toml" in told["message"]


def test_missing_purposes_are_named_and_nothing_is_published(ws):
    size = sizes(ws)
    shutil.rmtree(ws / "purposes")
    ran = shop.at(ws, "check", "--json")
    assert ran.status == 2
    assert {f["draft"] for f in ran.data["faults"]} >= {"purpose:offers", "purpose:marketing"}
    failed(ws, "apply", status=2)
    assert sizes(ws) == size
    assert agreed(ws, "c-agreed")  # what runs is what was published


def test_a_folder_without_purposes_is_not_published(tmp_path):
    folder = tmp_path / "new"
    shop.done(shop.run("init", folder, "--from", "demo", "--at", shop.AT))
    shutil.rmtree(folder / "purposes")
    failed(folder, "apply", status=2)
    failed(folder, "explain", "c-agreed", "--purpose", "offers", status=2)


def test_a_folder_that_is_no_workspace_or_not_begun_is_bad_input(tmp_path):
    failed(tmp_path / "none", "ledger", "head", status=2)
    (tmp_path / "a").write_text("a file")
    failed(tmp_path / "a", "ledger", "head", status=2)
    failed(tmp_path / "a" / "b", "check", status=2)


# Machines


def test_a_file_in_place_of_the_folder_is_said(tmp_path):
    (tmp_path / "a").write_text("a file")
    ran = shop.run("init", tmp_path / "a" / "ws", "--from", "demo")
    assert (ran.status, ran.out) == (3, "")
    assert LINE.fullmatch(ran.err)
    folder = tmp_path / "ws"
    shop.done(shop.run("init", folder, "--from", "demo"))
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(folder / "troth.toml", other)
    (other / "data").write_text("a file")
    ran = shop.run("init", other)
    assert ran.status == 3, ran
    assert LINE.fullmatch(ran.err)


@contextlib.contextmanager
def somebody(place):
    """Own a folder and act as an ordinary user: permission bits do not bind root."""
    if os.geteuid() == 0:
        for path in (place, *place.rglob("*")):
            os.chown(path, NOBODY, -1)
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


NOBODY = 65_534


@pytest.mark.parametrize("shut", ["data", "data/record.db", "witness", "witness/signed"])
def test_a_workspace_nobody_may_write_is_unavailable(ws, shut):
    place = Path(tempfile.mkdtemp(prefix="troth-shut-"))
    try:
        folder = shop.copied(ws, place / "ws")
        shop.done(shop.at(folder, "explain", "c-agreed", "--purpose", "offers"))
        with somebody(place):
            (folder / shut).chmod(0o555 if (folder / shut).is_dir() else 0o444)
            ran = shop.at(folder, "consent", "withdraw", "c-agreed")
            if shut == "witness":  # its files are there: nothing new need be made in it
                assert ran.status == 0
            else:
                assert (ran.status, ran.out) == (3, ""), ran
                assert LINE.fullmatch(ran.err.splitlines(keepends=True)[-1])
            (folder / shut).chmod(0o755)
        leaks(folder, ran)
        assert shop.at(folder, "ledger", "verify").status == 0
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_a_folder_nobody_may_write_becomes_no_workspace():
    place = Path(tempfile.mkdtemp(prefix="troth-shut-"))
    try:
        with somebody(place):
            place.chmod(0o555)
            ran = shop.run("init", place / "ws", "--from", "demo")
            assert (ran.status, ran.out) == (3, "")
            assert LINE.fullmatch(ran.err)
            assert list(place.iterdir()) == []
            place.chmod(0o755)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_a_clock_behind_the_record_writes_nothing(ws):
    size = sizes(ws)
    line = ("consent", "withdraw", "c-agreed", "-w", ws, "--at", "2026-11-16T10:00:00+02:00")
    ran = shop.run(*line)
    assert (ran.status, "behind the record" in ran.err) == (3, True)
    assert sizes(ws) == size


@pytest.mark.parametrize("at", ["now", "2026-11-17", "2026-11-17T10:00:00", "qzxmark"])
def test_a_moment_without_a_zone_is_bad_input(ws, at):
    ran = shop.run("ledger", "head", "-w", ws, "--at", at)
    assert (ran.status, LINE.fullmatch(ran.err) is not None) == (2, True)
    assert "qzxmark" not in ran.err


def test_the_log_of_failures_holds_codes_and_no_values(ws):
    shop.at(ws, "explain", "nobody.qzxmark@post.example", "--purpose", "offers")
    shop.at(ws, "import", "customers", ws / "qzxmark.csv")
    lines = (ws / "data/troth.log").read_text().splitlines()
    assert [sorted(json.loads(line)) for line in lines] == [["at", "code", "command", "exit"]] * 2
    assert [json.loads(line)["command"] for line in lines] == ["troth explain", "troth import"]
    assert (ws / "data/troth.log").stat().st_mode & 0o077 == 0
    leaks(ws)
