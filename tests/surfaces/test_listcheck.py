"""`troth list check` in an empty folder, and its page: words, files, and nothing that stays."""

import io
import json
import re
import stat
import tempfile
import threading
import time

import cli_shop
import listexports
import msgspec
import pytest
from cast import bytes_of
from cli_shop import run
from hub_shop import shop
from hypothesis import given, settings
from hypothesis import strategies as st

from troth import app
from troth.capabilities.access import exports
from troth.errors import InvalidInput, NotFound, Unavailable
from troth.surfaces import list_words as told
from troth.surfaces.web import listcheck as page
from troth.surfaces.web import server
from troth.surfaces.web.uploads import Upload
from troth.terms import Reason, ReasonCode, Refusal

AT = "2026-11-17T12:00:00+02:00"
SECRET = "qzxsecret"
SOLD = {"agreed": False, "sale": "2026-05-01", "taken": "yes", "offered": "yes"}
WHOLE = listexports.WHOLE_HEAD + "".join(
    (
        listexports.whole(1),
        listexports.whole(2, **SOLD),
        listexports.whole(3, agreed=False),
        listexports.whole(4, status="Unsubscribed"),
        listexports.whole(5, country="CA", agreed=False),
        listexports.whole(3, agreed=False),
        listexports.whole(6, born="2015"),
        "broken\n",
    )
)
DANGEROUS = (
    "email,name,note\n"
    "ann@post.example,=cmd(),+27\n"
    'bea@post.example,@x,"-1\t"\n'
)  # fmt: skip


def put(tmp_path, text, name="list.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def checked(tmp_path, text=WHOLE, *more, name="list.csv"):
    """Check a list in an empty folder, as somebody would before any set-up."""
    folder = tmp_path / "empty"
    folder.mkdir(exist_ok=True)
    line = ("list", "check", put(tmp_path, text, name), "-w", folder, "--at", AT)
    ran = run(*line, "--sender-country", "ZA", *more)
    assert list(folder.iterdir()) == []
    return ran


def test_a_list_is_checked_in_an_empty_folder_and_the_groups_sum(tmp_path):
    ran = checked(tmp_path, WHOLE, "--json")
    assert ran.status == 0, ran
    data = ran.data
    assert data["groups"] == {"may_mail": 2, "ask_once": 1, "not": 5}
    assert sum(data["groups"].values()) == data["rows"] == 8
    assert sum(each["rows"] for each in data["reasons"]) == 8
    assert {each["code"] for each in data["reasons"]} == {
        "consent", "customer_exception", "no_consent", "suppressed_unsubscribe", "duplicate",
        "minor", "unreadable",
    }  # fmt: skip
    assert SECRET not in ran.out


def test_a_person_reads_three_numbers_the_reasons_and_what_is_missing(tmp_path):
    out = checked(tmp_path).out
    for said in (
        "2  you may mail",
        "1  you may ask once (Form 4 text ready)",
        "5  not, and why",
        "Missing: any sign of a yes: 1",
        "For example line 4, p•••@p•••",
        "where they live a request for consent is marketing itself",
        "Before you write to 3: first apply the opt-out registry",
        "Nothing was kept: no row, no address, no event.",
    ):
        assert said in out, said


@pytest.mark.parametrize("name", ["list.csv", "list.xlsx", "list.jsonl"])
def test_the_same_list_gives_the_same_answer_in_every_format(tmp_path, name):
    rows = listexports.read_csv(WHOLE)[:7]
    text = WHOLE.rpartition("broken")[0]
    if name.endswith("xlsx"):
        text = listexports.workbook([list(rows[0]), *(list(r.values()) for r in rows)])
    elif name.endswith("jsonl"):
        text = "\n".join(json.dumps({k: v for k, v in r.items() if v}) for r in rows)
    data = checked(tmp_path, text, "--json", name=name).data
    assert data["groups"] == {"may_mail": 2, "ask_once": 1, "not": 4}


def test_without_a_country_it_says_that_naming_one_would_help(tmp_path):
    text = "email\nann@post.example\n"
    assert "--country ZA says where they live" in checked(tmp_path, text).out
    assert "--country" not in checked(tmp_path, text, "--country", "South Africa").out


def test_the_files_are_private_sum_up_and_hold_no_formula(tmp_path):
    out = tmp_path / "out"
    ran = checked(tmp_path, DANGEROUS, "--out", out, "--json")
    assert ran.status == 0, ran
    assert set(ran.data["written"]) == {p.name for p in out.iterdir()}
    for path in out.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = [
        each
        for group in ("may_mail", "ask_once", "not")
        for each in listexports.read_csv((out / f"{group}.csv").read_text("utf-8"))
    ]
    assert [(r["email"], r["troth_line"]) for r in rows] == [
        ("ann@post.example", "2"), ("bea@post.example", "3"),
    ]  # fmt: skip
    assert {r["name"] for r in rows} == {"'=cmd()", "'@x"}
    assert {r["note"] for r in rows} == {"'+27", "'-1\t"}
    assert all(r["troth_missing"] == "any sign of a yes" for r in rows)


def test_an_earlier_check_in_the_folder_is_not_overwritten(tmp_path):
    out = tmp_path / "out"
    assert checked(tmp_path, WHOLE, "--out", out).status == 0
    before = (out / "not.csv").read_bytes()
    assert checked(tmp_path, DANGEROUS, "--out", out).status == 2
    assert (out / "not.csv").read_bytes() == before


def test_the_opt_out_registry_is_applied_where_its_file_is_given(tmp_path):
    from hashlib import sha256

    digest = sha256(b"p1@post.example").hexdigest()
    head = "# scheme: sha256-lower-trim\n# as-of: 2026-11-10T00:00:00+02:00\nhash\n"
    file = put(tmp_path, f"{head}{digest}\n", "registry.csv")
    data = checked(tmp_path, WHOLE, "--registry", file, "--json").data
    assert {"code": "registry_block", "rows": 1} in [
        {"code": r["code"], "rows": r["rows"]} for r in data["reasons"]
    ]
    assert "registry" not in {each["id"] for each in data["before"]}


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("", (), "the list is empty; export it again"),
        ("name\nAnn\n", (), "no column holds e-mail addresses; name it: --map HEADING=email"),
        ("email\na@post.example\n", ("--country", "Narnia!"), "is not known; write its ISO"),
        ("email\na@post.example\n", ("--map", "email"), "--map is not HEADING=FIELD"),
        ("email\na@post.example\n", ("--map", "x=email"), "no column has this heading"),
        ("email\na@post.example\n", ("--zone", "Moon"), "this time zone is not known"),
    ],
)
def test_bad_input_is_one_line_with_a_remedy(tmp_path, text, more, said):
    ran = checked(tmp_path, text, *more)
    assert ran.status == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_every_reason_evidence_finding_field_and_condition_has_words():
    words = told.words()
    assert set(words["field"]) == set(app.list_fields())
    assert set(words["before"]) == {"registry", "similar", "hours", "wording"}
    for name in ("notice", "time", "method", "proof", "consent", "sale_date"):
        assert told.evidence(name) != name
    for code in words["say"]:
        assert all((told.say("not", code).title, told.say("not", code).why))


def test_the_form_holds_every_field_the_rule_asks_for_and_nothing_is_ticked():
    fields = {each["field"] for each in told.form4()["part"]}
    assert {
        "person_name", "sender_name", "sender_address", "sender_contact", "designated_person",
        "goods_named", "stop_contact",
    } <= fields  # fmt: skip
    text, page_ = told.form4_text(), told.form4_html()
    assert text.count("[ ]") == 6
    assert page_.count('type="checkbox"') == 6
    assert "checked" not in page_
    assert "[YOUR COMPANY]" in text


# The page


class Browser:
    """A signed-in marketer's browser at the list check."""

    def __init__(self, role="marketer"):
        self.client = shop().door(role)
        self.form = shop().form(self.client, "/console/list")

    def look(self):
        return self.client.get("/console/list").text

    def send(self, text, name="list.csv", form=None):
        files = {"list": (name, text if isinstance(text, bytes) else text.encode(), "text/csv")}
        return self.client.post(
            "/console/list", data={"form": self.form if form is None else form}, files=files
        )

    def check(self, **more):
        data = {"form": self.form, "sender": "ZA", "zone": "Africa/Johannesburg", **more}
        for number, field in re.findall(
            r'name="column-(\d+)".*?<option value="([a-z_]*)" selected', self.look()
        ):
            data.setdefault(f"column-{number}", field)
        answer = self.client.post("/console/list/check", data=data)
        until = time.monotonic() + 20
        while "Checking the list" in self.look() and time.monotonic() < until:
            time.sleep(0.05)
        return answer

    def take(self, group, form=None):
        form = self.form if form is None else form
        return self.client.post(f"/console/list/take/{group}", data={"form": form})

    def drop(self):
        return self.client.post("/console/list/forget", data={"form": self.form})


@pytest.fixture
def browser():
    made = Browser()
    yield made
    made.drop()


def test_a_list_is_dropped_corrected_checked_and_its_groups_fetched(browser):
    assert browser.send(WHOLE).status_code == 303
    assert "Are the columns read rightly?" in browser.look()
    assert browser.check().status_code == 303
    text = browser.look()
    assert "2 you may mail, 1 you may ask once, 5 not." in text
    rows = []
    for group in ("may_mail", "ask_once", "not"):
        answer = browser.take(group)
        named = answer.headers["content-disposition"]
        assert re.fullmatch(
            rf'attachment; filename="{group}\.ex-[0-9a-f]+\.for-marketer\.until-[0-9-]+\.csv"',
            named,
        )
        assert answer.headers["cache-control"] == "no-store"
        rows += listexports.read_csv(answer.text)
    assert len(rows) == 8
    assert browser.client.get("/console/list/form4.html").text == told.form4_html()


def test_a_column_corrected_on_the_page_counts(browser):
    browser.send("email,kind\nann@post.example,Unsubscribed\n")
    browser.check(**{"column-2": "status"})
    assert "0 you may mail, 0 you may ask once, 1 not." in browser.look()


def test_no_page_shows_a_cell_that_tells_who_it_is(browser):
    browser.send(f"email,name,status\n{SECRET}@post.example,{SECRET},Subscribed\n")
    seen = browser.look()
    browser.check()
    assert SECRET not in seen + browser.look()


def test_whoever_has_no_session_or_another_role_or_another_form_gets_nowhere(browser):
    stranger = shop().client
    answer = stranger.post("/console/list", files={"list": ("a.csv", b"email\n")})
    assert answer.status_code in (200, 303)
    assert "/signin" in str(answer.headers.get("location", answer.url))
    assert shop().door("it").get("/console/list").status_code == 403
    assert browser.send(WHOLE, form="forged").status_code == 403
    assert "Check a list you already have" in browser.look()
    other = Browser()
    browser.send(WHOLE)
    browser.check()
    assert other.take("not").status_code == 404
    assert browser.take("not", form="forged").status_code == 403
    assert "Check a list you already have" in other.look()


def test_a_list_may_be_large_and_any_other_body_may_not(browser, monkeypatch):
    big = "email\n" + "".join(f"p{n}@post.example\n" for n in range(70_000))
    assert len(big) > server.BODY_MAX
    assert browser.send(big).status_code == 303
    answer = browser.client.post("/console/list/check", content=big.encode())
    assert answer.status_code == 400
    assert shop().client.post("/console/list", content=big.encode()).status_code in (200, 303)
    monkeypatch.setitem(server.LARGE, "/console/list", 1 << 10)
    assert browser.send(big).status_code == 400


def test_a_list_that_is_none_is_answered_on_the_page_with_what_to_do(browser):
    answer = browser.send("")
    assert answer.status_code == 400
    assert "the list is empty; export it again" in answer.text
    assert browser.send(b"%PDF-1.4", "a.csv").status_code == 400
    browser.send("name\nAnn\n")
    answer = browser.check()
    assert answer.status_code == 400
    assert "no column holds e-mail addresses" in answer.text


def test_nothing_stays_no_file_no_log_no_event(browser, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = {p: p.stat().st_size for p in shop().folder.rglob("*") if p.is_file()}
    size = shop().size()
    browser.send(f"email,name\n{SECRET}@post.example,{SECRET}\n{SECRET},x\n")
    browser.check()
    for name in ("not.csv", f"{SECRET}.csv", "take/not"):
        assert browser.client.get(f"/console/list/{name}").status_code in (404, 405)
    assert browser.take(SECRET).status_code == 404
    assert list(tmp_path.iterdir()) == []
    browser.drop()
    after = {p: p.stat().st_size for p in shop().folder.rglob("*") if p.is_file()}
    assert {p.name for p in after if after[p] != before.get(p)} <= {
        "record.db-wal",
        "record.db-shm",
    }
    assert SECRET.encode() not in bytes_of(after)
    assert shop().size() == size
    assert SECRET not in "".join(capfd.readouterr())
    assert browser.take("not").status_code == 404


# What is taken out


def house_chain():
    with shop().ws.store.look() as view:
        return shop().ws.desk.scribe.chain(view, shop().ws.desk.scribe.house)


def kept_exports():
    with shop().ws.store.look() as view:
        return exports.listed(view)


def test_a_file_is_booked_before_it_is_given_and_each_row_carries_the_mark(browser, monkeypatch):
    browser.send(f"email,name\n{SECRET}@post.example,{SECRET}\nann@post.example,Ann\n")
    browser.check()
    order, real = [], app.write_group

    def write(*given):
        order.append(house_chain()[-1].event.type)
        return real(*given)

    monkeypatch.setattr(app, "write_group", write)
    before = {each.id for each in kept_exports()}
    answer = browser.take("ask_once")
    rows = listexports.read_csv(answer.text)
    (left,) = [each for each in kept_exports() if each.id not in before]
    assert order == ["export.made"]
    said = house_chain()[-1].event.payload
    assert (said.export, said.what, said.counts) == (left.id, "list", {"people": len(rows)})
    assert {row["troth_export"] for row in rows} == {left.line()}
    assert "for marketer; purpose: list check; delete by 20" in left.line()
    told = browser.client.get("/console/exports").text
    assert left.id in told
    assert "A list that was checked" in told
    raw = msgspec.json.encode(left) + repr(said).encode()
    assert SECRET.encode() not in raw


def test_the_root_of_a_file_taken_out_is_over_its_rows(browser):
    roots = []
    for name in ("Ann", "Ann", "Bea"):
        browser.send(f"email,name\na@post.example,{name}\n")
        browser.check()
        browser.take("ask_once")
        roots.append(house_chain()[-1].event.payload.members)
    assert roots[0] == roots[1] != roots[2]


def test_where_it_cannot_be_booked_no_file_is_given(browser, monkeypatch):
    browser.send(WHOLE)
    browser.check()

    def broken(*_given):
        raise Unavailable("the disk is full", "make room")

    monkeypatch.setattr("troth.capabilities.access.exports.prepare", broken)
    answer = browser.take("not")
    assert answer.status_code == 503
    assert "post.example" not in answer.text


def test_a_colleague_the_policy_does_not_know_takes_no_file_and_the_refusal_is_recorded(
    browser, monkeypatch
):
    browser.send(WHOLE)
    browser.check()
    before = len(kept_exports())
    no = Refusal((Reason(ReasonCode.UNKNOWN_ACTOR, "staff.roles", "sign_in"),))
    monkeypatch.setattr("troth.app.policy.Chain.claim", lambda *_: no)
    answer = browser.take("not")
    assert answer.status_code == 403
    assert "post.example" not in answer.text
    assert house_chain()[-1].event.type == "claim.refused"
    assert len(kept_exports()) == before


def test_in_a_workspace_the_command_books_its_files_and_elsewhere_it_does_not(tmp_path):
    folder = cli_shop.copied(cli_shop.built(), tmp_path / "ws")
    lines = ("list", "check", put(tmp_path, WHOLE), "--sender-country", "ZA", "--json")
    told = cli_shop.done(cli_shop.at(folder, *lines, "--out", str(tmp_path / "out"))).data
    ident = told["export"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {each for each in names if ident in each and "until-" in each} == {
        each for each in names if each.endswith(".csv")
    }
    assert len(names) == 5
    kept = cli_shop.done(cli_shop.at(folder, "access", "exports", "--json")).data["exports"]
    assert [(e["id"], e["what"], e["people"]) for e in kept] == [(ident, "list", 8)]
    none = cli_shop.at(
        folder, *lines, "--out", str(tmp_path / "no"), "--as", "it:gareth@marula.example"
    )
    assert none.status == 1
    assert not (tmp_path / "no").exists()
    bare = checked(tmp_path, WHOLE, "--out", str(tmp_path / "bare"), "--json").data
    assert "export" not in bare
    assert (tmp_path / "bare" / "not.csv").is_file()


class Kept:
    """A job's file that remembers whether it was closed."""

    def __init__(self):
        self.closed = threading.Event()

    def close(self):
        self.closed.set()


def kept():
    return page.Job(Kept(), "list.csv", None, page.ListTold())


class Named:
    """A session, as far as the shelf looks at one."""

    def __init__(self, form):
        self.form = form


def test_after_its_time_a_list_is_gone_by_itself():
    shelf, job = page.Shelf(0.1), kept()
    shelf.put(Named("one"), job)
    assert shelf.find(Named("one")) is job
    assert job.file.closed.wait(5)
    assert shelf.find(Named("one")) is None
    with pytest.raises(NotFound):
        job.progress(1)


def test_a_session_keeps_one_list_and_the_house_only_so_many():
    shelf, first = page.Shelf(60), kept()
    shelf.put(Named("one"), first)
    shelf.put(Named("one"), kept())
    assert first.file.closed.is_set()
    for n in range(page.LISTS_MAX - 1):
        shelf.put(Named(f"more {n}"), kept())
    last = kept()
    with pytest.raises(Unavailable):
        shelf.put(Named("too many"), last)
    assert last.file.closed.is_set()
    for n in range(page.LISTS_MAX - 1):
        shelf.drop(Named(f"more {n}"))
    shelf.drop(Named("one"))


PARTS = st.binary(max_size=80).filter(lambda raw: b"--XY" not in raw)


@given(body=PARTS, cuts=st.lists(st.integers(1, 40), max_size=30), text=st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_an_upload_reads_the_same_wherever_it_is_cut(body, cuts, text):
    if "\r" in text or "\n" in text or "-" in text:
        return
    head = 'Content-Disposition: form-data; name="{}"{}\r\n\r\n'
    raw = b"--XY\r\n" + head.format("form", "").encode() + text.encode() + b"\r\n--XY\r\n"
    raw += head.format("list", '; filename="a.csv"').encode() + body + b"\r\n--XY--\r\n"
    sink, seen = io.BytesIO(), {}

    def begin(fields):
        seen.update(fields)
        return sink

    upload = Upload("multipart/form-data; boundary=XY", begin)
    for cut in [*cuts, len(raw)]:
        upload.feed(raw[:cut])
        raw = raw[cut:]
    upload.end()
    assert (sink.getvalue(), seen, upload.name) == (body, {"form": text}, "a.csv")


@given(raw=st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_an_upload_that_is_none_is_refused(raw):
    upload = Upload("multipart/form-data; boundary=XY", lambda _fields: io.BytesIO())
    with pytest.raises(InvalidInput):  # noqa: PT012 - whichever notices first
        upload.feed(raw)
        upload.end()
