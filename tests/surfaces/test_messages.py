"""The pages of messages: begin, reword, see, publish, undo; and what a look at real people may show."""

import re
import shutil
from email import message_from_bytes, policy

import marula
import pytest
from hub_shop import REPORT
from starlette.testclient import TestClient

from troth import app
from troth.app.messages import samples
from troth.app.starters import PALETTE
from troth.errors import Conflict, InvalidInput
from troth.kernel import events
from troth.surfaces.web.server import build_app
from troth.terms import Actor, Role

ROLES = {"marketer": marula.MARKETER}
PLANTED = {
    "given_name": "Xanthippe",
    "family_name": "Plantedname",
    "interests": "qwertying;zebras",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("messages") / "house"
    marula.make(folder)
    return folder


@pytest.fixture
def shop(made, tmp_path):
    folder = tmp_path / "house"
    shutil.copytree(made, folder)
    opened = marula.House(folder)
    yield opened
    opened.ws.close()


@pytest.fixture
def door(shop):
    hub = build_app(shop.ws, REPORT, shop.folder / "inbox")
    with TestClient(hub, base_url="http://127.0.0.1:8400", follow_redirects=False):

        def enter(role="marketer"):
            client = TestClient(hub, base_url="http://127.0.0.1:8400", follow_redirects=False)
            assert client.post(f"/doors/{role}").status_code == 303
            return client

        yield enter


def hidden(text, name):
    return re.search(rf'name="{name}" value="([^"]*)"', text)[1]


def form(client, name="winback", **more):
    text = client.get(f"/console/messages/{name}").text
    return {"form": hidden(text, "form"), "base": hidden(text, "base"), **more}


def frames(client, text):
    return [
        client.get(path).text
        for path in re.findall(r'src="(/console/messages/frame/[^"]+)"', text)
    ]


def headline(client, name="winback"):
    return re.search(
        r'<label for="f-(b\d+)">Headline', client.get(f"/console/messages/{name}").text
    )[1]


def test_the_list_names_every_message_with_its_purpose_state_and_version(door):
    text = door().get("/console/messages").text
    assert "winback" in text
    assert "Offers for your household" in text
    assert "Published" in text


@pytest.mark.parametrize("role", ["it", "support"])
def test_who_has_nothing_to_do_with_messages_is_told_so(door, role):
    client = door(role)
    assert client.get("/console/messages").status_code == 403
    assert client.get("/console/messages/winback").status_code == 403


def test_a_new_message_begins_from_a_starter_as_a_draft_nobody_can_send(door, shop):
    client = door()
    token = hidden(client.get("/console/messages/new").text, "form")
    data = {"form": token, "name": "spring", "starter": "newsletter", "purpose": ""}
    assert (
        client.post("/console/messages/new", data=data).headers["location"]
        == "/console/messages/spring"
    )
    assert "Words to write" in client.get("/console/messages").text
    assert not app.template_versions(shop.ws, "spring")
    assert client.post("/console/messages/new", data=data).status_code == 400
    assert client.post("/console/messages/new", data={**data, "name": "../x"}).status_code == 400


def test_rewording_a_text_shows_at_once_in_the_message_beside_it_and_saves_nothing(door, shop):
    client = door()
    given = form(
        client, level="3", view="light", **{headline(client): "Hi {{first_name}}, bread!"}
    )
    answer = client.post("/console/messages/winback/look", data=given)
    (seen,) = frames(client, answer.text)
    assert "Hi Noor, bread!" in seen
    assert len(app.template_versions(shop.ws, "winback")) == 1
    assert "Hi {{first_name}}, bread!" not in (shop.folder / "templates/winback.toml").read_text()


def test_at_level_0_there_is_no_message_and_each_level_shows_no_more_than_it_may(door):
    client = door()
    text = client.post("/console/messages/winback/look", data=form(client, level="all")).text
    assert "At level 0 no marketing message exists" in text
    shown = frames(client, text)
    assert len(shown) == 5
    invented = samples()["person"][0]
    first = ["first_name", "interest_line", None, "year_line", "alike_line"]
    for level, html in enumerate(shown, 1):
        plain = re.sub(r"<[^>]+>", "", html)
        for needed, key in zip((2, 2, 3, 4, 5), first, strict=True):
            value = invented[key] if key else invented["favourites"][0]["title"]
            if key is None:
                value = invented["favourites"][0]["note"]
            assert (value in plain) == (level >= needed), (level, value)


def test_a_preview_is_caged_and_belongs_to_its_session_alone(door):
    client = door()
    text = client.get("/console/messages/winback").text
    path = re.search(r'src="(/console/messages/frame/[^"]+)"', text)[1]
    answer = client.get(path)
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert 'sandbox src="/console/messages/frame' in text
    assert door("privacy_officer").get(path).status_code == 404
    dark = client.get(path.replace("/light", "/dark")).text
    assert "@media all" in dark
    assert "@media not all" in answer.text


def test_a_text_that_loses_its_slot_is_not_taken_and_says_so(door, shop):
    client = door()
    given = form(client, do="publish", **{headline(client): "Hello everybody"})
    answer = client.post("/console/messages/winback", data=given)
    assert answer.status_code == 400
    assert "same slots" in answer.text
    assert "Nothing was saved" in answer.text
    assert len(app.template_versions(shop.ws, "winback")) == 1


def test_saving_keeps_a_draft_and_publishing_makes_a_version_with_its_event(door, shop):
    client = door()
    words = {headline(client): "Good day {{first_name}}, it has been a while."}
    assert (
        client.post("/console/messages/winback", data=form(client, do="save", **words)).status_code
        == 303
    )
    assert "Draft changes" in client.get("/console/messages/winback").text
    assert len(app.template_versions(shop.ws, "winback")) == 1
    assert (
        client.post("/console/messages/winback", data=form(client, do="publish")).status_code
        == 303
    )
    versions = app.template_versions(shop.ws, "winback")
    assert [v.version for v in versions] == [2, 1]
    said = shop.house_chain()[-1].payload
    assert isinstance(said, events.HousePublished)
    assert (said.thing, said.digest) == ("template:winback@2", versions[0].digest)
    assert "Good day {{first_name}}, it has been a while." in versions[0].data.decode()
    assert versions[0].data.decode().count("Good day {{first_name}}") == 2, (
        "the plain part followed"
    )
    assert (shop.folder / "templates/winback.toml").read_bytes() == versions[0].data
    assert shop.ws.apply() == []


def test_two_who_edit_at_once_do_not_overwrite_each_other(door, shop):
    one, two = door(), door("privacy_officer")
    mine = form(one, do="publish", subject="Mine, {{first_name}}")
    theirs = form(two, do="publish", subject="Theirs, {{first_name}}")
    assert one.post("/console/messages/winback", data=mine).status_code == 303
    answer = two.post("/console/messages/winback", data=theirs)
    assert answer.status_code == 409
    assert "somebody else" in answer.text.lower()
    assert b"Mine" in app.template_versions(shop.ws, "winback")[0].data
    source = app.template_versions(shop.ws, "winback")[0].data.decode()
    with pytest.raises(Conflict):
        app.publish_template(shop.ws, "winback", source, marula.MARKETER, 1)


def test_what_does_not_pass_its_checks_is_never_published(door, shop):
    client = door()
    text = client.get("/console/messages/winback").text
    assert text
    source = app.read_message(shop.ws, "winback").source.replace("{{stop_link}}", "x", 1)
    with pytest.raises(InvalidInput):
        app.publish_template(shop.ws, "winback", source, marula.MARKETER, 1)
    given = form(client, do="publish", mjml="<mjml></mjml>")
    assert client.post("/console/messages/winback", data=given).status_code == 400
    assert len(app.template_versions(shop.ws, "winback")) == 1


def test_an_earlier_version_is_one_click_away_and_shown_word_by_word(door, shop):
    client = door()
    words = {"subject": "Hello {{first_name}}, the oven is on"}
    client.post("/console/messages/winback", data=form(client, do="publish", **words))
    text = client.get("/console/messages/winback/history").text
    assert "<del>kettle</del>" in text
    assert "<ins>oven</ins>" in text
    given = {"form": hidden(text, "form"), "base": hidden(text, "base"), "version": "1"}
    assert client.post("/console/messages/winback/restore", data=given).status_code == 303
    newest = app.template_versions(shop.ws, "winback")[0]
    assert newest.version == 3
    assert b"the kettle is on" in newest.data


def test_a_test_message_goes_to_whoever_asks_alone_marked_invented_and_recorded(door, shop):
    client = door()
    given = form(client, do="test", level="5")
    assert client.post("/console/messages/winback", data=given).status_code == 303
    (mail,) = shop.mails()
    assert list(mail.rcpt_to) == [marula.MARKETER.id]
    read = message_from_bytes(mail.path.read_bytes(), policy=policy.default)
    assert read["subject"] == "[test] Hello Noor, the kettle is on"
    assert read["List-Unsubscribe"] is None
    said = shop.house_chain()[-1].payload
    assert (said.type, said.act, said.campaign) == ("campaign.acted", "tested", "template:winback")


def test_at_level_0_no_test_message_exists(door, shop):
    client = door()
    answer = client.post("/console/messages/winback", data=form(client, do="test", level="0"))
    assert answer.status_code == 400
    assert shop.mails() == []


def test_a_role_that_may_not_send_gets_no_test_message_and_the_attempt_is_recorded(shop):
    look = app.Look(app.read_message(shop.ws, "winback").source, "winback",
                    Actor(Role.SUPPORT, "fatima@marula.example"))  # fmt: skip
    assert app.send_test(shop.ws, look, 3, shop.folder / "inbox") is not None
    assert isinstance(shop.house_chain()[-1].payload, events.HouseRefused)
    assert shop.mails() == []


# Real people, masked


@pytest.fixture
def planted(shop):
    """People whose every value is one of a kind; each agreed to a different level."""
    levels = {
        1: "", 2: "identity.name;interests.declared",
        3: "identity.name;interests.declared;purchases.13w",
    }  # fmt: skip
    out = {}
    for level, categories in levels.items():
        who = f"planted-{level}"
        acts = [{}]
        if categories:
            acts.append({"purpose": "personalise", "channels": "", "notice": "personalise@2",
                         "categories": categories, "level": str(level)})  # fmt: skip
        out[level] = shop.newcomer(who, *acts, **PLANTED, phone="+27825550199")
    return out


def look_at(shop, monkeypatch, people):
    """Look at exactly these people."""
    monkeypatch.setattr("troth.app.previews._chosen", lambda *_: list(people))
    source = app.read_message(shop.ws, "winback").source
    return app.masked(shop.ws, app.Look(source, "winback", marula.MARKETER), shop.shelf())


def test_no_name_no_address_and_no_unagreed_value_is_anywhere_in_a_masked_preview(
    shop, planted, monkeypatch
):
    for level, person in planted.items():
        found = look_at(shop, monkeypatch, [person])
        (face,) = found.faces
        everything = f"{face.subject} {face.html} {face.text}"
        for value in ("Xanthippe", "Plantedname", "post.example/", f"planted-{level}", "5550199"):
            assert value not in everything
        assert ("qwertying" in everything) == (level >= 2)
        assert person.hex() not in everything
        assert face.subject == "Hello there, the kettle is on"


def test_each_look_stands_in_that_persons_own_record_before_it_is_shown(
    shop, planted, monkeypatch
):
    seen = []
    real = app.previews._face

    def face(desk, permit, *rest):
        seen.append(shop.chain(permit.person)[-1].payload)
        return real(desk, permit, *rest)

    monkeypatch.setattr("troth.app.previews._face", face)
    look_at(shop, monkeypatch, planted.values())
    assert len(seen) == 3
    for said in seen:
        assert isinstance(said, events.DataRead)
        assert said.reason == "campaign:winback"
        assert "identity.name" not in said.fields


def test_whom_the_gate_refuses_is_not_shown_and_the_refusal_stands_in_their_record(
    shop, planted, monkeypatch
):
    person = planted[2]
    shop.say(person, "objected", "personalise", ())
    shop.say(person, "objected", "marketing", ("*",))
    found = look_at(shop, monkeypatch, [person])
    assert found.faces == ()
    assert found.reasons
    assert isinstance(shop.chain(person)[-1].payload, events.UseRefused)


def test_a_role_without_the_entitlement_sees_nobody_and_is_told_why(shop, planted):
    source = app.read_message(shop.ws, "winback").source
    before = {person: len(shop.chain(person)) for person in planted.values()}
    for role, who in ((Role.SUPPORT, "fatima@marula.example"), (Role.IT, "gareth@marula.example")):
        found = app.masked(shop.ws, app.Look(source, "winback", Actor(role, who)), shop.shelf())
        assert found.faces == ()
        assert found.reasons
        assert isinstance(shop.house_chain()[-1].payload, events.HouseRefused)
    assert {person: len(shop.chain(person)) for person in planted.values()} == before


def test_looks_are_few_a_day_and_the_next_is_refused_and_recorded(shop, monkeypatch):
    monkeypatch.setattr("troth.app.previews._chosen", lambda *_: [])
    most = samples()["limits"]["looks_a_day"]
    for n in range(most):
        assert look_at(shop, monkeypatch, []).left == most - 1 - n
    found = look_at(shop, monkeypatch, [])
    assert [str(r.code) for r in found.reasons] == ["quota"]
    assert isinstance(shop.house_chain()[-1].payload, events.HouseRefused)
    assert app.looks_left(shop.ws, marula.OFFICER) == most


def test_the_page_of_real_people_shows_at_most_three_and_says_they_can_see_it(door, shop):
    client = door()
    for n in range(6):
        shop.newcomer(f"more-{n}", {}, **PLANTED)
    text = client.post("/console/messages/winback/people", data=form(client)).text
    shown = frames(client, text)
    assert 1 <= len(shown) <= 3
    assert "own record" in text
    for part in (text, *shown):
        assert "Xanthippe" not in part
        assert "@post.example" not in part.replace("you@post.example", "")


def test_people_are_looked_for_only_after_the_house_chain_says_so(shop):
    source = app.read_message(shop.ws, "winback").source
    app.masked(shop.ws, app.Look(source, "winback", marula.MARKETER), shop.shelf())
    said = [e.payload for e in shop.house_chain() if isinstance(e.payload, events.SetProcessed)]
    assert said[-1].work == "preview"
    assert said[-1].campaign == "template:winback"


# Starters


@pytest.mark.parametrize("starter", [s.name for s in app.starters()])
@pytest.mark.parametrize("colours", ["own", "plain"])
def test_every_starter_is_one_to_be_proud_of_as_it_comes(shop, starter, colours):
    given = dict(app.drafts(shop.folder))
    if colours == "plain":
        given["house"] = re.sub(
            rb"\[brands.marula.colours\].*?\n\n", b"\n", given["house"], flags=re.S
        )
    source = app.begin(given, "trial", starter)
    assert [f.code for f in app.check_template(given, source) if f.code != "to_write"] == []
    assert ("#fffdf8" in source) == (colours == "own")
    house = app.house_of(given)
    for face in app.faces(house, source, range(1, 6)):
        assert len(face.html.encode()) < 20_000
        assert "$" not in face.html + face.text + face.subject
        assert not re.search(
            r"<img|<link|<script|url\(|@import|http://",
            face.html.replace("http://www.w3.org", "").replace("http://schemas", ""),
        )
        assert len(re.findall(r"<h1\b", face.html)) == 1
        assert re.search(r'<html[^>]*\blang="en"', face.html)
        for said in (face.html, face.text):
            assert "Marula (Pty) Ltd, 12 Quiet Street" in said
            assert "Why you get this" in said
            assert "What we used to write it" in said


def test_the_foot_of_every_marketing_starter_tells_the_truth_at_every_level(shop):
    given = app.drafts(shop.folder)
    house = app.house_of(given)
    told = {
        "identity.name": "your first name", "interests.declared": "the interests you told us",
        "purchases.13w": "what you bought in the last 13 weeks",
        "purchases.52w": "what you bought in the last year",
        "cohort.compare": "what people with baskets like yours buy",
    }  # fmt: skip
    for starter in ("welcome", "newsletter", "winback"):
        for face in app.faces(house, app.begin(given, "trial", starter), range(1, 6)):
            foot = " ".join(face.text.split("Why you get this.")[1].split())
            for category, words in told.items():
                assert (words in foot) == (category in face.used), (starter, face.level, category)
            assert ("Nothing about you but your address" in foot) == (not face.used)
            assert re.search(r"Stop these messages with one click: https://", foot)
            assert "You said yes to “" in foot


def test_a_starter_invents_nothing_a_workspace_does_not_say(shop):
    given = dict(app.drafts(shop.folder))
    given["house"] = given["house"].replace(b'privacy_contact = "privacy@marula.example"\n', b"")
    with pytest.raises(InvalidInput, match="privacy_contact"):
        app.begin(given, "trial", "welcome")


@pytest.mark.parametrize("key", [k for k in PALETTE if k.endswith(("ink", "soft"))])
def test_colours_nobody_can_read_are_refused_before_a_message_begins(shop, key):
    given = dict(app.drafts(shop.folder))
    ground = "dark_sheet" if key.startswith("dark") else "sheet"
    unreadable = f'{key} = "{PALETTE[ground]}"'.encode()
    given["house"] = re.sub(rb"(?m)^" + key.encode() + rb' = "[^"]*"', unreadable, given["house"])
    with pytest.raises(InvalidInput, match="cannot be read"):
        app.begin(given, "trial", "welcome")


@pytest.mark.parametrize("starter", ["welcome", "winback"])
def test_a_marketing_starter_once_written_carries_all_the_rules_ask_for(shop, starter):
    source = app.begin(app.drafts(shop.folder), "trial", starter)
    source = re.sub(r"\[[A-Z][^\]]+\]", "Plums.", source)
    published = app.publish_template(shop.ws, "trial", source, marula.MARKETER, 0)
    person = shop.newcomer("agreed", {})
    campaign = marula.outreach.Campaign("trial", "offers", "00" * 32, published, shop.ws.sender())
    assert shop.send([person], campaign).handed == 1
    raw = shop.mails()[-1].path.read_bytes()
    text = message_from_bytes(raw, policy=policy.default).get_body(("plain",)).get_content()
    assert "You said yes to “Offers for your household” on " in " ".join(text.split())


def test_a_message_opens_no_more_than_its_template_can_show(shop):
    source = re.sub(
        r"\[[A-Z][^\]]+\]", "Plums.", app.begin(app.drafts(shop.folder), "trial", "welcome")
    )
    published = app.publish_template(shop.ws, "trial", source, marula.MARKETER, 0)
    person = shop.newcomer("wide", {}, {"purpose": "personalise", "channels": "", "level": "4",
        "notice": "personalise@2",
        "categories": "identity.name;interests.declared;purchases.13w;purchases.52w"}, **PLANTED)  # fmt: skip
    campaign = marula.outreach.Campaign("trial", "offers", "00" * 32, published, shop.ws.sender())
    assert shop.book([person], campaign).booked == 1
    booked = shop.chain(person)[-1].payload
    assert booked.categories == ("identity.name", "interests.declared")
    assert booked.level == 4


def test_somebody_whose_message_cannot_be_written_is_told_so_in_their_own_record(shop):
    name = "first_name"
    source = app.read_message(shop.ws, "winback").source
    start = source.index(f"[slots.{name}]")
    source = source[:start] + source[start:].replace("max_chars = 40", "max_chars = 3", 1)
    source = source.replace('fallback = "there"', 'fallback = "you"')
    published = app.publish_template(shop.ws, "short", source, marula.MARKETER, 0)
    person = shop.newcomer("long", {}, {"purpose": "personalise", "channels": "", "level": "2",
        "notice": "personalise@2", "categories": "identity.name;interests.declared"}, **PLANTED)  # fmt: skip
    campaign = marula.outreach.Campaign("short", "offers", "00" * 32, published, shop.ws.sender())
    done = shop.book([person], campaign)
    assert (done.booked, dict(done.refused)) == (0, {"not_renderable": 1})
    said = shop.chain(person)[-1].payload
    assert isinstance(said, events.UseRefused)
    assert said.reasons == ({"code": "not_renderable", "rule": "house.template"},)
