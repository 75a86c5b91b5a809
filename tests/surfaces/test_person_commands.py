"""The commands about one person: what they do, who may, what they never say."""

import json

import cli_shop as shop
import pytest

from troth.capabilities import people
from troth.surfaces.commands.call import Call, find
from troth.terms import Channel

OFFICER = "privacy_officer:nokuthula@marula.example"
SUPPORT = "support:fatima@marula.example"
MARKETER = "marketer:lindiwe@marula.example"
IT = "it:gareth@marula.example"


@pytest.fixture
def ws(tmp_path):
    return shop.copied(shop.built(), tmp_path / "ws")


def told(folder, *line, status=0, stdin="", who=OFFICER):
    ran = shop.at(folder, *line, "--as", who, "--json", stdin=stdin)
    assert ran.status == status, ran
    assert not any(mark in ran.out + ran.err for mark in shop.MARKS)
    return ran.data


def said(folder, *line, who=OFFICER):
    ran = shop.done(shop.at(folder, *line, "--as", who))
    assert not any(mark in ran.out + ran.err for mark in shop.MARKS)
    return ran.out


def case(folder, person, number="7"):
    """Open a case as the ticket system does; return what a look names."""
    line = ("case", "open", person, "--source", "ticket", "--ticket", number)
    shop.done(shop.at(folder, *line))
    return ("--reason", number)


def agreed(folder, person):
    return shop.at(folder, "explain", person, "--purpose", "offers").status == 0


def types(folder, person):
    with Call(folder, shop.AT).opened() as opened, opened.store.look() as view:
        who = find(opened, view, person)
        return [each.event.type for each in opened.desk.scribe.chain(view, who)]


def house_types(folder):
    with Call(folder, shop.AT).opened() as opened, opened.store.look() as view:
        chain = opened.desk.scribe.chain(view, opened.desk.scribe.house)
        return [each.event.type for each in chain]


# Showing


def test_a_person_is_shown_by_facts_alone_and_the_look_is_in_their_record_first(ws):
    seven = case(ws, "c-level")
    before = types(ws, "c-level")
    found = told(ws, "person", "show", "c-level", *seven)
    assert (found["stage"], found["residence"], found["level"]) == ("lapsed", "ZA", 2)
    assert (found["channels"], found["links"], found["merged"]) == (["email"], [], 0)
    assert {each["kind"] for each in found["dealings"]} == {"sale"}
    assert types(ws, "c-level") == [*before, "data.read"]
    text = said(ws, "person", "show", "c-level", *seven, who=SUPPORT)
    assert "lapsed" in text
    assert "The look is in their record" in text


@pytest.mark.parametrize("who", [MARKETER, IT])
def test_who_may_not_look_at_a_person_learns_nothing_of_them(ws, who):
    found = told(ws, "person", "show", "c-level", *case(ws, "c-level"), who=who, status=1)
    assert found.keys() == {"agreed", "reasons"}
    assert "data.read" not in types(ws, "c-level")


# Who may


ACTS = {
    "relate": ["relate", "c-agreed", "--kind", "sale", "--on", "2026-11-01"],
    "address": ["address", "c-agreed", "--channel", "email", "--to", "new.qzxmark@post.example"],
    "link": ["link", "c-agreed", "c-level", "--relation", "agent"],
    "unlink": ["unlink", "c-agreed", "c-level"],
    "merge": ["merge", "c-agreed", "c-level", "--reason", "one person"],
    "unmerge": ["unmerge", "c-agreed", "--which", "1", "--reason", "two people"],
    "restrict": ["restrict", "c-agreed", "--reason", "disputed"],
    "resume": ["resume", "c-agreed", "--reason", "settled"],
}
CLOSED = [
    *((act, who) for act in ACTS for who in (MARKETER, IT)),
    *((act, SUPPORT) for act in ("merge", "unmerge", "resume")),
    *((act, "person") for act in ("relate", "link", "unlink", "merge", "unmerge")),
]


@pytest.mark.parametrize(("act", "who"), CLOSED)
def test_whoever_may_not_is_refused_and_the_attempt_is_recorded(ws, act, who):
    mine, house = types(ws, "c-agreed"), house_types(ws)
    found = told(ws, "person", *ACTS[act], who=who, status=1)
    assert [each["code"] for each in found["reasons"]] == ["purpose_not_permitted"]
    assert types(ws, "c-agreed") == mine
    assert house_types(ws) == [*house, "claim.refused"]


def test_somebody_who_is_not_listed_is_bad_input_and_nothing_is_recorded(ws):
    for act in ACTS.values():
        told(ws, "person", *act, who="support:nobody@marula.example", status=2)


def test_a_suspended_colleague_is_refused_at_once(ws):
    shop.done(shop.at(ws, "staff", "invite", SUPPORT, "--as", IT))
    shop.done(shop.at(ws, "staff", "suspend", SUPPORT, "--as", IT))
    found = told(ws, "person", *ACTS["restrict"], who=SUPPORT, status=1)
    assert [each["code"] for each in found["reasons"]] == ["unknown_actor"]
    assert told(ws, "person", *ACTS["restrict"])["restricted"]


@pytest.mark.parametrize("act", ["restrict", "resume", "address"])
def test_a_person_restricts_resumes_and_moves_for_themselves(ws, act):
    told(ws, "person", *ACTS[act], who="person")


# Dealings, addresses


def test_a_dealing_on_a_day_makes_somebody_a_customer_and_agrees_to_nothing(ws):
    assert not agreed(ws, "c-german")
    found = told(ws, "person", "relate", "c-german", "--kind", "contract", "--on", "2026-11-02",
                 "--until", "2027-11-01", "--goods", "household", who=SUPPORT)  # fmt: skip
    assert found["at"] == "2026-11-01T22:00:00Z"
    assert (found["kind"], found["brand"], found["collected"]) == ("contract", "marula", False)
    assert told(ws, "person", "show", "c-german", *case(ws, "c-german"))["stage"] == "customer"
    assert types(ws, "c-german").count("relation.recorded") == 2
    assert not agreed(ws, "c-german")


@pytest.mark.parametrize(
    "given",
    [
        ["--on", "2030-01-01"],
        ["--on", "qzxmark"],
        ["--on", "2026-11-01T10:00:00"],
        ["--on", "2026-11-01", "--source", "qzxmark@post.example"],
        ["--on", "2026-11-01", "--until", "soon"],
    ],
)
def test_a_dealing_that_does_not_read_is_bad_input_and_leaves_nothing(ws, given):
    before = types(ws, "c-agreed")
    told(ws, "person", "relate", "c-agreed", "--kind", "sale", *given, status=2)
    assert types(ws, "c-agreed") == before


@pytest.mark.parametrize("by", ["option", "stdin"])
def test_a_new_address_takes_the_place_of_the_old_one_and_is_never_said_back(ws, by):
    new = "moved.qzxmark@post.example"
    line = ["person", "address", "c-agreed", "--channel", "email", "--to"]
    if by == "option":
        told(ws, *line, new, who=SUPPORT)
    else:
        told(ws, *line, "-", who=SUPPORT, stdin=f"{new}\n")
    with Call(ws, shop.AT).opened() as opened, opened.store.look() as view:
        one = people.find_by_address(opened.desk, view, Channel.EMAIL, new)
        assert one == [opened.desk.find(view, "c-agreed")]
        old = shop.address("c-agreed")
        assert people.find_by_address(opened.desk, view, Channel.EMAIL, old) == []
    assert agreed(ws, "c-agreed")
    told(ws, *line, new, status=2)


def test_a_complaint_goes_along_to_the_new_address(ws):
    new = "moved.qzxmark@post.example"
    both = f"{shop.address('c-stopped')}\n{new}\n"
    told(ws, "person", "address", "-", "--channel", "email", "--to", "-", stdin=both)
    assert "suppression.added" in types(ws, "c-stopped")
    assert not agreed(ws, "c-stopped")


def test_what_is_no_address_is_bad_input(ws):
    before = types(ws, "c-agreed")
    line = ["person", "address", "c-agreed", "--channel", "sms", "--to", "qzxmark"]
    told(ws, *line, status=2)
    assert types(ws, "c-agreed") == before


# Links, merging, restricting


def test_a_link_stands_in_both_records_and_is_ended_in_both(ws):
    found = told(ws, "person", "link", "c-german", "c-level", "--relation", "contact_of")
    assert found == {"as": "contact_of", "linked": True}
    assert told(ws, "person", "show", "c-german", *case(ws, "c-german"))["links"] == [
        {"as": "contact_of", "acted_for": True}
    ]
    seven = case(ws, "c-level")
    assert "they are a company's contact" in said(ws, "person", "show", "c-level", *seven)
    told(ws, "person", "unlink", "c-german", "c-level", "--source", "letter")
    assert told(ws, "person", "show", "c-level", *seven)["links"] == []
    told(ws, "person", "unlink", "c-german", "c-level", status=2)


def test_two_are_merged_the_stricter_answer_stands_and_an_unmerge_gives_both_back(ws):
    assert agreed(ws, "c-agreed")
    assert told(ws, "person", "merge", "c-agreed", "c-objected", "--reason", "one") == {
        "merged": 1
    }
    assert not agreed(ws, "c-agreed")
    assert "number 1" in said(ws, "person", "show", "c-objected", *case(ws, "c-objected"))
    told(ws, "person", "unmerge", "c-agreed", "--which", "2", "--reason", "two", status=2)
    found = told(ws, "person", "unmerge", "c-agreed", "--which", "1", "--reason", "two")
    assert found == {"merged": 0}
    assert agreed(ws, "c-agreed")
    assert not agreed(ws, "c-objected")


@pytest.mark.parametrize("reason", [[], ["--reason", " "]])
@pytest.mark.parametrize("act", ["merge", "restrict", "resume"])
def test_no_reason_no_act(ws, act, reason):
    line = [*ACTS[act][: ACTS[act].index("--reason")], *reason]
    before = types(ws, "c-agreed")
    told(ws, "person", *line, status=2)
    assert types(ws, "c-agreed") == before


def test_a_restriction_closes_everything_and_its_end_opens_what_was_agreed(ws):
    told(ws, "person", "restrict", "c-agreed", "--reason", "disputed", who=SUPPORT)
    assert not agreed(ws, "c-agreed")
    found = told(ws, "person", "show", "c-agreed", *case(ws, "c-agreed"), status=1)
    assert [each["code"] for each in found["reasons"]] == ["restricted"]
    with Call(ws, shop.AT).opened() as opened:
        acts = [line["act"] for line in opened.desk.journal.lines()]
    assert "restriction" in acts
    told(ws, "person", "resume", "c-agreed", "--reason", "settled")
    assert agreed(ws, "c-agreed")


def test_what_is_done_is_signed(ws):
    told(ws, "person", *ACTS["restrict"])
    head = json.loads(shop.done(shop.at(ws, "ledger", "head", "--json")).out)
    assert head["size"] == head["signed_size"]
    with Call(ws, shop.AT).opened() as opened:
        assert opened.verify() == []


# Consents, named by versions that are published


def test_an_unknown_notice_is_answered_with_the_published_versions(ws):
    line = ["consent", "give", "c-silent", "--purpose", "offers", "--channel", "email",
            "--method", "paper", "--proof", "form:7", "--notice"]  # fmt: skip
    before = types(ws, "c-silent")
    ran = shop.at(ws, *line, "qzxmark@9")
    assert ran.status == 2
    assert "offers@1, offers@2, offers@3" in ran.err
    assert "qzxmark" not in ran.err
    assert shop.at(ws, *line, "personalise@2").status == 2
    assert types(ws, "c-silent") == before


def test_an_outdated_notice_is_recorded_as_said_and_said_to_open_nothing(ws):
    notice = ws / "notices/offers.md"
    head, _, tail = notice.read_text("utf-8").rpartition("material = false")
    notice.write_text(f"{head}material = true{tail}", "utf-8")
    shop.done(shop.at(ws, "apply"))
    line = ["consent", "give", "c-silent", "--purpose", "offers", "--channel", "email",
            "--method", "paper", "--proof", "form:7", "--notice"]  # fmt: skip
    old = json.loads(shop.done(shop.at(ws, *line, "offers@1", "--json")).out)
    assert old["notice_current"] is False
    assert "asked anew" in shop.at(ws, *line, "offers@1").out
    assert not agreed(ws, "c-silent")
    new = json.loads(shop.done(shop.at(ws, *line, "offers@3", "--json")).out)
    assert new["notice_current"] is True
    assert agreed(ws, "c-silent")


def test_a_method_is_a_word_and_nothing_else(ws):
    line = ["consent", "give", "c-silent", "--purpose", "offers", "--channel", "email",
            "--notice", "offers@3", "--proof", "form:7", "--method"]  # fmt: skip
    ran = shop.at(ws, *line, "told Qzxplanted by phone")
    assert ran.status == 2
    assert "Qzxplanted" not in ran.err
    shop.done(shop.at(ws, *line, "call_recording"))
