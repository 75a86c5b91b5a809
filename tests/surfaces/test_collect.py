"""The form on other pages: nothing ticked, nothing told, nothing counted until the address says so."""

import re
import shutil
from datetime import timedelta

import marula
import portal_door
import pytest
from starlette.testclient import TestClient

from troth import app as house_app
from troth.app import collecting, records
from troth.capabilities import people as people_of
from troth.capabilities import preferences, rights
from troth.engines import dpv
from troth.kernel import gate
from troth.kernel.desk import SYSTEM
from troth.surfaces.web.server import build_app
from troth.terms import Block, Channel, instant

FORM = "/embed/form/offers"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collect") / "house"
    marula.make(folder)
    return folder


@pytest.fixture
def house(made, tmp_path):
    folder = tmp_path / "house"
    shutil.copytree(made, folder)
    opened = marula.House(folder)
    yield opened
    opened.ws.close()


@pytest.fixture
def app(house):
    made = build_app(house.ws, None, None)
    made.state.hub.kept.pop("doorman", None)  # letters leave when a test says so
    return made


def browser(app):
    return TestClient(app, base_url=portal_door.BASE, follow_redirects=False)


def fields(client, path=FORM):
    page = client.get(path).text
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))


def send(client, address="new@post.example", answer="yes", **more):
    told = {**fields(client), "answer": answer, "by_email": "yes", "to_email": address, **more}
    return client.post(FORM, data=told), told


def people(house, address):
    with house.ws.store.look() as view:
        point = house.desk.contact(Channel.EMAIL, address, 1)
        return view.find(Channel.EMAIL, point.bi)


def link(house):
    """Hand letters over and return the newest link that asks."""
    with house.inbox() as port:
        house_app.deliver_letters(house.ws, ("127.0.0.1", port))
        found = sorted((house.folder / "inbox").glob("*.eml"))
    from email import message_from_bytes
    from email.policy import default

    mail = message_from_bytes(found[-1].read_bytes(), policy=default)
    text = mail.get_body(("plain",)).get_content()
    return re.search(r"/my/confirm/[0-9a-f]{40}", text)[0]


def test_the_form_shows_the_notice_ticks_nothing_and_weighs_yes_and_no_alike(app):
    page = browser(app).get(FORM)
    assert "Yes or no, both are fine." in page.text
    assert 'type="checkbox"' in page.text
    assert "checked" not in page.text
    assert re.findall(r'<button class="([^"]*)" name="answer"', page.text) == ["button", "button"]
    assert "<script" not in page.text


def test_the_form_and_the_widget_may_be_framed_by_the_shops_own_pages_alone(house, app):
    for path in (FORM, "/embed/preferences"):
        policy = browser(app).get(path).headers["content-security-policy"]
        assert policy.endswith(
            "frame-ancestors 'self' https://marula.example https://www.marula.example"
        )
        assert "script-src" not in policy
    assert (
        "frame-ancestors 'none'" in browser(app).get("/notices").headers["content-security-policy"]
    )
    toml = house.folder / "troth.toml"
    toml.write_text(re.sub(r"(?m)^origins = .*$", "origins = []", toml.read_text()))
    house.at(marula.NOW)
    closed = browser(build_app(house.ws, None, None)).get(FORM).headers
    assert closed["content-security-policy"].endswith("frame-ancestors 'none'")
    assert closed["x-frame-options"] == "DENY"


def test_a_new_address_is_asked_back_and_its_yes_counts_only_then(house, app):
    client = browser(app)
    answer, _ = send(client)
    assert "Look into your mailbox" in answer.text
    [person] = people(house, "new@post.example")
    assert house.codes(person) == ["no_consent"]
    types = [e.type for e in house.chain(person)]
    assert "notice.served" in types
    assert "consent.requested" in types
    assert "consent.given" not in types
    path = link(house)
    before = len(house.chain(person))
    assert client.get(path).status_code == 200
    assert len(house.chain(person)) == before  # looking changes nothing
    assert "Your yes counts" in client.post(path, data={"answer": "yes"}).text
    assert isinstance(house.decide(person), gate.Permit)
    kept, raw = records.mine(house.ws, person)[0][1:]
    assert dpv.read(raw).status == "dpv:ConsentGiven"
    assert kept.act.confirmed_at
    assert kept.act.notice == "offers@3"
    assert client.post(path, data={"answer": "yes"}).status_code == 404  # once


def test_a_purpose_that_wants_a_confirmed_address_is_satisfied_by_the_letter(house, app):
    toml = house.folder / "purposes/offers.toml"
    toml.write_text(toml.read_text().replace("double_opt_in = false", "double_opt_in = true"))
    house.ws.apply()
    client = browser(app)
    send(client)
    [person] = people(house, "new@post.example")
    client.post(link(house), data={"answer": "yes"})
    assert isinstance(house.decide(person), gate.Permit)


def test_a_known_and_an_unknown_address_get_the_same_answer(house, app):
    house.newcomer("known")
    client = browser(app)
    known, _ = send(client, "known@post.example")
    fresh, _ = send(client, "fresh@post.example")
    main = [a.text.split("<main")[1] for a in (known, fresh)]
    assert main[0] == main[1]
    assert (known.status_code, known.headers.get("set-cookie")) == (
        fresh.status_code,
        fresh.headers.get("set-cookie"),
    )


def test_a_known_address_makes_nobody_new_and_a_shared_one_is_nobodys(house, app):
    known = house.newcomer("known")
    client = browser(app)
    send(client, "known@post.example")
    assert people(house, "known@post.example") == [known]
    house.newcomer("one", email="shared@post.example")
    house.newcomer("two", email="shared@post.example")
    send(client, "shared@post.example")
    assert len(people(house, "shared@post.example")) == 3


def test_a_no_in_the_letter_leaves_nothing_of_somebody_new(house, app):
    client = browser(app)
    send(client)
    path = link(house)
    assert "Nothing comes of that form" in client.post(path, data={"answer": "no"}).text
    assert people(house, "new@post.example") == []


def test_a_no_in_the_letter_leaves_an_older_yes_as_it_was(house, app):
    person = house.newcomer("known")
    house.say(person, "given", notice="offers@3", method="button", proof="form:1")
    client = browser(app)
    send(client, "known@post.example")
    client.post(link(house), data={"answer": "no"})
    assert isinstance(house.decide(person), gate.Permit)


def test_who_never_answers_is_erased_when_the_link_is_over(house, app):
    client = browser(app)
    send(client)
    path = link(house)
    house.at(marula.NOW + timedelta(days=8))
    assert browser(build_app(house.ws, None, None)).get(path).status_code == 404
    collecting.collect_round(house.ws)
    assert people(house, "new@post.example") == []


def test_who_answered_is_not_erased(house, app):
    client = browser(app)
    send(client)
    client.post(link(house), data={"answer": "yes"})
    house.at(marula.NOW + timedelta(days=8))
    collecting.collect_round(house.ws)
    assert len(people(house, "new@post.example")) == 1


def test_who_answered_any_of_several_letters_is_not_erased(house, app):
    client = browser(app)
    send(client)
    link(house)
    send(client)
    assert "Your yes counts" in client.post(link(house), data={"answer": "yes"}).text
    house.at(marula.NOW + timedelta(days=8))
    collecting.collect_round(house.ws)
    [person] = people(house, "new@post.example")
    assert isinstance(house.decide(person), gate.Permit)


def test_who_became_a_customer_meanwhile_is_not_erased(house, app):
    client = browser(app)
    send(client)
    [person] = people(house, "new@post.example")
    bought = people_of.Dealing("sale", instant(marula.NOW), "marula")
    people_of.relate(house.desk, person, bought, "till", SYSTEM)
    house.at(marula.NOW + timedelta(days=8))
    collecting.collect_round(house.ws)
    assert people(house, "new@post.example") == [person]


def test_an_answer_cut_off_before_it_was_recorded_can_be_given_again(house, app, monkeypatch):
    client = browser(app)
    send(client)
    path = link(house)
    [person] = people(house, "new@post.example")
    with monkeypatch.context() as cut:
        cut.setattr(collecting.preferences, "record_choice", _cut_off)
        assert client.post(path, data={"answer": "yes"}).status_code == 500
    assert "Your yes counts" in client.post(path, data={"answer": "yes"}).text
    assert isinstance(house.decide(person), gate.Permit)


def _cut_off(*_args, **_named):
    raise RuntimeError("cut off")


def test_the_same_form_again_gets_its_first_answer_and_makes_one_letter(house, app):
    client = browser(app)
    first, told = send(client)
    again = client.post(FORM, data=told)
    assert again.text.split("<main")[1] == first.text.split("<main")[1]
    [person] = people(house, "new@post.example")
    assert [e.type for e in house.chain(person)].count("consent.requested") == 1


@pytest.mark.parametrize(("change", "code"), [
    ({"to_email": "other@post.example"}, 409),
    ({"key": "another-key-of-mine"}, 409),
    ({"notice": "newsletter@1", "key": "k" * 16}, 400),
    ({"token": "0" * 32 + ".1.ff", "key": "k" * 16}, 400),
    ({"session": "f" * 32, "key": "k" * 16}, 400),
    ({"notice": "offers@2", "key": "k" * 16}, 400),
])  # fmt: skip
def test_an_altered_replay_or_a_forged_right_is_refused_and_makes_nobody(house, app, change, code):
    client = browser(app)
    _, told = send(client)
    answer = client.post(FORM, data={**told, **change})
    assert answer.status_code == code
    assert people(house, "other@post.example") == []
    [person] = people(house, "new@post.example")
    assert [e.type for e in house.chain(person)].count("consent.requested") == 1


def test_a_form_of_another_place_or_open_too_long_is_refused(house, app):
    client = browser(app)
    told = {**fields(client), "answer": "yes", "by_email": "yes", "to_email": "x@post.example"}
    elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert client.post(FORM, data=told, headers=elsewhere).status_code == 403
    house.at(marula.NOW + timedelta(hours=1))
    late = browser(build_app(house.ws, None, None)).post(FORM, data=told)
    assert late.status_code == 400
    assert "open too long" in late.text
    assert people(house, "x@post.example") == []


@pytest.mark.parametrize(("told", "said"), [
    ({"answer": ""}, "Choose yes or no"),
    ({"answer": "yes", "by_email": ""}, "Tick at least one way"),
    ({"answer": "yes", "to_email": "no address"}, "Type an address"),
])  # fmt: skip
def test_a_form_that_says_too_little_is_answered_in_words(house, app, told, said):
    answer, _ = send(browser(app), **told)
    assert answer.status_code == 400
    assert said in answer.text
    assert people(house, "new@post.example") == []


def test_a_no_keeps_no_address(house, app):
    answer, _ = send(browser(app), answer="no")
    assert "No address was kept" in answer.text
    collecting.collect_round(house.ws)
    assert people(house, "new@post.example") == []


def test_one_address_is_asked_a_few_times_a_day_whoever_types_it(house, app):
    for _ in range(5):
        send(browser(app))
    [person] = people(house, "new@post.example")
    assert [e.type for e in house.chain(person)].count("consent.requested") == 3


def test_what_counted_an_address_is_gone_a_day_later(house, app):
    send(browser(app))

    def counted():
        with house.ws.store.look() as view:
            return len(view.rows("preferences.form.rate", b"", b"", 10))

    assert counted() == 1
    house.at(marula.NOW + timedelta(hours=25))
    collecting.collect_round(house.ws)
    assert counted() == 0


def test_what_waits_is_sealed_and_names_no_address(house, app):
    from troth.capabilities.preferences import collecting as taken

    wanted = taken.Wanted("email", "hidden@post.example", "offers", "offers@3", "en", "form:1")
    taken.submit(house.desk, [wanted], 3)
    with house.ws.store.look() as view:
        rows = [
            key + held
            for table in (taken.QUEUE, taken.RATES)
            for key, held in view.rows(table, b"", b"", 10)
        ]
    assert len(rows) == 2
    assert not any(b"hidden" in row or b"offers" in row for row in rows)
    assert [each.wanted for each in taken.take(house.desk, 10)] == [wanted]
    assert taken.take(house.desk, 10) == []  # leased: another worker leaves it alone


def test_one_network_sends_only_so_many_forms_a_minute(app):
    client = browser(app)
    codes = [client.post(FORM, data={"answer": "x"}).status_code for _ in range(45)]
    assert 429 in codes


def test_there_is_no_form_for_what_sends_no_messages(app):
    for name in ("personalise", "service", "planted", "operations"):
        assert browser(app).get(f"/embed/form/{name}").status_code == 404, name


def test_the_widget_shows_what_stands_to_whoever_is_in_and_guesses_nobody(house, app):
    stranger = browser(app).get("/embed/preferences").text
    assert "We do not know who you are here" in stranger
    person = house.newcomer("known")
    house.say(person, "given", notice="offers@3", method="button", proof="form:1")
    known = portal_door.enter(app, person).get("/embed/preferences").text
    assert "You said yes to:" in known
    assert "Change or stop them" in known


def test_a_notice_in_another_language_is_bound_to_it(house, app):
    (house.folder / "notices/offers.af.md").write_text("# Mag ons?\n\n**Wie ons is.** Geplant.\n")
    house.ws.apply()
    client = browser(app)
    told = {**fields(client, f"{FORM}?lang=af"), "answer": "yes", "by_email": "yes",
            "to_email": "af@post.example"}  # fmt: skip
    assert told["lang"] == "af"
    client.post(FORM, data=told)
    [person] = people(house, "af@post.example")
    served = [e.payload for e in house.chain(person) if e.type == "notice.served"]
    assert [(s.notice, s.language) for s in served] == [("offers@3", "af")]


def _objected(house, person):
    house.say(person, "objected", channels=("*",), method="button")


def _blocked(reason, scope="all", value=""):
    def suppress(house, _person):
        block = Block(reason, scope, value)
        preferences.suppress(house.desk, Channel.EMAIL, "known@post.example", block, "story")

    return suppress


def _restricted(house, person):
    rights.restrict(house.desk, person, "a claim is examined", marula.OFFICER)


@pytest.mark.parametrize(("stands", "code"), [
    (_objected, "objected"),
    (_blocked("unsubscribe"), "suppressed_unsubscribe"),
    (_blocked("unsubscribe", "purpose", "offers"), "suppressed_unsubscribe"),
    (_blocked("complaint"), "suppressed_complaint"),
    (_blocked("registry_block"), "registry_block"),
    (_restricted, "restricted"),
])  # fmt: skip
def test_where_a_no_stands_no_letter_asks_and_the_page_says_the_same(house, app, stands, code):
    known = house.newcomer("known")
    stands(house, known)
    client = browser(app)
    before, fresh = house.codes(known), send(client, "fresh@post.example")[0]
    house.folder.joinpath("inbox").mkdir(exist_ok=True)
    link(house)
    asked, _ = send(client, "known@post.example")
    assert asked.text.split("<main")[1] == fresh.text.split("<main")[1]
    with house.inbox() as port:
        house_app.deliver_letters(house.ws, ("127.0.0.1", port))
    assert not [m for m in house.mails() if "known@post.example" in m.rcpt_to]
    told = house.chain(known)[-1]
    assert told.type == "use.refused"
    assert code in {r["code"] for r in told.payload.reasons}
    assert house.codes(known) == before


def test_a_no_to_something_else_keeps_nobody_from_being_asked(house, app):
    known = house.newcomer("known")
    _blocked("unsubscribe", "purpose", "newsletter")(house, known)
    send(browser(app), "known@post.example")
    assert "/my/confirm/" in link(house)


def test_an_address_on_the_list_that_is_nobodys_is_not_asked_and_nobody_stays(house, app):
    _blocked("unsubscribe")(house, None)
    send(browser(app), "known@post.example")
    with house.inbox() as port:
        house_app.deliver_letters(house.ws, ("127.0.0.1", port))
    assert house.mails() == []
    assert people(house, "known@post.example") == []
