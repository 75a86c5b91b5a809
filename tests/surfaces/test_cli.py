"""Every command of the command line: what it does, what it refuses, what programs can rely on."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cli_shop as shop
import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from troth.adapters.inbox import Inbox
from troth.errors import Conflict, EvidenceBroken, InvalidInput, NotFound, Unavailable
from troth.kernel.reasons import REMEDIES
from troth.surfaces import cli, faults, words
from troth.terms import ReasonCode

DOCS = Path(__file__).parents[2] / "docs"
OFFICER = "privacy_officer:nokuthula@marula.example"
MARKETER = "marketer:lindiwe@marula.example"
GRANT = ("--notice", "offers@3", "--method", "paper", "--proof", "form:7")


@pytest.fixture
def ws(tmp_path):
    return shop.copied(shop.built(), tmp_path / "ws")


@pytest.fixture
def bare(tmp_path):
    return shop.copied(shop.bare(), tmp_path / "bare")


def data(folder, *line, status=0):
    ran = shop.at(folder, *line, "--json")
    assert ran.status == status, ran
    return ran.data


def commands(group=cli.root, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


# The line itself


def test_help_answers_for_every_command_without_loading_the_parts():
    code = (
        "import sys; from troth.surfaces import cli\n"
        f"for path in {[list(path) for path, _ in commands()]!r}:\n"
        "    assert cli.answer([*path, '--help']) == 0\n"
        "loaded = {'troth.app', 'sqlite3', 'cryptography', 'rich', 'msgspec'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_program_runs_as_a_module_and_names_its_version():
    done = subprocess.run(
        [sys.executable, "-m", "troth", "--version"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)


def test_every_command_takes_json_workspace_actor_and_moment():
    for path, command in commands():
        spelt = {o for p in command.params for o in p.opts}
        assert {"--json", "--workspace", "--as", "--at"} <= spelt, path


@pytest.mark.parametrize(
    "line",
    [
        ["qzxmark"],
        ["--qzxmark"],
        ["check", "qzxmark@post.example"],
        ["check", "--qzxmark"],
        ["import", "qzxmark", "f.csv"],
        ["consent", "give"],
        ["consent", "give", "c-1", "--level", "qzxmark"],
        ["explain", "qzxmark"],
        ["serve", "--port", "qzxmark"],
    ],
)
def test_a_misspelt_line_is_bad_input_in_one_line_that_repeats_nothing_of_it(line):
    ran = shop.run(*line)
    assert (ran.status, ran.out) == (2, "")
    assert re.fullmatch(r"troth: [^\n]+; see: troth[ a-z-]* --help\n", ran.err), ran
    assert "qzxmark" not in ran.err


WORDS = sorted({word for path, _ in commands() for word in path} - {"serve", "demo", "init"})
OPTIONS = sorted({o for _, command in commands() for p in command.params for o in p.opts})
TOKENS = st.sampled_from([*WORDS, *OPTIONS]) | st.text(max_size=12).map(lambda t: f"qzxmark{t}")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(line=st.lists(TOKENS, max_size=6))
def test_no_line_ends_in_a_traceback_or_is_repeated(tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    ran = shop.run(*line)
    assert ran.status in (0, 1, 2, 3), line
    assert "internal" not in ran.err
    assert "qzxmark" not in ran.out + ran.err
    assert ran.err.count("\n") == bool(ran.status)


def test_codes_end_in_the_documented_statuses():
    ends = {InvalidInput: 2, NotFound: 2, Conflict: 2, Unavailable: 3, EvidenceBroken: 1}
    assert {kind: faults.exit_of(kind.code) for kind in ends} == ends
    assert faults.exit_of("refused") == 1
    assert faults.exit_of("no such code") == faults.exit_of("internal") == 3


def test_what_nobody_foresaw_is_named_by_its_place_and_never_by_its_value():
    def inner(value):
        return {}[value]

    with pytest.raises(KeyError) as caught:
        inner("qzxmark@post.example")
    fault = faults.fault_of(caught.value)
    again = faults.fault_of(caught.value)
    assert isinstance(fault, faults.Internal)
    assert fault.reference == again.reference
    assert re.fullmatch(
        r"troth: internal error, reference [0-9A-Z]{8}; report it together with data/troth\.log",
        faults.spoken(fault),
    )
    assert "qzxmark" not in json.dumps([faults.problem(fault), fault.places])


def test_an_internal_error_reaches_the_log_without_its_value(ws, monkeypatch):
    def broken(*_given):
        raise RuntimeError("qzxmark@post.example")

    monkeypatch.setattr("troth.surfaces.commands.ledger.head", broken)
    ran = shop.at(ws, "ledger", "head", "--json")
    assert ran.status == 3
    assert ran.err.count("\n") == 1
    told = json.loads((ws / "data/troth.log").read_text().splitlines()[-1])
    assert told["reference"] == ran.data["reference"]
    assert (told["code"], told["error"], told["command"]) == (
        "internal",
        "RuntimeError",
        "troth ledger head",
    )
    assert "qzxmark" not in ran.out + ran.err + json.dumps(told)


def test_every_reason_and_remedy_has_words():
    catalogue = words.catalogue()
    for code in ReasonCode:
        assert catalogue.knows(code, REMEDIES[code]), code
        assert catalogue.reason(code).change
    assert catalogue.remedy("ask_consent.cautious").endswith(catalogue.doubt)
    with pytest.raises(NotFound):
        words.catalogue("xx")
    with pytest.raises(NotFound):
        words.catalogue("../en")


# Beginning


def test_init_needs_drafts_and_a_second_run_changes_nothing(tmp_path):
    assert shop.run("init", tmp_path / "none").status == 2
    assert not (tmp_path / "none").exists()
    folder = tmp_path / "new"
    shop.done(shop.run("init", folder, "--from", "demo", "--at", shop.AT))
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for line in (["init", folder], ["init", folder, "--from", "demo"]):
        ran = shop.run(*line, "--json")
        assert (ran.status, ran.data["code"]) == (2, "conflict")
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_check_names_file_and_remedy_and_publishes_nothing(ws):
    assert data(ws, "check")["changed"] == []
    draft = ws / "purposes/offers.toml"
    draft.write_text(draft.read_text().replace('"marketing"', '"nowhere"', 1))
    found = data(ws, "check", status=2)
    assert not found["ok"]
    assert [f["draft"] for f in found["faults"]] == ["purpose:offers"]
    assert found["faults"][0]["remedy"]
    assert shop.at(ws, "apply").status == 2
    draft.write_text("name = ")
    assert "purposes/offers.toml" in shop.at(ws, "check").out


def test_apply_publishes_what_changed_and_then_nothing(ws):
    draft = ws / "purposes/offers.toml"
    draft.write_text(draft.read_text().replace("Offers for your", "Offers to your"))
    assert data(ws, "check")["changed"] == ["purpose:offers"]
    assert data(ws, "apply") == {"published": ["purpose:offers@2"]}
    assert data(ws, "apply") == {"published": []}


def test_check_knows_audiences_and_what_they_rest_on(ws):
    draft = ws / "audiences/winback.toml"
    draft.write_text(draft.read_text().replace('"offers"', '"nowhere"'))
    assert [f["draft"] for f in data(ws, "check", status=2)["faults"]] == ["audience:winback"]


# People


def test_explain_says_yes_with_its_ground_and_its_end(ws):
    yes = data(ws, "explain", "c-agreed", "--purpose", "offers")
    assert sorted(yes) == sorted(
        [
            "agreed",
            "at",
            "basis",
            "categories",
            "level",
            "obligations",
            "ruleset",
            "until",
            "waiver",
        ]
    )
    assert (yes["agreed"], yes["basis"], yes["categories"]) == (True, "consent", [])
    level = data(ws, "explain", "c-level", "--purpose", "offers")
    assert level["categories"] == ["identity.name", "interests.declared"]


def test_explain_names_rule_law_source_and_what_would_change_the_answer(ws):
    no = data(ws, "explain", "c-objected", "--purpose", "offers", status=1)
    assert sorted(no) == ["agreed", "at", "reasons"]
    reason = no["reasons"][0]
    assert sorted(reason) == sorted(
        [
            "change",
            "checked_on",
            "code",
            "doubtful",
            "law",
            "needs_check",
            "remedy",
            "rule",
            "rule_title",
            "source",
            "title",
            "why",
        ]
    )
    assert (reason["code"], reason["rule"], reason["law"]) == ("objected", "ZA-1", "POPIA")
    assert reason["source"]
    said = shop.at(ws, "explain", "c-objected", "--purpose", "offers").out
    for part in ("No, on 17 November 2026, 10:00", "Objected to marketing", "ZA-7", "POPIA"):
        assert part in said
    assert said.count("What would change it") == len({r["code"] for r in no["reasons"]})


def test_explain_finds_a_person_by_address_and_never_prints_it_back(ws):
    for line in ((shop.address("c-agreed"), ""), ("-", f"{shop.address('c-agreed')}\n")):
        ran = shop.at(ws, "explain", line[0], "--purpose", "offers", stdin=line[1])
        assert ran.status == 0
        assert "qzxmark" not in ran.out + ran.err


def test_a_suppressed_address_is_explained_as_such(ws):
    no = data(ws, "explain", "c-stopped", "--purpose", "offers", status=1)
    assert "suppressed_complaint" in {r["code"] for r in no["reasons"]}


def case(ws, person):
    """Open a case as the ticket system does; return what a look of staff names."""
    shop.done(shop.at(ws, "case", "open", person, "--source", "ticket", "--ticket", "T-7"))
    return ("--reason", "T-7")


def test_whoever_may_not_ask_learns_nothing_about_the_person(ws):
    said = [
        data(ws, "explain", who, "--purpose", "offers", *case(ws, who), "--as", OFFICER, status=1)[
            "reasons"
        ]
        for who in ("c-agreed", "c-objected")
    ]
    assert said[0] == said[1]
    assert said[0][0]["code"] == "purpose_not_permitted"
    unknown = data(ws, "explain", "c-agreed", "--purpose", "nothing", status=1)
    assert unknown["reasons"][0]["code"] == "unknown_purpose"


def test_nobody_and_several_are_bad_input(ws):
    for person in ("c-nobody", "nobody.qzxmark@post.example"):
        ran = shop.at(ws, "explain", person, "--purpose", "offers")
        assert (ran.status, ran.err.splitlines()[-1]) == (
            2,
            "troth: nobody is known under this; give the customer number (outside id) or the address",
        )
    shared = shop.at(ws, "explain", shop.address("c-shared1"), "--purpose", "offers")
    assert (shared.status, "2 people share this address" in shared.err) == (2, True)
    assert shop.at(ws, "explain", "c-shared1", "--purpose", "offers").status in (0, 1)


def test_a_look_at_a_person_is_an_event_before_it_is_shown(ws):
    assert data(ws, "consent", "show", "c-agreed", "--reason", "case 7")["history"]
    named = case(ws, "c-agreed")
    data(ws, "explain", "c-agreed", "--purpose", "offers", *named, "--as", MARKETER)
    from troth import app
    from troth.surfaces.commands.call import read_instant

    opened = app.open(ws, at=read_instant(shop.AT, "--at"))
    with opened.store.look() as view:
        person = opened.desk.find(view, "c-agreed")
        read = [
            (r.event.actor.partition("/")[0], r.event.payload)
            for r in opened.desk.scribe.chain(view, person)
            if r.event.type == "data.read"
        ]
    opened.close()
    assert [(who, p.fields, p.reason) for who, p in read] == [
        ("system", ("consent",), "case 7"),
        ("marketer", ("explanation",), "case:T-7"),
    ]


def test_a_refused_look_shows_nothing_and_is_recorded(ws):
    size = data(ws, "ledger", "head")["size"]
    no = data(ws, "consent", "show", "c-agreed", "--as", MARKETER, status=1)
    assert sorted(no) == ["agreed", "reasons"]
    assert data(ws, "ledger", "head")["size"] == size + 1


@pytest.mark.parametrize("who", ["nobody:x", "marketer:stranger@marula.example", "system:", "it"])
def test_an_actor_the_house_does_not_know_is_refused(ws, who):
    ran = shop.at(ws, "consent", "show", "c-agreed", "--as", who)
    assert (ran.status, ran.out) == (2, "")


def test_consent_is_given_shown_and_withdrawn(ws):
    give = ("consent", "give", "c-silent", "--purpose", "offers", "--channel", "email")
    assert shop.at(ws, *give).status == 2
    given = data(ws, *give, *GRANT)
    assert given.keys() == {
        "at", "channels", "n", "notice_current", "purpose", "receipt", "recorded",
    }  # fmt: skip
    assert given["recorded"] == ["consent.given"]
    shown = data(ws, "consent", "show", "c-silent")
    assert sorted(shown) == ["at", "history", "level", "standing"]
    offers = {s["channel"]: s for s in shown["standing"] if s["purpose"] == "offers"}
    assert (offers["email"]["status"], offers["sms"]["status"]) == ("given", "unknown")
    assert offers["email"]["until"] == "2028-11-17T08:00:00Z"
    data(ws, "consent", "withdraw", "c-silent")
    shown = data(ws, "consent", "show", "c-silent")
    assert {s["status"] for s in shown["standing"] if s["purpose"] == "offers"} == {"withdrawn"}
    no = data(ws, "explain", "c-silent", "--purpose", "offers", status=1)
    assert no["reasons"][0]["code"] == "withdrawn"


@pytest.mark.parametrize("lacking", ["--notice", "--method", "--proof"])
def test_a_grant_lacking_a_proof_is_refused(ws, lacking):
    place = GRANT.index(lacking)
    rest = GRANT[:place] + GRANT[place + 2 :]
    line = ("consent", "give", "c-silent", "--purpose", "offers", "--channel", "email", *rest)
    ran = shop.at(ws, *line)
    assert (ran.status, lacking[2:] in ran.err) == (2, True)


def test_a_grant_names_each_channel(ws):
    for channel in ("*", "all", "pigeon"):
        line = ("consent", "give", "c-silent", "--purpose", "offers", "--channel", channel)
        assert shop.at(ws, *line, *GRANT).status == 2


def test_a_refusal_binds_and_a_consent_is_explained_as_of_any_moment(ws):
    data(ws, "consent", "refuse", "c-agreed", "--purpose", "offers", "--channel", "email")
    before, after = "2026-07-01T00:00:00Z", "2026-11-17T08:00:00Z"
    for valid, known, want in (
        ("2026-05-01T00:00:00Z", after, "unknown"),
        (before, after, "given"),
        (before, before, "unknown"),  # the act was recorded later than that
        (after, after, "refused"),
    ):
        line = ("consent", "as-of", "c-agreed", "--valid", valid, "--known", known)
        found = data(ws, *line)
        assert sorted(found) == ["known", "standing", "valid"]
        status = {(s["purpose"], s["channel"]): s["status"] for s in found["standing"]}
        assert status["offers", "email"] == want, (valid, known)
    assert shop.at(ws, "consent", "as-of", "c-agreed", "--valid", "yesterday").status == 2
    assert shop.at(ws, "consent", "as-of", "c-agreed", "--valid", "2026-07-01").status == 2


def test_receipts_are_exported_and_verified_by_anybody(ws, tmp_path):
    out = tmp_path / "out"
    told = data(ws, "receipt", "export", "c-agreed", "--out", out)
    assert sorted(told) == ["delete_by", "export", "folder", "receipts"]
    files = sorted(out.glob("*.tlog-proof"))
    assert len(files) == len(told["receipts"]) >= 5
    for policy in ([], ["--policy", out / "policy"]):
        read = data(ws, "receipt", "verify", files[0], *policy)
        assert sorted(read) == ["at", "index", "origin", "size", "type", "verified"]
        assert (read["verified"], read["type"]) == (True, "person.created")
    alone = shop.run("receipt", "verify", files[0], "--policy", out / "policy", "-w", tmp_path)
    assert alone.status == 0


def test_a_receipt_of_an_act_is_handed_out_with_it(ws, tmp_path):
    path = tmp_path / "mine.tlog-proof"
    line = ("consent", "withdraw", "c-agreed", "--receipt", path, "--as", "person")
    assert data(ws, *line)["receipt"] == str(path)
    assert data(ws, "receipt", "verify", path)["type"] == "consent.withdrawn"


def test_an_altered_receipt_does_not_verify(ws, tmp_path):
    out = tmp_path / "out"
    data(ws, "receipt", "export", "c-agreed", "--out", out)
    path = min(out.glob("*.tlog-proof"))
    sound = path.read_text()
    lines = sound.split("\n")
    moved = [*lines[:2], f"index {int(lines[2][6:]) - 1}", *lines[3:]]
    swapped = [*lines[:3], lines[4], lines[3], *lines[5:]]
    broken = {"\n".join(moved): 1, "\n".join(swapped): 1, "nonsense": 2, "": 2, sound[:80]: 2}
    for text, status in broken.items():
        path.write_text(text)
        ran = shop.at(ws, "receipt", "verify", path)
        assert (ran.status, ran.out) == (status, ""), text[:40]
    assert shop.at(ws, "receipt", "verify", tmp_path / "none").status == 2


def test_erasing_needs_a_yes_then_leaves_a_certificate_and_nobody(ws):
    size = data(ws, "ledger", "head")["size"]
    ran = shop.at(ws, "erase", "c-agreed")
    assert (ran.status, "add --now" in ran.err) == (2, True)
    assert data(ws, "ledger", "head")["size"] == size
    told = data(ws, "erase", "c-agreed", "--now", "--request", "rq-7")
    assert sorted(told) == [
        "counts", "erased_at", "horizon", "keys", "leaf", "not_covered", "request", "salt",
        "scanned",
    ]  # fmt: skip
    assert (told["request"], bool(told["not_covered"])) == ("rq-7", True)
    assert shop.at(ws, "explain", "c-agreed", "--purpose", "offers").status == 2
    assert shop.at(ws, "explain", shop.address("c-agreed"), "--purpose", "offers").status == 2
    assert data(ws, "ledger", "verify")["verified"]
    assert shop.at(ws, "erase", "c-level", "--now", "--request", "a b").status == 2


def test_a_child_is_agreed_for_by_a_competent_person_only(bare, tmp_path):
    path = tmp_path / "child.csv"
    path.write_text(shop.CUSTOMERS + shop.customer("c-child", born="2014"))
    shop.done(shop.at(bare, "import", "customers", path))
    line = ("consent", "give", "c-child", "--purpose", "newsletter", "--channel", "email")
    line += ("--notice", "newsletter@1", "--method", "paper", "--proof", "form:8")
    for by, want in (("self", "unknown"), ("competent_person", "given")):
        data(bare, *line, "--by", by)
        shown = data(bare, "consent", "show", "c-child")
        status = {(s["purpose"], s["channel"]): s["status"] for s in shown["standing"]}
        assert (status["newsletter", "email"] == "given") == (want == "given"), by
    assert shop.at(bare, *line, "--by", "qzxmark").status == 2


# Evidence


def test_the_ledger_shows_its_head_verifies_and_proves(ws):
    head = data(ws, "ledger", "head")
    assert sorted(head) == ["key", "note", "root", "signed_size", "size"]
    assert head["size"] == head["signed_size"]
    found = data(ws, "ledger", "verify")
    assert sorted(found) == ["findings", "root", "size", "verified"]
    assert (found["verified"], found["root"]) == (True, head["root"])
    inside = data(ws, "ledger", "prove", "3")
    assert sorted(inside) == ["index", "leaf", "note", "path", "root", "size"]
    grown = data(ws, "ledger", "prove", "--since", "5")
    assert sorted(grown) == ["note", "path", "root1", "root2", "size1", "size2"]
    for line in (["10000000"], ["--since", "10000000"], [], ["3", "--since", "5"], ["--", "-1"]):
        assert shop.at(ws, "ledger", "prove", *line).status == 2, line


# Campaigns


def test_an_audience_is_previewed_in_numbers_only(ws):
    found = data(ws, "audience", "preview", "winback")
    assert sorted(found) == ["at", "by_level", "candidates", "reachable", "refused"]
    assert found["candidates"] == found["reachable"] + sum(found["refused"].values())
    assert found["refused"]["objected"] == found["refused"]["suppressed_complaint"] == 1
    said = shop.at(ws, "audience", "preview", "winback").out
    assert "Objected to marketing" in said
    assert data(ws, "audience", "rebuild")["people"] == len(shop.PEOPLE)
    for name in ("nothing", "../troth", "qzxmark@post.example"):
        ran = shop.at(ws, "audience", "preview", name)
        assert (ran.status, "qzxmark" in ran.err) == (2, False)


def test_a_campaign_is_checked_part_by_part(ws):
    found = data(ws, "campaign", "check", "winback")
    assert sorted(found) == ["checks", "ok"]
    assert [sorted(c) for c in found["checks"]] == [["ok", "say", "what"]] * 5
    stranger = data(ws, "campaign", "check", "winback", "--as", OFFICER, status=1)
    assert [c["what"] for c in stranger["checks"] if not c["ok"]] == ["permission"]
    missing = data(ws, "campaign", "check", "winback", "--template", "none", status=1)
    assert "template" in [c["what"] for c in missing["checks"] if not c["ok"]]


def test_a_sample_opens_nobody(ws, tmp_path):
    size = data(ws, "ledger", "head")["size"]
    plain = data(ws, "campaign", "test", "winback", "--out", tmp_path / "1.eml")
    full = data(ws, "campaign", "test", "winback", "--level", "5", "--out", tmp_path / "5.eml")
    assert sorted(plain) == ["bytes", "file", "level", "subject"]
    assert full["bytes"] > plain["bytes"]
    raw = (tmp_path / "5.eml").read_bytes()
    assert raw.count(b"DKIM-Signature") == 2
    assert not any(mark.encode() in raw for mark in shop.MARKS)
    assert data(ws, "ledger", "head")["size"] == size


def approved(ws):
    """Let one person plan the campaign and another approve it."""
    data(ws, "campaign", "plan", "winback", "--as", MARKETER)
    data(ws, "campaign", "submit", "winback", "--as", MARKETER)
    data(ws, "campaign", "approve", "winback", "--as", OFFICER)


def test_a_campaign_is_sent_once_to_whom_it_may_and_refused_to_the_rest(ws, tmp_path):
    with Inbox(tmp_path / "in") as inbox:
        inbox.stop()
        port = inbox.start(0)
        line = ("campaign", "send", "winback", "--relay", f"127.0.0.1:{port}", "--as", MARKETER)
        approved(ws)
        asked = shop.at(ws, *line)
        assert (asked.status, "add --yes" in asked.err) == (2, True)
        assert inbox.messages() == []
        sent = data(ws, *line, "--yes")
        again = data(ws, *line, "--yes")
    assert sorted(sent) == sorted(
        ["already", "booked", "candidates", "failed", "handed", "refused", "unknown", "waiting",
         "withheld"]
    )  # fmt: skip
    assert sent["handed"] == sent["booked"] == len(inbox.messages()) > 0
    assert (again["handed"], again["booked"]) == (0, 0)
    assert again["already"] == sent["booked"]
    to = {r for m in inbox.messages() for r in m.rcpt_to}
    assert shop.address("c-objected") not in to
    assert shop.address("c-stopped") not in to
    state = data(ws, "campaign", "status", "winback")
    assert sorted(state) == [
        "approved", "campaign", "candidates", "decided", "due", "held_out", "messages", "note",
        "plan", "reachable", "refused", "stage", "version", "waiting", "withheld",
    ]  # fmt: skip
    assert (state["decided"], state["messages"]["handed"]) == (sent["booked"], sent["handed"])
    assert data(ws, "ledger", "verify")["verified"]


def test_who_may_not_send_sends_nothing(ws):
    no = data(ws, "campaign", "send", "winback", "--as", OFFICER, "--yes", status=1)
    assert no["reasons"][0]["code"] == "purpose_not_permitted"
    assert data(ws, "campaign", "status", "winback")["decided"] == 0


def test_a_relay_that_does_not_answer_leaves_everything_booked(ws):
    approved(ws)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        line = ("campaign", "send", "winback", "--relay", f"127.0.0.1:{port}", "--yes")
        ran = shop.at(ws, *line, "--json")
    assert (ran.status, ran.data["code"]) == (3, "unavailable")
    state = data(ws, "campaign", "status", "winback")["messages"]
    assert state["ready"] + state["leased"] > 0
    assert state["handed"] == state["unknown"] == 0
    assert shop.at(ws, "campaign", "send", "winback", "--relay", "nowhere", "--yes").status == 2


# The officer


def test_only_the_officer_waives_a_registry_for_a_while_and_with_a_reason(ws):
    line = (
        "waive",
        "registry",
        "--until",
        "2026-12-01T10:00:00+02:00",
        "--reason",
        "file is late",
    )
    for who in ([], ["--as", MARKETER], ["--as", "privacy_officer:stranger@marula.example"]):
        assert shop.at(ws, *line, *who).status == 2
    told = data(ws, *line, "--as", OFFICER)
    assert sorted(told) == ["reason", "registry", "since", "until"]
    long = ("waive", "registry", "--until", "2027-12-01T10:00:00+02:00", "--reason", "too long")
    assert shop.at(ws, *long, "--as", OFFICER).status == 2
    empty = (*line[:-1], " ")
    assert shop.at(ws, *empty, "--as", OFFICER).status == 2


# Processes


def listens():
    """Let a child hear the key also where this suite runs in the background and may not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ended(running):
    try:
        return running.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        running.kill()
        raise


def test_a_key_that_interrupts_ends_cleanly(ws):
    line = [sys.executable, "-m", "troth", "consent", "show", "-", "-w", ws, "--at", shop.AT]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*map(str, line)], **pipes, preexec_fn=listens) as running:  # noqa: PLW1509
        assert b"demo time" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        out, err = ended(running)
    assert running.returncode == faults.STOPPED
    assert out == b""
    assert err == b"troth: stopped; what was booked is kept, run it again to go on\n"


def test_a_reader_that_stops_reading_is_no_error(ws):
    line = f"{sys.executable} -m troth ledger head -w {ws} --at {shop.AT} | true"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "troth: " not in done.stderr


def test_a_port_in_use_is_unavailable_and_named(ws):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = shop.at(ws, "serve", "--port", port, "--json")
    assert (ran.status, ran.data["code"]) == (3, "unavailable")
    assert str(port) in ran.err


def test_serve_answers_and_stops_at_a_key(ws):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "troth", "serve", "--port", str(port), "-w", str(ws)]
    with subprocess.Popen(
        [*line, "--at", shop.AT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=listens,  # noqa: PLW1509
    ) as running:
        assert _reached(port)
        running.send_signal(signal.SIGINT)
        _, err = ended(running)
    assert running.returncode in (0, faults.STOPPED), err
    assert b"Traceback" not in err


def _reached(port):
    for _ in range(150):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


def test_a_demo_replaces_no_folder_of_anybody(tmp_path):
    (tmp_path / "letters.txt").write_text("mine")
    ran = shop.run("demo", "--folder", tmp_path, "--no-serve", "--json")
    assert (ran.status, ran.data["code"]) == (2, "conflict")
    assert [p.name for p in tmp_path.iterdir()] == ["letters.txt"]
    assert shop.run("demo", "--no-serve", "--at", "qzxmark").status == 2


def test_the_demo_is_told_in_figures_it_reports():
    from troth.surfaces.commands import running
    from troth.surfaces.demo import run

    source = Path(run.__file__).read_text("utf-8")
    told = {*running._TOLD, "demo_time", "provenance", "refused", "ledger"}
    assert {name for name in told if f'"{name}":' not in source} == set()
    bad = {"sent_without_agreement": 1, "ledger": {"verified": True}}
    good = {"sent_without_agreement": 0, "ledger": {"verified": True}}
    assert (running._status(bad), running._status(good)) == (1, 0)


# Pages


def test_the_page_of_commands_names_every_command_and_option_and_no_other():
    page = (DOCS / "cli.md").read_text("utf-8")
    told = set(re.findall(r"^### `troth ([a-z -]+?)(?: [A-Z].*)?`$", page, re.MULTILINE))
    assert told == {" ".join(path) for path, _ in commands()}
    options = {o for _, c in commands() for p in c.params for o in p.opts if o.startswith("--")}
    assert options <= set(re.findall(r"--[a-z-]+", page))
    assert set(re.findall(r"`(--[a-z-]+)", page)) <= options | {"--help", "--version"}
    for code, end in faults.ENDS.items():
        assert re.search(rf"\| `{code}` \| {end.exit} \|", page), code


def test_the_machine_has_no_say_in_who_acts(ws):
    env = {**os.environ, "USER": "qzxmark", "LOGNAME": "qzxmark"}
    line = [sys.executable, "-m", "troth", "consent", "show", "c-agreed", "--json"]
    told = subprocess.run(
        [*line, "-w", str(ws), "--at", shop.AT], capture_output=True, text=True, env=env
    )
    assert told.returncode == 0
    assert "qzxmark" not in told.stdout + told.stderr


def _blocks(heading):
    page = (DOCS / "workspace.md").read_text("utf-8")
    part = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return part, re.findall(r"^```\w+\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)


def _keys(part):
    """Return the keys named in the first cells of a part's table."""
    cells = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
    return {key for cell in cells for key in re.findall(r"`([^`]+)`", cell)}


def test_the_page_of_the_workspace_names_every_key_of_the_settings(tmp_path):
    import tomllib
    from importlib.resources import files

    from troth.adapters.drafts import read_drafts
    from troth.kernel.house import read_house
    from troth.settings import read_settings
    from troth.terms import Published

    part, (example,) = _blocks("troth.toml")
    (tmp_path / "troth.toml").write_text(example)
    assert read_settings(tmp_path).base_url == "https://my.marula.example"
    drafts = read_drafts(tmp_path)
    house = read_house(1, [Published(name, 1, 0, "", raw) for name, raw in drafts.items()])
    assert (house.caps, len(house.levels[2])) == ({"direct_marketing": (4, 30)}, 2)
    demo = tomllib.loads((files("troth") / "data/demo/troth.toml").read_text("utf-8"))
    for values in (demo, tomllib.loads(example)):
        for table, held in values.items():
            for key, value in held.items():
                spelt = {
                    "brands": [f"brands.NAME.{inner}" for inner in dict(value or {})]
                    if table == "brands"
                    else [],
                    "roles": ["roles.ROLE"],
                    "levels": ["levels.0"],
                    "stores": ["stores.record"],
                }.get(table, [f"{table}.{key}"])
                assert set(spelt) <= _keys(part), spelt


@pytest.mark.parametrize(
    "needed", ["[house]", "domain =", "from_name =", "from_address =", "list_id =", "relay ="]
)
def test_the_page_tells_which_settings_are_needed(tmp_path, needed):
    from troth.settings import read_settings

    _, (example,) = _blocks("troth.toml")
    lacking = "\n".join(line for line in example.split("\n") if not line.startswith(needed))
    (tmp_path / "troth.toml").write_text(lacking)
    with pytest.raises(InvalidInput, match=r"troth\.toml"):
        read_settings(tmp_path)


def test_the_page_of_the_workspace_names_every_key_of_every_draft(tmp_path):
    from troth.adapters.drafts import read_drafts
    from troth.engines import mail
    from troth.kernel import audience
    from troth.kernel.house import parse_toml, read_purpose
    from troth.terms import Purpose

    part, (example,) = _blocks("purposes/NAME.toml")
    assert read_purpose("offers", example.encode()).parent == "marketing"
    assert _keys(part) >= set(Purpose.__slots__)
    part, (example,) = _blocks("templates/NAME.toml")
    template = mail.parse_template(example)
    frame = mail.compile_frame(template, template.categories, mail.presence(template, {}))
    assert frame.template == "hello@1"
    assert _keys(part) >= parse_toml("t", example.encode()).keys() - {
        "slots",
        "sections",
        "repeats",
    }
    part, (example,) = _blocks("audiences/NAME.toml")
    assert audience.parse_audience(parse_toml("a", example.encode())).purpose == "offers"
    with pytest.raises(InvalidInput) as known:
        audience.parse_audience({"name": "a", "purpose": "b", "where": {"x": {}}})
    words_known = known.value.remedy.removeprefix("use one of ").split(", ")
    assert all(f"`{word}`" in part for word in words_known)
    _, (example,) = _blocks("notices/NAME.md")
    (tmp_path / "troth.toml").write_text("")
    (tmp_path / "notices/earlier").mkdir(parents=True)
    (tmp_path / "notices/earlier/offers-1.md").write_text("earlier words")
    (tmp_path / "notices/offers.md").write_text(example)
    found = read_drafts(tmp_path)
    assert b"earlier words" in found["notice:offers@1"]
    assert json.loads(found["notice:offers@2"])["material"] is True
