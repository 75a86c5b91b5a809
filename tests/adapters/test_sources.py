"""Files of customers, consents, events, suppressions and registry hashes."""

import builtins
import csv
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from troth.adapters.sources import open_source
from troth.engines.intake import REMEDIES, CustomerRow, ImportReport, csv_cell
from troth.errors import Conflict, Fault, InvalidInput, NotFound, Unavailable
from troth.terms import instant

HEAD = "external_id,email,country,first name\n"
NOON = instant(datetime(2026, 11, 24, 12, tzinfo=UTC))


def put(folder, text, name="in.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def read(path, kind="customers", after=0, zone=""):
    source = open_source(path, kind, zone)
    rows, findings = [], []
    for batch in source.batches(after):
        rows += list(batch.rows)
        findings += batch.findings
    return rows, findings


def codes(findings):
    return [(each.line, each.code, each.outcome) for each in findings]


# --- what a plain file says


def test_a_customer_file_gives_typed_rows_under_other_systems_headings(tmp_path):
    path = put(
        tmp_path,
        "Customer No;E-mail Address;Cell Number;Voornaam;Surname;Country;Time zone;Year of birth;"
        "Interests;Relationship;Last purchase;Collected at sale;Opt-out offered\n"
        "C1; Thandi@Marula.example ;0825550100;Thandi;Mokoena;South Africa;Africa/Johannesburg;"
        "1988;garden|kitchen;purchase;2026-11-24T14:00:00+02:00;yes;ja\n",
    )
    (row,), findings = read(path)
    assert findings == []
    assert row == CustomerRow(
        line=2,
        external_id="C1",
        email="Thandi@Marula.example",
        phone="0825550100",
        given_name="Thandi",
        family_name="Mokoena",
        residence="ZA",
        zone="Africa/Johannesburg",
        birth_year=1988,
        interests=("garden", "kitchen"),
        relation_kind="sale",
        relation_at=NOON,
        details_from_sale=True,
        objection_offered=True,
    )


def test_the_digest_is_sha256_of_the_bytes_and_columns_say_what_was_understood(tmp_path):
    path = put(tmp_path, "Epos,shoe size,E-mail\na@x.example,41,b@x.example\n")
    source = open_source(path, "customers")
    assert source.digest == hashlib.sha256(path.read_bytes()).digest()
    assert source.columns == {"Epos": "email"}
    assert source.ignored == ("shoe size", "E-mail")
    assert [(n.code, n.field) for n in source.notes] == [
        ("unknown_column", "shoe size"),
        ("column_twice", "E-mail"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiter_and_line_ends_are_found_out(tmp_path, delimiter, end):
    lines = ["external_id,email,country", "C1,a@x.example,ZA", 'C2,"b@x.example",DE', ""]
    rows, findings = read(put(tmp_path, end.join(lines).replace(",", delimiter)))
    assert [(r.line, r.external_id, r.residence) for r in rows] == [
        (2, "C1", "ZA"),
        (3, "C2", "DE"),
    ]
    assert findings == []


def test_a_line_that_names_the_delimiter_for_spreadsheets_is_no_heading(tmp_path):
    rows, findings = read(put(tmp_path, "sep=;\nid;country\nC1;ZA\n"))
    assert (rows, findings) == ([CustomerRow(3, "C1", residence="ZA")], [])


def test_a_quoted_field_may_hold_delimiters_quotes_and_line_ends(tmp_path):
    rows, findings = read(
        put(tmp_path, HEAD + 'C1,,ZA,"Thandi ""T"",\nthe first"\nC2,,ZA,5" pipe\n')
    )
    assert [r.given_name for r in rows] == ['Thandi "T",\nthe first', '5" pipe']
    assert [r.line for r in rows] == [2, 4]
    assert findings == []


# --- encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_encodings_are_read_by_their_marks(tmp_path, encoding):
    marks = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}
    path = put(tmp_path, marks.get(encoding, "") + HEAD + "C1,,ZA,Zoë Müller\n", encoding=encoding)
    (row,), findings = read(path)
    assert (row.given_name, findings) == ("Zoë Müller", [])
    assert open_source(path, "customers").notes == ()


def test_windows_1252_is_read_and_said_so(tmp_path):
    path = put(tmp_path, HEAD + "C1,,ZA,Zoë\nC2,,ZA,Jos\u00e9", encoding="cp1252")
    rows, _ = read(path)
    assert [r.given_name for r in rows] == ["Zoë", "José"]
    source = open_source(path, "customers")
    assert source.encoding == "cp1252"
    assert [n.code for n in source.notes] == ["encoding_guessed"]


def test_one_broken_letter_does_not_garble_a_file_of_utf8(tmp_path):
    good = "".join(f"C{i},,ZA,Zoë\n" for i in range(5))
    rows, findings = read(put(tmp_path, (HEAD + good).encode() + b"C9,,ZA,Zo\xeb\n"))
    assert {r.given_name for r in rows} == {"Zoë"}
    assert codes(findings) == [(7, "undecodable", "rejected")]


def test_a_byte_that_no_encoding_explains_costs_its_line_only(tmp_path):
    rows, findings = read(put(tmp_path, HEAD.encode() + b"C1,,ZA,Zo\xeb\nC2,,ZA,\x81\xe9\n"))
    assert [r.given_name for r in rows] == ["Zoë"]
    assert codes(findings) == [(3, "undecodable", "rejected")]


def test_utf16_without_a_mark_and_binary_files_are_refused_as_a_whole(tmp_path):
    for raw in (HEAD.encode("utf-16-le"), bytes(2_000)):
        with pytest.raises(InvalidInput, match="UTF-8"):
            open_source(put(tmp_path, raw), "customers")


# --- broken lines


def test_each_broken_line_is_a_finding_with_its_number_and_the_rest_is_read(tmp_path):
    path = put(
        tmp_path,
        HEAD
        + "C1,a@x.example,ZA,Ann\n"
        + "C2,b@x.example\n"  # 3 ragged
        + "C3,c@x.example,ZA,Cat,\n"  # trailing empty cell: fine
        + "C4,d@x.example,ZA,Di,more\n"  # 5 ragged
        + "C5,e@x.example,ZA,E\0v\n"  # 6
        + f"C6,f@x.example,ZA,{'x' * 70_000}\n"  # 7
        + f"C7,g@x.example,ZA,{'x' * 5_000}\n"  # 8
        + 'C8,h@x.example,ZA,"Hal"x\n'  # 9
        + "\n"
        + 'C9,i@x.example,ZA,"never closed\n'  # 11
        + "C10,j@x.example,ZA,Jo\n",
    )
    rows, findings = read(path)
    assert [r.external_id for r in rows] == ["C1", "C3", "C10"]
    assert codes(findings) == [
        (3, "ragged_row", "rejected"),
        (5, "ragged_row", "rejected"),
        (6, "nul_byte", "rejected"),
        (7, "line_too_long", "rejected"),
        (8, "field_too_long", "rejected"),
        (9, "bad_quote", "rejected"),
        (11, "unclosed_quote", "rejected"),
    ]
    assert all(each.remedy for each in findings)


def test_an_unclosed_quote_swallows_at_most_its_own_line(tmp_path):
    rest = "".join(f"C{i},,ZA,\n" for i in range(1_000))
    rows, findings = read(put(tmp_path, HEAD + 'X,,ZA,"open\n' + rest + 'Y,,ZA,"closed"\n'))
    assert (len(rows), codes(findings)) == (1_001, [(2, "unclosed_quote", "rejected")])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "holds no rows"),
        (b"first name,surname\nA,B\n", "no column external_id or email or phone; add a column"),
        (b"emial adress,country\na@x.example,ZA\n", "rename 'emial adress' to"),
        (b"thandi@marula.example,Thandi\n", "the first line must hold headings"),
        (b"0825550100\n0825550101\n", "the first line must hold headings"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_with_a_remedy(tmp_path, text, says):
    with pytest.raises(InvalidInput) as caught:
        open_source(put(tmp_path, text), "customers")
    assert says in str(caught.value)
    assert "thandi" not in str(caught.value)
    assert "0825550" not in str(caught.value)


def test_missing_files_folders_endings_and_zones_are_refused(tmp_path):
    with pytest.raises(NotFound):
        open_source(tmp_path / "none.csv", "customers")
    with pytest.raises(InvalidInput, match="ending"):
        open_source(put(tmp_path, "x", "in.pdf"), "customers")
    (tmp_path / "dir.csv").mkdir()
    with pytest.raises(InvalidInput):
        open_source(tmp_path / "dir.csv", "customers")
    with pytest.raises(InvalidInput, match="zone"):
        open_source(put(tmp_path, HEAD), "customers", "Mars/Olympus")


# --- values


def test_a_doubtful_value_of_a_customer_is_left_out_and_the_row_stands(tmp_path):
    head = "id,email,country,zone,lang,yob,opt out offered\n"
    rows, findings = read(
        put(tmp_path, head + "C1,not an address,Atlantis,Mars,?,1988-05-01,perhaps\n")
    )
    assert rows == [CustomerRow(line=2, external_id="C1")]
    assert sorted(each.code for each in findings) == [
        "birth_year_invalid",
        "email_invalid",
        "language_invalid",
        "residence_invalid",
        "yes_no_invalid",
        "zone_invalid",
    ]
    assert {each.outcome for each in findings} == {"kept"}


@pytest.mark.parametrize("time", ["2026-11-24", "2026-11-24T12:00:00", "2026-11-24 12:00"])
def test_a_time_without_zone_costs_the_row_unless_the_file_has_a_zone(tmp_path, time):
    path = put(tmp_path, f"id,relation kind,relation at\nC1,sale,{time}\n")
    rows, findings = read(path)
    assert (rows, codes(findings)) == ([], [(2, "time_without_zone", "rejected")])
    (row,), findings = read(path, zone="UTC")
    assert findings == []
    assert row.relation_at <= NOON


@pytest.mark.parametrize("time", ["24/11/2026", "2026-13-01T00:00:00Z", "2026-W48-2T10:00:00Z",
    "yesterday", "46000", "20261124T100000Z", "2026-11-24T10:00:60Z", "٢٠٢٦-11-24T10:00:00Z"])  # fmt: skip
def test_a_time_in_another_spelling_is_unreadable_never_guessed(tmp_path, time):
    _, findings = read(put(tmp_path, f"id,relation at\nC1,{time}\n"), zone="UTC")
    assert codes(findings) == [(2, "time_unreadable", "rejected")]


def test_offsets_and_fractions_are_counted_in_microseconds_utc(tmp_path):
    path = put(tmp_path, "id,relation at\nC1,2026-11-24t14:00:00.25+02:00\n")
    assert read(path)[0][0].relation_at == NOON + 250_000


def test_a_consent_without_usable_time_is_kept_without_one(tmp_path):
    head = "id,purpose,channel,status,date,notice,method,proof\n"
    path = put(
        tmp_path,
        head
        + "C1,offers,email,given,2026-11-24T12:00:00Z,offers@3,checkbox,form-1\n"
        + "C2,offers,email;sms,Subscribed,2026-11-24 12:00,offers@3,checkbox,form-2\n"
        + "C3,offers,all,unsubscribed,soon,,,\n"
        + "C4,offers,all,given,2026-11-24T12:00:00Z,,,\n"
        + "C5,offers,pigeon,given,2026-11-24T12:00:00Z,,,\n"
        + "C6,offers,email,maybe,2026-11-24T12:00:00Z,,,\n"
        + "C7,,email,given,2026-11-24T12:00:00Z,,,\n",
    )
    rows, findings = read(path, "consents")
    assert [(r.external_id, r.status, r.channels, r.occurred_at) for r in rows] == [
        ("C1", "given", ("email",), NOON),
        ("C2", "given", ("email", "sms"), None),
        ("C3", "withdrawn", ("*",), None),
    ]
    assert codes(findings) == [
        (3, "time_without_zone", "kept"),
        (4, "time_unreadable", "kept"),
        (5, "channel_all_in_grant", "rejected"),
        (6, "channel_unknown", "rejected"),
        (7, "word_unknown", "rejected"),
        (8, "value_missing", "rejected"),
    ]


def test_money_is_whole_minor_units_with_a_currency_or_refused(tmp_path):
    head = "id,timestamp,event,sku,department,amount,currency,qty,store\n"
    at = "2026-11-24T12:00:00Z"
    path = put(
        tmp_path,
        head
        + f"C1,{at},Purchase,S1,garden,1250,zar,2,W1\n"
        + f"C1,{at},view,S2,,,,,\n"
        + f"C1,{at},purchase,S3,,12.50,ZAR,1,\n"
        + f'C1,{at},purchase,S4,,"1,250",ZAR,1,\n'
        + f"C1,{at},purchase,S5,,1250,,1,\n"
        + f"C1,{at},purchase,S6,,1250,Rand,1,\n"
        + f"C1,{at},purchase,S7,,{2**53},ZAR,1,\n"
        + f"C1,{at},purchase,S8,,1250,ZAR,1.5,\n"
        + f"C1,{at},refund,S1,,-1250,ZAR,-2,\n"
        + "C1,,view,S9,,,,,\n",
    )
    rows, findings = read(path, "events")
    assert [(r.kind, r.item, r.amount_minor, r.currency, r.units) for r in rows] == [
        ("purchase", "S1", 1250, "ZAR", 2),
        ("view", "S2", 0, "", 1),
        ("refund", "S1", -1250, "ZAR", -2),
    ]
    assert [(line, code) for line, code, _ in codes(findings)] == [
        (4, "amount_not_minor"),
        (5, "amount_not_minor"),
        (6, "currency_missing"),
        (7, "currency_invalid"),
        (8, "amount_not_minor"),
        (9, "number_invalid"),
        (11, "value_missing"),
    ]


def test_a_suppression_is_lost_only_where_there_is_no_address(tmp_path):
    path = put(
        tmp_path,
        "email address,type,date\na@x.example,spam complaint,2026-11-24T12:00:00Z\n"
        "b@x.example,whatever,2026-11-24\nno address,unsubscribed,\n,bounce,\n",
    )
    rows, findings = read(path, "suppressions")
    assert [(r.email, r.reason, r.since) for r in rows[:2]] == [
        ("a@x.example", "complaint", NOON),
        ("b@x.example", "", None),
    ]
    assert [each.line for each in findings if each.outcome == "rejected"] == [4, 5]


@pytest.mark.parametrize("head", ["", "hash\n", "SHA-256,since\n"])
def test_a_registry_file_is_read_as_lines_or_as_csv(tmp_path, head):
    hashes = [hashlib.sha256(f"p{i}@x.example".encode()).hexdigest() for i in range(3)]
    comma = ",x" if "," in head else ""
    path = put(
        tmp_path,
        "# scheme: sha256-lower-trim\n# as-of: 2026-11-24T14:00:00+02:00\n"
        + head
        + "".join(f"{each}{comma}\n" for each in [*hashes, "zz" * 32]),
        "registry.txt",
    )
    source = open_source(path, "registry")
    assert (source.registry.scheme, source.registry.as_of) == ("sha256-lower-trim", NOON)
    rows, findings = read(path, "registry")
    assert [r.digest.hex() for r in rows] == hashes
    assert [each.code for each in findings if each.outcome == "rejected"][:1] == ["hash_invalid"]


def test_a_registry_file_without_scheme_or_dated_without_zone_says_so(tmp_path):
    path = put(tmp_path, "# as-of: 2026-11-01\n" + "ab" * 32 + "\n")
    source = open_source(path, "registry")
    assert (source.registry.scheme, source.registry.as_of) == ("", None)
    assert [n.code for n in source.notes] == ["registry_scheme", "registry_as_of"]


# --- rows that stand twice


def test_the_same_row_twice_counts_once_and_another_word_on_the_same_customer_is_a_conflict(
    tmp_path,
):
    path = put(tmp_path, HEAD + "C1,,ZA,A\nC2,,DE,B\nC1,,ZA,A\nC2,,ZA,B\nC2,,ZA,B\n")
    rows, findings = read(path)
    assert [(r.external_id, r.residence) for r in rows] == [("C1", "ZA"), ("C2", "DE")]
    assert codes(findings) == [
        (4, "duplicate_row", "skipped"),
        (5, "conflict", "skipped"),
        (6, "conflict", "skipped"),
    ]


def test_two_consents_of_one_customer_are_no_conflict(tmp_path):
    head = "id,purpose,channel,status\n"
    rows, findings = read(put(tmp_path, head + "C1,a,email,given\nC1,b,email,given\n"), "consents")
    assert (len(rows), findings) == (2, [])


# --- resuming


def big_csv(folder, count=5_003):
    body = "".join(
        f"C{i % 4_000},,{'ZA' if i % 7 else '??'},N{i % 13}\n" if i % 11 else "broken\n"
        for i in range(count)
    )
    return put(folder, HEAD + body)


@pytest.mark.parametrize("after", [0, 1, 999, 1_000, 1_001, 4_321, 5_003, 9_999])
def test_reading_on_after_n_rows_gives_what_one_pass_gives(tmp_path, after):
    path = big_csv(tmp_path)
    rows, findings = read(path)
    later_rows, later_findings = read(path, after=after)
    assert later_rows == [r for r in rows if r.line > after + 1]
    assert later_findings == [f for f in findings if f.line > after + 1]


def test_every_batch_says_where_to_read_on(tmp_path):
    source = open_source(big_csv(tmp_path), "customers")
    done = [batch.done for batch in source.batches()]
    assert done == [1_000, 2_000, 3_000, 4_000, 5_000, 5_003]
    assert [b.first_line for b in source.batches(4_500)] == [4_502]


def test_a_file_changed_after_it_was_opened_is_a_conflict(tmp_path):
    source = open_source(put(tmp_path, HEAD + "C1,,ZA,A\n"), "customers")
    put(tmp_path, HEAD + "C1,,ZA,A\nC2,,ZA,B\n")
    with pytest.raises(Conflict):
        list(source.batches())


# --- the report


def test_the_report_counts_outcomes_and_shows_twenty_lines_a_code(tmp_path):
    path = put(tmp_path, HEAD + "short\n" * 50 + "C1,,ZA,A\nC1,,ZA,A\nC2,,Atlantis,B\n")
    source, report = open_source(path, "customers"), ImportReport()
    report.note(source.notes)
    for batch in source.batches():
        report.add(batch)
    assert report.outcomes == {"kept": 2, "rejected": 50, "skipped": 1}
    assert report.codes["ragged_row"] == 50
    assert report.lines["ragged_row"] == list(range(2, 22))
    assert report.fields["residence_invalid"] == {"residence"}


def test_the_rejects_file_names_lines_and_remedies_and_no_value(tmp_path):
    path = put(tmp_path, HEAD + "C1,,ZA,Thandi,extra\n=cmd(),,ZA,A\n=cmd(),,ZA,A\n")
    out = tmp_path / "rejects.csv"
    assert open_source(path, "customers").write_rejects(out) == 2
    with out.open(newline="") as file:
        written = list(csv.reader(file))
    assert [row[:2] for row in written] == [
        ["line", "code"], ["2", "ragged_row"], ["4", "duplicate_row"],
    ]  # fmt: skip
    assert "Thandi" not in out.read_text()
    assert "cmd" not in out.read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.csv", "rejects.csv"]


def test_a_rejects_file_that_cannot_be_finished_leaves_the_old_one(tmp_path):
    source = open_source(put(tmp_path, HEAD + "C1,,ZA,A,x\n"), "customers")
    out = put(tmp_path, "old", "rejects.csv")
    put(tmp_path, HEAD)
    with pytest.raises(Conflict):
        source.write_rejects(out)
    assert out.read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.csv", "rejects.csv"]
    with pytest.raises(NotFound):
        source.write_rejects(tmp_path / "no folder" / "rejects.csv")


def test_a_formula_is_data_in_a_row_and_harmless_in_a_report(tmp_path):
    (row,), _ = read(put(tmp_path, HEAD + "C1,,ZA,=cmd()\n"))
    assert row.given_name == "=cmd()"
    for text in ("=cmd()", "+1", "-1", "@x", "\t=1", " =1", "\r=1"):
        assert csv_cell(text) == "'" + text
    assert csv_cell("plain") == "plain"


def test_no_finding_holds_a_value_of_its_row(tmp_path):
    path = put(tmp_path, "id,email,country\nC1,secret value,secretland\nC1,other@x.example,ZA\n")
    _, findings = read(path)
    assert len(findings) == 3
    assert "secret" not in repr(findings)
    assert {each.code for each in findings} <= REMEDIES.keys()


# --- JSON Lines


def test_json_lines_give_the_same_rows_as_csv(tmp_path):
    objects = [
        {"Customer ID": "C1", "E-mail": "a@x.example", "country": "ZA", "interests": ["a", "b"]},
        {"Customer ID": 27821234567890123456, "year of birth": 1988, "opt out offered": True},
    ]
    lines = [json.dumps(each) for each in objects]
    lines += ["[1]", "{", '{"country":"ZA","country":"DE"}', '{"country":NaN}', '{"country":{}}']
    lines += [
        '{"country":' + "[" * 20_000,
        '{"Customer ID":"C\\ud800"}',
        "",
        '{"rare key":1,"id":"C3"}',
    ]
    path = put(tmp_path, "\n".join(lines), "in.jsonl")
    rows, findings = read(path)
    assert [r.external_id for r in rows] == ["C1", "27821234567890123456"]
    assert rows[0].interests == ("a", "b")
    assert (rows[1].birth_year, rows[1].objection_offered) == (1988, True)
    assert codes(findings)[:-1] == [(n, "bad_json", "rejected") for n in range(3, 10)]
    assert "rare key" in open_source(path, "customers").ignored


def test_amounts_in_json_keep_their_spelling_so_that_fractions_are_refused(tmp_path):
    line = (
        '{"id":"C1","at":"2026-11-24T12:00:00Z","kind":"purchase","amount":%s,"currency":"ZAR"}\n'
    )
    path = put(tmp_path, line % "1250" + line % "12.5" + line % "1e3", "in.jsonl")
    rows, findings = read(path, "events")
    assert [r.amount_minor for r in rows] == [1250]
    assert [each.code for each in findings] == ["amount_not_minor"] * 2


# --- xlsx

NS = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def workbook(path, sheet, shared="", extra=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/worksheets/sheet1.xml", sheet)
        if shared:
            book.writestr("xl/sharedStrings.xml", shared)
        for name, text in extra:
            book.writestr(name, text)
    return path


SHEET = f"""<?xml version="1.0"?><worksheet {NS}><sheetData>
<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="D1" t="inlineStr"><is><t>yob</t></is></c></row>
<row r="3"><c r="A3"><v>2.7821234567E10</v></c><c r="B3" t="str"><f>x</f><v>a@x.example</v></c><c r="D3"><v>1988</v></c></row>
<row r="4"><c r="A4" t="s"><v>2</v></c></row>
<row r="5"><c r="E5"><v>1</v></c><c r="A5"><v>7</v></c></row></sheetData></worksheet>"""
SHARED = f"""<sst {NS}><si><t>Customer No</t></si><si><t>E-mail</t></si>
<si><r><t>Zo</t></r><r><t>ë</t></r><rPh><t>reading</t></rPh></si></sst>"""


def test_the_first_sheet_of_a_workbook_is_read_with_its_row_numbers(tmp_path):
    rows, findings = read(workbook(tmp_path / "in.xlsx", SHEET, SHARED))
    assert [(r.line, r.external_id, r.email, r.birth_year) for r in rows] == [
        (3, "27821234567", "a@x.example", 1988),
        (4, "Zoë", "", None),
    ]
    assert codes(findings) == [(5, "ragged_row", "rejected")]


def test_the_first_sheet_is_the_one_the_workbook_names_first(tmp_path):
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    book = f'<workbook {NS} xmlns:r="{rel}"><sheets><sheet r:id="r7"/></sheets></workbook>'
    rels = '<Relationships><Relationship Id="r7" Target="/xl/worksheets/own.xml"/></Relationships>'
    parts = [("xl/workbook.xml", book), ("xl/_rels/workbook.xml.rels", rels)]
    path = workbook(
        tmp_path / "in.xlsx", "<x/>", SHARED, [*parts, ("xl/worksheets/own.xml", SHEET)]
    )
    assert len(read(path)[0]) == 2


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(8)
    ) + f']><worksheet {NS}><sheetData><row><c t="str"><v>&i;</v></c></row></sheetData></worksheet>'
)  # fmt: skip


@pytest.mark.parametrize(
    "sheet",
    [
        BOMB,
        '<!DOCTYPE x SYSTEM "file:///etc/hostname"><x/>',
        f'<worksheet {NS}><row><c t="s"><v>9</v></c></row></worksheet>',
        f'<worksheet {NS}><row><c t="s"><v>-1</v></c></row></worksheet>',
        f"<worksheet {NS}></worksheet>",
        "<not closed",
    ],
)
def test_entities_and_damage_in_a_workbook_are_refused(tmp_path, sheet):
    with pytest.raises(InvalidInput):
        open_source(workbook(tmp_path / "in.xlsx", sheet), "customers")


def test_a_workbook_that_unpacks_beyond_the_cap_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("troth.adapters.sources.sheet._SHEET_BYTES", 200_000)
    path = workbook(tmp_path / "in.xlsx", SHEET + " " * 100_000, SHARED)
    assert len(read(path)[0]) == 2
    workbook(path, SHEET + " " * 300_000, SHARED)
    with pytest.raises(InvalidInput):
        read(path)


# --- Parquet


def events_table(count, **changed):
    columns = {
        "household_id": [1 + i % 50 for i in range(count)],
        "transaction_timestamp": pa.array(
            [NOON + i * 1_000_000 for i in range(count)], pa.timestamp("us", "UTC")
        ),
        "kind": pa.array(["purchase"] * count).dictionary_encode(),
        "product_id": [i % 900 for i in range(count)],
        "department": ["garden"] * count,
        "amount_minor": [i % 5_000 for i in range(count)],
        "currency": ["ZAR"] * count,
        "quantity": pa.array([1] * count, pa.int32()),
        "basket": [i / 8 for i in range(count)],
    }
    return pa.table(columns | changed)


def test_parquet_events_come_in_columns_equal_to_the_same_events_in_csv(tmp_path):
    table = events_table(20_000)
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=6_000)
    rows, findings = read(tmp_path / "in.parquet", "events")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        writer.writerow([v.isoformat() if isinstance(v, datetime) else v for v in row.values()])
    assert findings == []
    assert rows == read(put(tmp_path, text.getvalue()), "events")[0]


@pytest.mark.parametrize("after", [0, 5, 8_192, 9_000])
def test_parquet_with_faults_reports_each_and_reads_on_after_n_rows(tmp_path, after):
    amounts = [i % 5_000 for i in range(10_000)]
    currencies = ["ZAR"] * 10_000
    amounts[7], currencies[8_500] = 2**60, None
    table = events_table(10_000, amount_minor=amounts, currency=currencies)
    table = pa.concat_tables([table, table.slice(3, 2)])
    pq.write_table(table, tmp_path / "in.parquet")
    rows, findings = read(tmp_path / "in.parquet", "events", after)
    expected = [
        (9, "amount_not_minor", "rejected"),
        (8_502, "currency_missing", "rejected"),
        (10_002, "duplicate_row", "skipped"),
        (10_003, "duplicate_row", "skipped"),
    ]
    assert codes(findings) == [each for each in expected if each[0] > after + 1]
    assert [r.line for r in rows] == [n for n in range(after + 2, 10_002) if n not in {9, 8_502}]


def test_parquet_times_without_zone_are_refused_or_read_in_the_named_zone(tmp_path):
    naive = pa.array([datetime(2026, 11, 24, 14)] * 2, pa.timestamp("ns"))
    pq.write_table(events_table(2, transaction_timestamp=naive), tmp_path / "in.parquet")
    rows, findings = read(tmp_path / "in.parquet", "events")
    assert (rows, {each.code for each in findings}) == ([], {"time_without_zone"})
    rows, findings = read(tmp_path / "in.parquet", "events", zone="Africa/Johannesburg")
    assert ([r.at for r in rows], findings) == ([NOON, NOON], [])


def test_parquet_of_customers_gives_typed_rows(tmp_path):
    table = pa.table(
        {"id": [1, None], "email": ["a@x.example", None], "interests": [["a", "b"], None]}
    )
    pq.write_table(table, tmp_path / "in.parquet")
    rows, findings = read(tmp_path / "in.parquet")
    assert rows == [CustomerRow(2, "1", "a@x.example", interests=("a", "b"))]
    assert codes(findings) == [(3, "value_missing", "rejected")]


def test_damaged_parquet_is_refused(tmp_path):
    pq.write_table(events_table(1_000), tmp_path / "in.parquet")
    raw = (tmp_path / "in.parquet").read_bytes()
    for cut in (raw[:-9], raw[200:], b"PAR1" + bytes(40) + b"PAR1"):
        with pytest.raises(InvalidInput):
            read(put(tmp_path, cut, "cut.parquet"), "events")


def test_without_pyarrow_parquet_is_unavailable_and_names_the_extra(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **named):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Unavailable, match=r"\[reach\]"):
        open_source(put(tmp_path, b"PAR1", "in.parquet"), "events")


# --- nothing but a Fault comes out

KINDS = ["customers", "consents", "events", "suppressions", "registry"]
fuzzed = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def survives(path, kind):
    fault = None
    try:
        read(path, kind)
    except Fault as caught:
        fault = caught
    assert "\n" not in str(fault)


@fuzzed
@given(
    raw=st.binary(max_size=300),
    kind=st.sampled_from(KINDS),
    name=st.sampled_from(["csv", "jsonl", "xlsx", "parquet"]),
)
def test_random_bytes_give_rows_findings_or_a_fault(tmp_path, raw, kind, name):
    survives(put(tmp_path, raw, f"in.{name}"), kind)


VALID_CSV = (
    b"id,email,purpose,channel,status,at,kind,amount,currency,hash,reason\n"
    b'C1,a@x.example,offers,"email,sms",given,2026-11-24T12:00:00Z,view,1,ZAR,ab,spam\n'
    b'C2,"b@x.example",offers,all,no,2026-11-24,view,1.5,,"a""b",bounce\n'
)
VALID_JSON = (
    b'{"id":"C1","email":"a@x.example","at":"2026-11-24T12:00:00Z","kind":"view","hash":"a"}\n' * 2
)


@st.composite
def mutated(draw, valid):
    raw = bytearray(valid)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(raw)))
        junk = draw(
            st.sampled_from(
                [b'"', b"\n", b"\r", b",", b"\0", b"\xff", b"\xef\xbb\xbf", b"", b"{", b"\\"]
            )
        )
        raw[place : place + draw(st.integers(0, 4))] = junk
    return bytes(raw)


@fuzzed
@given(raw=mutated(VALID_CSV), kind=st.sampled_from(KINDS))
def test_a_mutated_csv_gives_rows_findings_or_a_fault(tmp_path, raw, kind):
    survives(put(tmp_path, raw), kind)


@fuzzed
@given(raw=mutated(VALID_JSON), kind=st.sampled_from(KINDS))
def test_mutated_json_lines_give_rows_findings_or_a_fault(tmp_path, raw, kind):
    survives(put(tmp_path, raw, "in.jsonl"), kind)


@fuzzed
@given(data=st.data())
def test_a_mutated_sheet_gives_rows_findings_or_a_fault(tmp_path, data):
    sheet, shared = data.draw(mutated(SHEET.encode())), data.draw(mutated(SHARED.encode()))
    survives(workbook(tmp_path / "in.xlsx", sheet, shared), "customers")
    whole = workbook(tmp_path / "in.xlsx", SHEET, SHARED).read_bytes()
    survives(put(tmp_path, data.draw(mutated(whole)), "cut.xlsx"), "customers")


@fuzzed
@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\0\ufffd"), max_size=8),
            min_size=3,
            max_size=3,
        ),
        max_size=5,
    )
)
def test_what_the_csv_module_writes_is_read_back(tmp_path, table):
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "first name", "surname"])
    writer.writerows([f"C{n}", *row[1:]] for n, row in enumerate(table))
    rows, findings = read(put(tmp_path, text.getvalue()))
    assert findings == []
    assert [(r.given_name, r.family_name) for r in rows] == [
        (row[1].strip(), row[2].strip()) for row in table
    ]


# --- size


def measured(path, hold="iter"):
    """VmHWM and not ru_maxrss, which a child process inherits from this one."""
    program = (
        "import sys\n"
        "from troth.adapters.sources import open_source\n"
        f"batches = {hold}(open_source(sys.argv[1], 'customers').batches())\n"
        "kept = sum(len(batch.rows) for batch in batches)\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(kept, int(status['VmHWM'].split()[0]) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    return map(int, done.stdout.split())


def customers_of(folder, megabytes):
    path, size, count = folder / "big.csv", 0, 0
    with path.open("w") as file:
        size += file.write("external_id,email,phone,first name,surname,country,language,goods\n")
        while size < megabytes << 20:
            size += file.write(
                f"C{count:07d},p{count}@marula.example,+2782555{count % 10_000:04d},"
                f"Thandi,Mokoena{count % 997},ZA,en,household goods of the spring list\n"
            )
            count += 1
    return path, count


def test_ten_megabytes_are_read_in_little_memory(tmp_path):
    path, count = customers_of(tmp_path, 10)
    kept, megabytes = measured(path)
    assert (kept, megabytes < 80) == (count, True)
    assert tuple(measured(path, "list"))[1] > 100, "holding all rows must show, or this is blind"


@pytest.mark.soak
def test_sixty_four_megabytes_stay_below_150_megabytes_of_memory(tmp_path):
    path, count = customers_of(tmp_path, 64)
    kept, megabytes = measured(path)
    assert (kept, megabytes < 150) == (count, True)


def test_one_line_without_end_does_not_fill_the_memory(tmp_path):
    path = tmp_path / "line.csv"
    with path.open("wb") as file:
        file.write(HEAD.encode() + b"C1,,ZA,")
        for _ in range(64):
            file.write(b"x" * (1 << 20))
    kept, megabytes = measured(path)
    assert (kept, megabytes < 80) == (0, True)


def test_reading_files_opens_no_socket_and_loads_no_arrow(tmp_path):
    path = put(tmp_path, HEAD + "C1,a@x.example,ZA,A\n")
    program = (
        "import sys\nfrom troth.adapters.sources import open_source\n"
        "list(open_source(sys.argv[1], 'customers').batches())\n"
        "print(*{'pyarrow', 'pandas', 'dns.resolver', 'numpy'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_the_heading_table_and_remedies_are_complete():
    package = Path(open_source.__code__.co_filename).parent
    used = "".join(each.read_text() for each in package.glob("*.py"))
    assert [code for code in REMEDIES if f'"{code}"' not in used] == []
