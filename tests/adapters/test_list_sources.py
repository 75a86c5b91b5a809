"""Lists as mail tools export them: columns guessed and corrected, dates read, bad files named."""

import io
import zipfile
from datetime import UTC, datetime

import listexports
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from troth.adapters.sources.dates import order_of, read_when
from troth.adapters.sources.fields import Refused
from troth.adapters.sources.headings import plain, table
from troth.adapters.sources.held import Held
from troth.adapters.sources.listrows import marks, meanings
from troth.adapters.sources.lists import fields, open_list
from troth.errors import Fault, InvalidInput, NotFound
from troth.terms import instant

EMAIL = "email\nann@post.example\n"


def put(tmp_path, text, name="in.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def opened(tmp_path, text, name="in.csv", **told):
    return open_list(put(tmp_path, text, name), name, **told)


def meant(found):
    return {column.heading: column.field for column in found.columns if column.field}


@pytest.mark.parametrize("tool", listexports.TOOLS)
def test_the_export_of_each_tool_is_recognised_and_its_addresses_are_found(tmp_path, tool):
    found = opened(tmp_path, listexports.TOOLS[tool])
    assert found.tool == tool
    assert next(row.email for row in found.rows()) == "ann@post.example"
    assert not any(row.code for row in found.rows())


@pytest.mark.parametrize(
    ("tool", "address", "sign"),
    [
        ("klaviyo", "bea", "unsubscribe"),
        ("klaviyo", "cas", "silent"),
        ("klaviyo", "dee", "hard_bounce"),
        ("klaviyo", "eve", "complaint"),
        ("hubspot", "bea", "unsubscribe"),
        ("hubspot", "cas", "hard_bounce"),
        ("hubspot", "dee", "unsubscribe"),
        ("brevo", "ann", "claims"),
        ("brevo", "bea", "unsubscribe"),
        ("mautic", "ann", "silent"),
        ("mautic", "bea", "unsubscribe"),
        ("mautic", "cas", "hard_bounce"),
        ("mautic", "dee", "objection"),
        ("listmonk", "ann", "claims"),
        ("listmonk", "bea", "hold"),
        ("listmonk", "cas", "hold"),
        ("mailerlite", "bea", "unsubscribe"),
        ("mailerlite", "cas", "complaint"),
        ("mailerlite", "dee", "asked"),
        ("mailerlite", "eve", "hard_bounce"),
        ("activecampaign", "bea", "unsubscribe"),
        ("activecampaign", "cas", "asked"),
        ("shopify", "ann", "claims"),
        ("shopify", "bea", "refused"),
    ],
)
def test_a_tools_own_word_for_stop_is_understood(tmp_path, tool, address, sign):
    rows = {r.email.partition("@")[0]: r for r in opened(tmp_path, listexports.TOOLS[tool]).rows()}
    assert sign in rows[address].signs


def test_the_files_in_which_mailchimp_keeps_those_who_left_say_so_by_their_dates(tmp_path):
    left = next(opened(tmp_path, listexports.MAILCHIMP_UNSUBSCRIBED).rows())
    gone = next(opened(tmp_path, listexports.MAILCHIMP_CLEANED).rows())
    assert "unsubscribe" in left.signs
    assert "hard_bounce" in gone.signs


def test_a_state_of_a_federal_country_is_part_of_where_somebody_lives(tmp_path):
    rows = list(opened(tmp_path, listexports.SHOPIFY).rows())
    assert [row.residence for row in rows] == ["ZA", "ZA", "US-CA"]


def test_a_word_nobody_knows_is_said_and_stops_the_row(tmp_path):
    row = next(opened(tmp_path, "email,status\nann@post.example,zzyzx\n").rows())
    assert row.signs == {"status_unknown"}
    assert row.findings == ("status_unknown",)


def test_every_word_means_one_thing_and_every_meaning_is_handled():
    known = {"claims", "silent", "asked", "refused", "unsubscribe", "complaint", "hard_bounce"}
    known |= {"objection", "hold"}
    assert set(marks()["meaning"]) == known
    for tool in ("", *marks()["tool"]):
        assert set(meanings(tool).values()) <= known
        assert set(marks()["tool"].get(tool, {}).get("meaning", {})) <= known
    seen = {}
    for meaning, words in marks()["meaning"].items():
        for word in words:
            assert seen.setdefault(plain(word), meaning) == meaning, word


def test_no_heading_means_two_fields():
    seen = {}
    for field, words in table()["headings"]["list"].items():
        for word in (field, *words):
            assert seen.setdefault(plain(word), field) == field, word


def test_columns_are_corrected_by_heading_or_number_and_one_told_takes_the_place(tmp_path):
    text = "email,other,joined\nann@post.example,bea@post.example,2025-03-01\n"
    found = opened(tmp_path, text).told({"other": "email", "3": "consent_at"})
    assert meant(found) == {"other": "email", "joined": "consent_at"}
    row = next(found.rows())
    assert row.email == "bea@post.example"
    assert row.consent_at == instant(datetime(2025, 3, 1, tzinfo=UTC))
    assert meant(found.told({"joined": ""})) == {"other": "email"}


@pytest.mark.parametrize("told", [{"nowhere": "email"}, {"email": "nonsense"}, {"9": ""}])
def test_a_correction_that_means_nothing_is_refused(tmp_path, told):
    with pytest.raises(InvalidInput):
        opened(tmp_path, EMAIL).told(told)


def test_addresses_are_found_by_what_stands_in_a_column_and_without_a_heading_line(tmp_path):
    found = opened(tmp_path, "who,where\nann@post.example,x\nbea@post.example,y\n")
    assert [c.sure for c in found.columns] == ["by its values", "not used"]
    bare = opened(tmp_path, "ann@post.example\nbea@post.example\n")
    assert [row.email for row in bare.rows()] == ["ann@post.example", "bea@post.example"]
    sheet = opened(tmp_path, listexports.workbook([["ann@post.example"]]), "in.xlsx")
    assert [row.email for row in sheet.rows()] == ["ann@post.example"]


def test_samples_tell_nobody_apart(tmp_path):
    found = opened(tmp_path, listexports.MAILCHIMP + "zoe@post.example,Zoë" + "," * 18 + "\n")
    shown = " ".join(text for column in found.columns for text in column.samples)
    for secret in ("ann@", "post.example", "Ann", "Abe", "192.0.2.1", "Zoë"):
        assert secret not in shown
    assert "2023-05-01 12:33:10" in shown


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2023-05-04", "2023-05-04T00:00"),
        ("2023-05-04T10:30:00Z", "2023-05-04T10:30"),
        ("2023/5/4 10:30", "2023-05-04T10:30"),
        ("4.5.2023", "2023-05-04T00:00"),
        ("25/05/2023 10:30", "2023-05-25T10:30"),
        ("05/25/2023 1:05 PM", "2023-05-25T13:05"),
        ("05/25/2023 12:05 AM", "2023-05-25T00:05"),
        ("04/05/2023", None),
        ("4/4/2023", "2023-04-04T00:00"),
        ("May 4, 2023 10:22 AM", "2023-05-04T10:22"),
        ("4 Mei 2023", "2023-05-04T00:00"),
        ("Thu, 04 May 2023 10:00:00 +0200", "2023-05-04T08:00"),
        ("1683194400", "2023-05-04T10:00"),
        ("1683194400000", "2023-05-04T10:00"),
        ("2023-13-45", None),
        ("31/31/2023", None),
        ("45050", None),
        ("soon", None),
        ("9" * 50, None),
    ],
)
def test_a_date_is_read_where_it_means_one_day_and_refused_where_it_means_two(text, day):
    if day is None:
        with pytest.raises(Refused):
            read_when(text, "UTC")
        return
    assert read_when(text, "UTC") == instant(datetime.fromisoformat(day).replace(tzinfo=UTC))


def test_the_rest_of_a_column_shows_whether_the_day_comes_first(tmp_path):
    assert order_of(["03/04/2023", "25/12/2022"]) == "dmy"
    assert order_of(["03/04/2023", "12/25/2022"]) == "mdy"
    assert order_of(["25/12/2022", "12/25/2022"]) == ""
    head = "email,signup date\n"
    first = "a@post.example,03/04/2023\n"
    one = next(opened(tmp_path, head + first).rows())
    assert (one.consent_at, one.findings) == (None, ("time_order",))
    two = next(opened(tmp_path, head + first + "b@post.example,25/04/2023\n").rows())
    assert two.consent_at == instant(datetime(2023, 4, 3, tzinfo=UTC))


@pytest.mark.parametrize(("old", "day"), [(False, 3), (True, 4)])
def test_a_workbooks_numbers_are_days_from_its_own_first_one(tmp_path, old, day):
    number = 45049.5 if not old else 45049.5 - 1462 + 1
    rows = [["email", "signup date"], ["ann@post.example", number]]
    book = listexports.workbook(rows, formulas={"B2"}, date1904=old)
    row = next(opened(tmp_path, book, "in.xlsx").rows())
    assert row.consent_at == instant(datetime(2023, 5, day, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (b"", "in.csv", "empty"),
        (b"PK\x03\x04rest", "in.csv", "packed"),
        (b"\x00\x01\x02\x03" * 200, "in.csv", "NUL"),
        (b"email\n", "in.pdf", "ending"),
        (b"\n\n", "in.csv", "no rows"),
        (b"{}\n", "in.jsonl", "no line holds"),
        (b"[1]\n", "in.jsonl", "no line holds"),
        (b"no zip", "in.xlsx", "damaged"),
        (("a," * 600).encode() + b"\n", "in.csv", "columns"),
    ],
)
def test_what_is_no_list_is_refused_in_one_line_with_a_remedy(tmp_path, text, name, said):
    with pytest.raises(InvalidInput) as refused:
        opened(tmp_path, text, name).check()
    assert said in str(refused.value)
    assert refused.value.remedy
    assert "\n" not in str(refused.value)


def test_a_list_without_addresses_is_refused_and_says_how_to_name_the_column(tmp_path):
    with pytest.raises(InvalidInput, match="no column holds") as refused:
        opened(tmp_path, "name,phone\nAnn,1\n").check()
    assert "--map" in refused.value.remedy


def test_a_sheet_that_unpacks_to_far_more_than_it_should_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("troth.adapters.sources.sheet._SHEET_BYTES", 1 << 20)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/worksheets/sheet1.xml", b"<worksheet>" + b" " * (4 << 20))
    assert len(out.getvalue()) < 1 << 14
    with pytest.raises(InvalidInput, match="too large"):
        opened(tmp_path, out.getvalue(), "in.xlsx")


def test_broken_rows_cost_themselves_and_keep_their_line(tmp_path):
    text = 'email,name\nann@post.example,Ännë\nbea@post.example\n"x\ncas@post.example,Cas\n'
    rows = list(opened(tmp_path, text.encode() + b"d\xff@post.example,D\n").rows())
    assert [(r.line, r.code) for r in rows] == [
        (2, ""), (3, "ragged_row"), (4, "unclosed_quote"), (5, ""), (6, "undecodable"),
    ]  # fmt: skip


def test_other_delimiters_and_encodings_are_read(tmp_path):
    for text in (
        "email;land\nann@post.example;Suid-Afrika\n".encode("utf-16"),
        b"sep=;\nemail;country\nann@post.example;ZA\n",
        b"email\tcountry\nann@post.example\tZA\n",
        "email,country,vorname\nann@post.example,ZA,J\xf6rg\n".encode("latin-1"),
    ):
        assert next(opened(tmp_path, text).rows()).residence == "ZA"


def test_a_held_list_has_no_name_and_is_gone_when_closed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Held() as held:
        for piece in (b"email\nann@", b"post.example\n"):
            held.write(piece)
        assert list(tmp_path.iterdir()) == []
        found = open_list(held, "in.csv")
        assert [r.email for r in found.rows()] == ["ann@post.example"]
        one, two = held.open("rb"), held.open("rb")
        assert (one.read(3), two.read(5), one.read(2)) == (b"ema", b"email", b"il")
        late = held.open("rb")
    assert late.read() == b""
    with pytest.raises(NotFound):
        held.open("rb")


CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=24
) | st.sampled_from(["ann@post.example", "yes", "no", "2023-05-01", "45049", "ZA", "Unsubscribed"])


@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=6), max_size=8),
    heads=st.lists(st.sampled_from(fields()), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t|"),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_stands_in_a_list_every_row_comes_out_or_the_list_is_refused(
    tmp_path, rows, heads, delimiter
):
    text = "\n".join(delimiter.join(row) for row in [heads, *rows])
    try:
        found = opened(tmp_path, text.encode())
        read, raw = list(found.rows()), list(found.records())
    except Fault:
        return
    assert [row.line for row in read] == [record.line for record in raw]
    for row in read:
        assert row.code or row.email == row.email.strip().lower()


@given(raw=st.binary(max_size=400), name=st.sampled_from(["a.csv", "a.jsonl", "a.xlsx"]))
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_bytes_at_random_are_read_or_refused_and_nothing_else(tmp_path, raw, name):
    try:
        found = opened(tmp_path, raw, name)
        found.check()
        list(found.rows())
    except Fault as fault:
        found = fault.code
        assert found in ("invalid", "not_found")
