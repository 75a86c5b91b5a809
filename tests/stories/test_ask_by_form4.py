"""Form 4, end to end: a stranger is asked once, answers on the page the mail links to, or is silent."""

import re
from email import message_from_bytes, policy

import marula
import pytest
from starlette.testclient import TestClient

from troth.capabilities import outreach, rights
from troth.errors import InvalidInput
from troth.kernel import events
from troth.surfaces.web.server import build_app


@pytest.fixture
def browser(house):
    with TestClient(build_app(house.ws, None, None), base_url="http://127.0.0.1:8400") as client:
        yield client


def asking(house, name="ask-1"):
    with house.ws.store.look() as view:
        template = view.published("template:ask")
    return outreach.Campaign(name, "ask", "00" * 32, template, house.ws.sender())


def mail_of(house, place=-1):
    raw = house.mails()[place].path.read_bytes()
    return message_from_bytes(raw, policy=policy.default)


def texts(mail):
    return [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]


def link(house, place=-1):
    return re.search(
        r"https://my\.marula\.example(/ask/[0-9A-Za-z]+)", texts(mail_of(house, place))[0]
    )[1]


def seen(browser, path):
    return re.search(r'name="seen" value="([0-9a-f]+)"', browser.get(path).text)[1]


def asked(house, **facts):
    person = house.newcomer("stranger", **facts)
    assert house.send([person], asking(house)).handed == 1
    return person


def consents(house, person):
    return [e.payload for e in house.chain(person) if isinstance(e.payload, events.ConsentAct)]


def test_the_request_is_form_4_with_every_part_of_it_and_says_nothing_else(house):
    asked(house)
    mail = mail_of(house)
    for said in texts(mail):
        plain = " ".join(re.sub(r"<[^>]+>", "", said).split())
        for part in (
            "Marula (Pty) Ltd", "12 Quiet Street, Cape Town 8001", "privacy@marula.example",
            "Nokuthula Makeleni", "stranger@post.example", "household goods", "tick",
            "signature", "Information Regulator", "We may ask you once",
        ):  # fmt: skip
            assert part in plain
        assert "Advertising" not in plain
        assert "Planted" not in plain
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_somebody_asked_who_says_yes_may_be_mailed_by_what_they_ticked(house, browser):
    person = asked(house)
    assert house.codes(person) == ["not_customer"] or house.codes(person)
    path = link(house)
    answer = browser.post(
        path, data={"answer": "yes", "by_email": "yes", "seen": seen(browser, path)}
    )
    assert "You said yes" in answer.text
    (said,) = consents(house, person)
    assert (said.status, said.purpose, said.channels) == ("given", "offers", ("email",))
    assert (said.notice, said.method) == ("offers@3", "form4")
    assert said.proof.startswith("form4:")
    assert house.codes(person) == []
    assert house.send([person], house.campaign("winback")).handed == 1


def test_the_receipt_shown_after_the_answer_is_one_anybody_can_check(house, browser):
    person = asked(house)
    path = link(house)
    answer = browser.post(
        path, data={"answer": "yes", "by_email": "yes", "seen": seen(browser, path)}
    )
    shown = re.search(r"<pre[^>]*>(.*?)</pre>", answer.text, re.DOTALL)[1]
    note = house.ws.sign()
    assert any(r.text.split() == shown.split() for r in rights.receipts(house.desk, person, note))


def test_who_says_no_is_refused_everywhere_and_never_asked_again(house, browser):
    person = asked(house)
    path = link(house)
    browser.post(path, data={"answer": "no", "seen": seen(browser, path)})
    (said,) = consents(house, person)
    assert (said.status, said.purpose) == ("refused", "offers")
    assert "refused" in house.codes(person)
    assert house.book([person], asking(house, "ask-2")).booked == 0


def test_silence_is_no_and_is_never_followed_by_another_question(house):
    person = asked(house)
    assert house.codes(person)
    assert "asked_once_already" in house.codes(person, asking(house, "ask-2"))
    assert house.send([person], asking(house, "ask-2")).handed == 0
    assert len(house.mails()) == 1


@pytest.mark.parametrize("method", ["get", "head"])
def test_opening_the_link_changes_nothing_whoever_opens_it(house, browser, method):
    person = asked(house)
    before = len(house.chain(person)), len(house.house_chain())
    for _ in range(3):
        assert getattr(browser, method)(link(house)).status_code == 200
    assert (len(house.chain(person)), len(house.house_chain())) == before


def test_no_box_is_ticked_and_both_answers_weigh_the_same(house, browser):
    asked(house, phone="+27 82 555 0100")
    text = browser.get(link(house)).text
    assert "checked" not in text
    yes, no = re.findall(r"<button ([^>]*name=\"answer\"[^>]*)>", text)
    assert yes.replace('"yes"', "") == no.replace('"no"', "")
    assert "By e-mail" in text
    assert "By text message" in text


def test_a_yes_that_ticks_nothing_or_a_form_of_another_state_is_not_taken(house, browser):
    person = asked(house)
    path = link(house)
    state = seen(browser, path)
    assert browser.post(path, data={"answer": "yes", "seen": state}).status_code == 400
    assert browser.post(path, data={"answer": "maybe", "seen": state}).status_code == 400
    assert browser.post(path, data={"answer": "yes", "by_email": "yes"}).status_code == 409
    assert consents(house, person) == []


def test_a_yes_sent_again_after_a_no_does_not_bring_the_yes_back(house, browser):
    person = asked(house)
    path = link(house)
    old = {"answer": "yes", "by_email": "yes", "seen": seen(browser, path)}
    assert browser.post(path, data=old).status_code == 200
    browser.post(path, data={"answer": "no", "seen": seen(browser, path)})
    assert browser.post(path, data=old).status_code == 409
    assert [said.status for said in consents(house, person)] == ["given", "withdrawn"]
    assert house.codes(person)


def test_the_stop_link_of_the_request_takes_back_a_yes_given_by_it(house, browser):
    person = asked(house)
    path = link(house)
    browser.post(path, data={"answer": "yes", "by_email": "yes", "seen": seen(browser, path)})
    assert house.codes(person) == []
    browser.post(path.replace("/ask/", "/stop/"), data={"List-Unsubscribe": "One-Click"})
    assert house.codes(person)


def test_the_link_of_another_message_asks_nothing(house, browser):
    person = house.newcomer("known", {})
    assert house.send([person], house.campaign("winback")).handed == 1
    token = house.stop_token()
    assert browser.get(f"/ask/{token}").status_code == 404
    assert browser.post(f"/ask/{token}", data={"answer": "yes", "seen": ""}).status_code == 404


def test_the_link_of_somebody_erased_is_not_known_any_more(house, browser):
    person = asked(house)
    path = link(house)
    house.ws.erase(person, "rq-1")
    assert browser.get(path).status_code == 404


@pytest.mark.parametrize(
    "lost",
    ["Nokuthula Makeleni", "household", "No law and no contract",
     "You, at {{your_address}}.", "Information Regulator (South Africa)"],
)  # fmt: skip
def test_a_request_that_loses_a_part_of_its_form_leaves_to_nobody(house, lost):
    with house.ws.store.look() as view:
        template = view.published("template:ask")
    whole = template.data.decode()
    body, carries = whole[: whole.index("[carries]")], whole[whole.index("[carries]") :]
    text = body.replace(lost, "something else") + carries
    if "{{" in lost:
        start = text.index("[slots.your_address]")
        text = text[:start] + text[text.index("[slots.ask_link]") :]
    cut = marula.outreach.Campaign(
        "ask-x", "ask", "00" * 32,
        type(template)(template.name, 9, template.at, template.digest, text.encode()),
        house.ws.sender(),
    )  # fmt: skip
    person = house.newcomer("stranger")
    with pytest.raises(InvalidInput, match="does not carry"):
        house.book([person], cut)
    assert house.mails() == []
