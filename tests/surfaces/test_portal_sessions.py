"""Who is in, as whom, for how long: what a visit rests on, and that it ends with it."""

import re
from datetime import UTC, datetime

import entry_house
import marula
import pytest
from portal_door import enter
from starlette.requests import Request

from troth.app import owndata
from troth.capabilities import people, preferences
from troth.errors import InvalidInput
from troth.kernel import events
from troth.surfaces.portal import correct, frame, sessions
from troth.surfaces.portal import entry as pages
from troth.surfaces.web import site
from troth.terms import Channel, ConsentStatus, Instant

OFFERS = {"purpose": "offers", "channel": "email", "notice": "offers@3"}


@pytest.fixture
def house(tmp_path):
    opened = entry_house.EntryHouse(tmp_path / "house")
    yield opened
    opened.ws.close()


def pair(house, relation="competent_person", born="2012", until=0, said="given", **facts):
    parent = house.newcomer("parent", {})
    act = {"idempotency_key": "c", "status": said}
    child = house.newcomer("child", act, birth_year=born, **facts)
    people.link(house.desk, child, parent, relation, "desk", marula.OFFICER, until)
    return parent, child


def mandate(house, person, viewer):
    with house.ws.store.look() as view:
        return owndata.mandate(view, person, viewer)


def handles(client):
    return re.findall(r'name="who" value="([0-9a-f]+)"', client.get("/my/as").text)


def token(client, path="/my"):
    return re.search(r'name="form" value="([^"]+)"', client.get(path).text)[1]


def send(client, path, page="/my", **fields):
    return client.post(path, data={"form": token(client, page), **fields})


def switched(house, parent):
    client = enter(house.app, parent)
    assert send(client, "/my/as", "/my/as", who=handles(client)[-1]).status_code == 303
    return client


def held(house):
    return [each for each, _ in house.app.state.hub.kept["portal"]._held.values()]


# Who decides for a child, and until when


@pytest.mark.parametrize("born", ["1990", ""])
def test_a_guardian_is_one_only_of_whom_the_record_calls_a_minor(house, born):
    parent, child = pair(house, born=born)
    assert mandate(house, child, parent) == ""
    client = enter(house.app, parent)
    assert handles(client) == []
    assert "child@post.example" not in client.get("/my/correct").text
    assert not [e for e in house.chain(child) if e.type in {"visit.began", "data.read"}]


def test_a_mandate_for_a_child_ends_with_the_year_in_which_they_turn_18(house):
    parent, child = pair(house, born="2012", until=people.of_age(2012))
    said = [e.payload for e in house.chain(child) if isinstance(e.payload, events.PersonLinked)]
    assert said[-1].until == "2031-01-01T00:00:00Z"
    house.later(datetime(2030, 12, 31, 23, 59, tzinfo=UTC))
    assert mandate(house, child, parent) == "competent_person"
    client = switched(house, parent)
    assert "child@post.example" in client.get("/my/correct").text
    house.at(datetime(2031, 1, 1, tzinfo=UTC))
    house.serve()
    assert mandate(house, child, parent) == ""
    assert house.record(child).age == "minor", "marketing stays as careful as it was"
    assert "child@post.example" not in enter(house.app, parent).get("/my/correct").text


def test_a_mandate_that_would_be_over_already_is_not_written_down(house):
    parent, child = house.newcomer("parent", {}), house.newcomer("grown", {"idempotency_key": "g"})
    with pytest.raises(InvalidInput, match="over already"):
        people.link(
            house.desk, child, parent, "competent_person", "desk", marula.OFFICER,
            people.of_age(1990),
        )  # fmt: skip
    with house.ws.store.look() as view:
        assert people.links(view, child) == []


def test_a_mandate_without_an_end_is_open_and_one_replaced_keeps_only_the_new_end(house):
    parent, child = pair(house)
    with house.ws.store.look() as view:
        assert people.links(view, child) == [
            people.Link(parent, "competent_person", mine=True, until=0)
        ]
    ends = people.of_age(2012)
    people.link(house.desk, child, parent, "agent", "desk", marula.OFFICER, ends)
    with house.ws.store.look() as view:
        assert people.links(view, parent) == [people.Link(child, "agent", mine=False, until=ends)]
    people.unlink(house.desk, child, parent, "desk", marula.OFFICER)
    said = [e.payload for e in house.chain(child) if isinstance(e.payload, events.PersonLinked)]
    assert [(each.relation, each.ended, each.until) for each in said] == [
        ("competent_person", False, None),
        ("agent", False, "2031-01-01T00:00:00Z"),
        ("agent", True, None),
    ]


def test_a_mandate_of_another_kind_than_it_was_opened_under_is_opened_anew(house):
    parent, child = pair(house)
    client = switched(house, parent)
    assert "child@post.example" in client.get("/my/correct").text
    people.link(house.desk, child, parent, "agent", "letter", marula.OFFICER)
    assert "child@post.example" not in client.get("/my/correct").text
    send(client, "/my/as", "/my/as", who=handles(client)[-1])
    began = [e.payload.relation for e in house.chain(child) if e.type == "visit.began"]
    assert began == ["competent_person", "agent"]


# Whose yes counts


@pytest.mark.parametrize("born", ["1990", "2012"])
def test_an_agent_stops_for_somebody_and_agrees_to_nothing(house, born):
    parent, child = pair(house, "agent", born, said="refused")
    client = switched(house, parent)
    before = house.codes(child)
    for path, fields in (
        ("/my/preferences/agree", OFFERS),
        ("/my/level", {"level": "3", "notice": "personalise@2"}),
    ):
        answer = send(client, path, **fields)
        assert answer.status_code == 400
        assert "With a mandate you can say no for somebody, not yes." in answer.text
    assert house.codes(child) == before
    assert house.record(child).level < 1
    assert send(client, "/my/stop").status_code == 303
    said = [e.payload for e in house.chain(child) if e.type.startswith("consent.")]
    assert said[-1].given_by == "authorised_agent"


def test_an_agents_yes_is_refused_at_the_desk_and_remembered_as_unproven_from_a_file(house):
    ann = house.newcomer("ann", {"given_by": "authorised_agent"})
    acts = [e.payload for e in house.chain(ann) if isinstance(e.payload, events.ConsentAct)]
    assert [(act.status, act.missing) for act in acts] == [(ConsentStatus.IMPORTED, ("given_by",))]
    assert house.codes(ann)
    choice = preferences.Choice(
        ConsentStatus.GIVEN, "offers", ("email",), notice="offers@3", method="letter",
        proof="letter 7", given_by="authorised_agent",
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="says no for somebody, not yes"):
        preferences.record_choice(house.desk, ann, choice, marula.OFFICER)


def test_a_contact_agrees_for_an_organisation_and_for_nobody_else(house):
    _, firm = pair(house, "contact_of", "", subject="juristic")
    person = house.newcomer("lone", {"idempotency_key": "l"}, birth_year="1990")
    for other, may in ((firm, True), (person, False)):
        assert frame._may_grant("contact_of", house.record(other)) is may


# What ends a visit


def test_a_new_address_ends_every_visit_but_the_one_it_was_proven_in(house):
    ann = house.newcomer("ann", {})
    mine, other, hers = (enter(house.app, ann) for _ in range(3))
    for client in (mine, other, hers):
        assert client.get("/my/correct").status_code == 200
    codes = []
    house.app.state.hub.kept[correct.PROVE] = lambda *told: codes.append(told[-1])
    fields = {"field": "contact.email", "value": "new@post.example", "sure": "yes"}
    send(mine, "/my/correct", "/my/correct", **fields)
    answer = send(mine, "/my/correct/code", "/my/correct", code=codes[-1])
    assert answer.headers["location"] == "/my/correct"
    assert "new@post.example" in mine.get("/my/correct").text
    for client in (other, hers):
        assert client.get("/my/correct").headers["location"] == "/my/enter"
    assert len(held(house)) == 1


def test_an_address_more_ends_no_visit_and_one_less_does(house):
    ann = house.newcomer("ann", {})
    client = enter(house.app, ann)
    told = (Channel.SMS, "+27825550101", "desk", marula.OFFICER, "ZA")
    people.change_address(house.desk, ann, *told)
    assert client.get("/my").status_code == 200
    again = enter(house.app, ann)
    told = (Channel.SMS, "+27825550102", "desk", marula.OFFICER, "ZA")
    people.change_address(house.desk, ann, *told)
    assert client.get("/my").status_code == 200
    assert again.get("/my").headers["location"] == "/my/enter"


def test_what_was_opened_for_a_child_is_forgotten_with_the_mandate_in_every_session(house):
    parent, child = pair(house)
    clients = [switched(house, parent) for _ in range(2)]
    for client in clients:
        client.get("/my/uses")
        client.get("/my")
    assert all(child in each.eyes for each in held(house))
    assert all(any(child.hex() in name for name in each.kept) for each in held(house))
    people.unlink(house.desk, child, parent, "desk", marula.OFFICER)
    minute_later(house)
    house.browser().get("/my/enter")
    assert len(held(house)) == 2
    for each in held(house):
        assert child not in each.eyes
        assert not [name for name in each.kept if child.hex() in name]
        assert (each.person, each.relation) == (parent, "self")
    assert "parent@post.example" in clients[0].get("/my/correct").text


def test_the_erasure_of_a_child_leaves_nothing_of_theirs_in_a_guardians_visit(house):
    parent, child = pair(house)
    client = switched(house, parent)
    client.get("/my/uses")
    house.ws.erase(child, "rq-desk")
    house.browser().get("/my/enter")
    [mine] = held(house)
    assert not mine.eyes.keys() & {child}
    assert not [name for name in mine.kept if child.hex() in name]
    assert client.get("/my").status_code == 200


def test_a_question_about_a_childs_value_is_not_shown_beside_ones_own(house):
    parent, child = pair(house)
    switched(house, parent)
    [session] = held(house)
    session.kept[f"asked:birth.year:{child.hex()}"] = ("1980", "no_code")
    client = enter(house.app, parent)
    assert "1980" not in client.get("/my/correct/question?field=birth.year").text
    session.forget(child)
    assert not session.kept


def test_a_visit_nobody_used_is_gone_from_memory_by_the_next_look(house):
    client = enter(house.app, house.newcomer("ann", {}))
    client.get("/my/uses")
    [session] = held(house)
    minute_later(house, sessions.IDLE + 1)
    house.browser().get("/my/enter")
    assert held(house) == []
    assert not session.kept
    assert not session.eyes


def minute_later(house, more=sessions.LOOKED_OVER):
    kept = house.app.state.hub.kept["portal"]
    clock = kept.clock

    class Later:
        def now(self):
            return Instant(clock.now() + more)

    kept.clock = Later()


# From which network


def test_one_rule_says_from_where_a_request_comes_whatever_counts_it(house):
    hub = house.app.state.hub

    def seen(host, *headers):
        scope = {"type": "http", "client": (host, 1), "headers": list(headers)}
        asked = Request(scope)
        return pages.network(hub, asked), site._network(hub, asked)

    told = (b"x-forwarded-for", b"203.0.113.9, 198.51.100.4")
    assert seen("127.0.0.1", told) == ("198.51.100.4", "198.51.100.0")
    assert seen("203.0.113.5", told) == ("203.0.113.5", "203.0.113.0")
    assert seen("127.0.0.1", (b"x-forwarded-for", b"nonsense")) == ("127.0.0.1", "127.0.0.0")
    assert seen("someone", told) == ("someone", "")
    assert site.caller(hub, Request({"type": "http", "client": None, "headers": []})) == ""
    hub.kept["site.place"] = site.site_place.Place((), "", "x-real-ip")
    real = (b"x-real-ip", b"198.51.100.77")
    assert seen("203.0.113.5", told, real) == ("198.51.100.77", "198.51.100.0")
    assert seen("127.0.0.1", told) == ("127.0.0.1", "127.0.0.0")
