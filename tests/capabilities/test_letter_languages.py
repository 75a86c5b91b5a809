"""Letters of service speak the language of whom they go to, around the words and within them."""

import re
import string
import tomllib
from email import message_from_bytes
from email.policy import default
from importlib.resources import files

import entry_house
import pytest

from troth.app import collecting, deliver_letters, request_letters, write_letter
from troth.capabilities import outreach, rights
from troth.capabilities.preferences import collecting as taken
from troth.terms import Actor, Role

OWN = {"en": "Why you get this.", "af": "Hoekom jy dit kry.", "zu": "Kungani uthola lokhu."}


@pytest.fixture
def house(tmp_path):
    opened = entry_house.EntryHouse(tmp_path / "house")
    yield opened
    opened.ws.close()


def said(name):
    return tomllib.loads((files("troth") / f"data/{name}.toml").read_text("utf-8"))


def tables():
    yield "entry", said("entry")["words"]
    yield "collect", said("collect")["words"]
    yield "letters", said("letters")["words"]
    yield "rights", said("rights")["letter"]


def flat(words):
    for key, value in words.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{k}", v) for k, v in flat(value))
        else:
            yield key, value


def named(text):
    fields = {name for _, name, _, _ in string.Formatter().parse(text) if name}
    return fields | set(re.findall(r"\$\w+", text))


@pytest.mark.parametrize(("name", "words"), list(tables()))
def test_every_language_has_every_sentence_with_the_same_things_named(name, words):
    assert set(words) == {"en", "af", "zu"}
    english = dict(flat(words["en"]))
    for language in ("af", "zu"):
        own = dict(flat(words[language]))
        assert set(own) == set(english), (name, language)
        for key, text in own.items():
            assert named(text) == named(english[key]), (name, language, key)
            assert text.strip() == text
            assert text != english[key], (name, language, key)


def mail(house, to):
    with house.inbox() as port:
        deliver_letters(house.ws, ("127.0.0.1", port))
    found = [each for each in house.mails() if to in each.rcpt_to]
    return message_from_bytes(found[-1].path.read_bytes(), policy=default)


@pytest.mark.parametrize("language", ["en", "af", "zu"])
def test_the_frame_of_a_letter_speaks_its_language(house, language):
    ann = house.newcomer("ann", {})
    write_letter(house.ws, ann, outreach.Letter("receipt", "x", ("y",), language=language))
    read = mail(house, "ann@post.example")
    html, text = (read.get_body((kind,)).get_content() for kind in ("html", "plain"))
    assert OWN[language] in text
    assert OWN[language] in html
    assert f'lang="{language}"' in html
    assert not [own for code, own in OWN.items() if code != language and own in text + html]


def test_a_letter_in_a_language_nobody_wrote_down_has_the_houses_frame(house):
    ann = house.newcomer("ann", {})
    write_letter(house.ws, ann, outreach.Letter("receipt", "x", ("y",), language="xh"))
    assert OWN["en"] in mail(house, "ann@post.example").get_body(("plain",)).get_content()


@pytest.mark.parametrize(("language", "subject"), [
    ("", "We have your request"), ("xh", "We have your request"),
    ("af", "Ons het jou versoek"), ("zu", "Sinesicelo sakho"),
])  # fmt: skip
def test_a_letter_about_a_request_speaks_the_persons_language(house, language, subject):
    ann = house.newcomer("ann", {}, language=language)
    actor = Actor(Role.PERSON, ann.hex())
    made = rights.open_request(house.desk, ann, rights.Asked("access"), actor)
    assert request_letters.write(house.ws, ann, made, "opened")
    read = mail(house, "ann@post.example")
    assert read["Subject"] == subject


@pytest.mark.parametrize(("own", "form", "subject"), [
    ("", "zu", "Ingabe leli yikheli lakho?"),
    ("af", "zu", "Is dit jou adres?"),
    ("xh", "en", "Is this your address?"),
])  # fmt: skip
def test_a_letter_that_asks_speaks_the_persons_language_before_the_forms(
    house, own, form, subject
):
    house.newcomer("ann", {"status": "refused"}, language=own)
    wanted = taken.Wanted("email", "ann@post.example", "offers", "offers@3", form, "form:1")
    taken.submit(house.desk, [wanted], 3)
    assert collecting.collect_round(house.ws) == 1
    assert mail(house, "ann@post.example")["Subject"].startswith(subject)
