"""Law 5: what leaves the house stays ours to answer for.

What leaves now is mail. The stories plant values nobody agreed to and look for them everywhere.
Later work adds partners, agencies and exports, each with the same search.
"""

import dataclasses
import logging
import re
from email import message_from_bytes, policy

import pytest
from marula import ITEMS, NOW, OFFICER, House, days_ago

from troth import app
from troth.capabilities import outreach, preferences
from troth.engines import mail
from troth.engines.ranking import Alike
from troth.errors import Fault, InvalidInput
from troth.kernel import gate
from troth.terms import Actor, Block, Channel, Role, instant

ADDRESS = "probe@post.example"
PLANTED = {"given_name": "Qwortz", "family_name": "Vlimberg", "interests": "zitherwax;moonwhey"}
SECRET_ITEM, PLAIN_ITEM = "9001", "9002"
NAMES = {**ITEMS, SECRET_ITEM: "Grobliquor", PLAIN_ITEM: "Snorkeloaf"}
WORDS = ["Qwortz", "Vlimberg", "zitherwax", "moonwhey", "Grobliquor", "Snorkeloaf"]
LEVELS = {
    1: [],
    2: ["identity.name", "interests.declared"],
    3: ["identity.name", "interests.declared", "purchases.13w"],
    4: ["identity.name", "interests.declared", "purchases.13w", "purchases.52w"],
}
MAY_SHOW = {1: set(), 2: {"Qwortz", "zitherwax", "moonwhey"}}
MAY_SHOW |= {level: MAY_SHOW[2] | {"Snorkeloaf"} for level in (3, 4)}


@pytest.fixture
def shop(house, monkeypatch):
    """The house with one person full of planted values, bought things among them."""
    monkeypatch.setattr(
        House, "shelf", lambda _self: outreach.Shelf(NAMES, Alike(1, {PLAIN_ITEM: [SECRET_ITEM]}))
    )
    house.newcomer("probe", {}, **PLANTED)
    lines = [
        {"external_id": "probe", "at": days_ago(days), "kind": "purchase", "item": item,
         "group": "x", "amount_minor": "100", "currency": "ZAR", "units": "9", "store": "1"}
        for days, item in ((5, SECRET_ITEM), (6, SECRET_ITEM), (7, PLAIN_ITEM), (99, SECRET_ITEM))
    ]  # fmt: skip
    house.take("events", *lines, sensitive=frozenset({SECRET_ITEM}))
    return house


def choose(house, person, level):
    status = "given" if level > 1 else "refused"
    told = {"notice": "personalise@2", "method": "button", "proof": "form:5", "level": level}
    house.say(person, status, "personalise", (), categories=tuple(LEVELS[level]), **told)


def text_of(mailed):
    """Return a mail's raw bytes and everything decoded out of it, as one string."""
    raw = mailed.path.read_bytes()
    message = message_from_bytes(raw, policy=policy.default)
    parts = [part.get_content() for part in message.walk() if not part.is_multipart()]
    heads = [f"{name}: {value}" for name, value in message.items()]
    return "\n".join([raw.decode(), *heads, *parts])


def shown(text):
    return {word for word in WORDS if re.search(word, text, re.IGNORECASE)}


@pytest.mark.parametrize("level", [None, 1, 2, 3, 4])
def test_a_mail_shows_what_its_level_opens_and_not_a_word_more(shop, level):
    person = shop.person("probe")
    if level is not None:
        choose(shop, person, level)
    shop.send([person])
    (received,) = shop.mails()
    assert shown(text_of(received)) == MAY_SHOW[level or 1]


def test_sensitive_goods_are_in_no_level_and_behind_no_door(shop):
    person = shop.person("probe")
    told = {"notice": "personalise@2", "method": "button", "proof": "form:5", "level": 5}
    every = ("identity.name", "interests.declared", "purchases.13w", "purchases.52w",
             "cohort.compare")  # fmt: skip
    shop.say(person, "given", "personalise", (), categories=every, **told)
    answer = shop.decide(person)
    assert not any("sensitive" in c or c.startswith("goods.") for c in answer.categories)
    with shop.ws.store.look() as view:
        rows = view.sealed([person], ["purchases.sensitive/"])[person]
        assert rows
        for category in answer.categories:
            with pytest.raises(InvalidInput):
                shop.desk.vault.open_chunks(answer, rows, category, view.now)


def test_going_down_between_booking_and_hand_over_is_obeyed_by_that_very_message(shop):
    person = shop.person("probe")
    choose(shop, person, 3)
    shop.book([person])
    choose(shop, person, 1)
    shop.hand_over()
    assert set().union(*(shown(text_of(each)) for each in shop.mails())) == set()


def test_going_up_after_booking_changes_nothing_in_the_message(shop):
    person = shop.person("probe")
    choose(shop, person, 1)
    shop.book([person])
    choose(shop, person, 3)
    assert shop.hand_over().handed == 1
    assert shown(text_of(shop.mails()[0])) == set()


def test_a_slot_of_an_unagreed_category_cannot_show_its_value(house):
    source = house.campaign().template.data.decode()
    frames = mail.Frames(mail.parse_template(source))
    values = {
        "first_name": "Qwortz", "interest_line": "zitherwax", "year_line": "Snorkeloaf",
        "alike_line": "Grobliquor", "favourites": [{"title": "Snorkeloaf", "note": "twice"}],
        "stop_link": "https://my.marula.example/stop/x",
        "settings_link": "https://my.marula.example/",
    }  # fmt: skip
    envelope = mail.Envelope(
        from_name="Marula", from_address="hello@marula.example", to_address=ADDRESS,
        message_id="<a@marula.example>", date_s=instant(NOW) // 1_000_000,
        list_id="offers.marula.example", unsubscribe_url="https://my.marula.example/stop/x",
        ref="a",
    )  # fmt: skip

    def written(*categories):
        draft = frames.of(frozenset(categories), values).fill(values, envelope)
        return shown(f"{draft.subject}{draft.body.decode()}{draft.headers!r}")

    assert written() == set()
    assert written("identity.name") == {"Qwortz"}
    assert written("purchases.52w") == {"Snorkeloaf"}


def test_the_vault_opens_for_no_other_person_purpose_or_category_than_the_permits(shop):
    person, other = shop.person("probe"), shop.person("cast-adult")
    choose(shop, person, 1)
    mine, theirs = shop.decide(person), shop.decide(other)
    with shop.ws.store.look() as view:
        rows = {r.field: r for r in view.sealed([person], ["name.given", "contact.email"])[person]}
        with pytest.raises(InvalidInput):
            shop.desk.vault.open(mine, [rows["name.given"]], view.now)
        with pytest.raises(Fault):
            shop.desk.vault.open(theirs, [rows["name.given"]], view.now)
        assert shop.desk.vault.open(mine, [rows["contact.email"]], view.now) == {
            "contact.email": ADDRESS
        }
        with pytest.raises(InvalidInput):
            shop.desk.vault.open(mine, [rows["contact.email"]], mine.until)
    with pytest.raises(TypeError):
        gate.Permit()


OUTSIDE = {"mail.log"}
"""What the receiving mailbox writes down is its owner's."""


def everything_said(shop, caplog, capsys):
    """Use every door once, wrongly too, and collect what is printed, logged, raised, returned."""
    caplog.set_level(logging.DEBUG)
    person = shop.person("probe")
    out = [shop.preview([person]), shop.book([person]), shop.hand_over()]
    out.append(shop.take("customers", {"external_id": "Qwortz", "email": "not Vlimberg @@"}))
    out.append(shop.take("consents", {"external_id": "Qwortz", "purpose": "zitherwax",
                                      "status": "Vlimberg"}))  # fmt: skip
    out.append(shop.take("suppressions", {"email": "Qwortz Vlimberg", "reason": "zitherwax"}))
    for wrong in (
        lambda: shop.say(person, "given", "zitherwax"),
        lambda: shop.say(person, "given", proof="Qwortz"),
        lambda: preferences.read_token(shop.desk, "Vlimberg" * 4),
        lambda: preferences.suppress(shop.desk, Channel.EMAIL, "Vlimberg@@", Block("x"), "y"),
        lambda: preferences.waive_registry(shop.desk, "ZA", OFFICER, "", 0, 0),
        lambda: app.import_file(shop.ws, "customers", shop.folder / "nothing.csv"),
        lambda: shop.decide(person, actor=Actor(Role.AGENCY, "Vlimberg")),
    ):
        try:
            out.append(wrong())
        except Fault as fault:
            out.append(str(fault))
    out += [dataclasses.asdict(o) if dataclasses.is_dataclass(o) else o for o in out]
    said = capsys.readouterr()
    logged = [r.getMessage() for r in caplog.records if r.name not in OUTSIDE]
    return "\n".join([repr(out), *logged, said.out, said.err])


def test_reports_errors_logs_and_output_hold_no_personal_value(shop, caplog, capsys):
    said = everything_said(shop, caplog, capsys)
    assert len(said) > 500
    assert shown(said) == set()
    assert ADDRESS not in said
    assert shop.person("probe").hex() not in said


def test_the_search_would_find_a_value_that_was_let_out(shop, caplog, capsys):
    logging.getLogger("troth").warning("somebody let out %s", "Qwortz")
    assert shown(everything_said(shop, caplog, capsys)) == {"Qwortz"}


def test_what_lies_in_the_record_is_sealed(shop):
    person = shop.person("probe")
    choose(shop, person, 3)
    shop.book([person])
    shop.ws.close()
    for path in [
        p for name in ("data", "keys", "witness") for p in (shop.folder / name).iterdir()
    ]:
        raw = path.read_bytes()
        assert not [w for w in (*WORDS, ADDRESS) if w.encode() in raw], path.name
    shop.open()


def test_addresses_and_links_of_a_mail_tell_a_stranger_nothing(shop):
    person = shop.person("probe")
    choose(shop, person, 3)
    shop.send([person])
    text = text_of(shop.mails()[0])
    links = re.findall(r"https?://[^\s\"'<>]+", text)
    assert links
    assert shown("\n".join(links)) == set()
    assert person.hex() not in text
    assert "post.example" not in "\n".join(links)
    assert "<img" not in text.lower()
