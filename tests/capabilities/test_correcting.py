"""A correction reaches every copy, binds the next decision, and keeps of the old value a digest."""

import re

import marula
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.app import address_proof, correcting, owndata
from troth.app.owndata import Eyes
from troth.capabilities import connections, merging, outreach, people, rights
from troth.capabilities.rights.correcting import cleaned, fields, own_fields, statements
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.terms import Actor, Channel, Instant, PersonId, Role, instant

ADULT = "cast-adult"
NOW = Instant(instant(marula.NOW))


def themselves(person):
    return Actor(Role.PERSON, person.hex())


def fix(house, person, field, text, **how):
    how = rights.How(**how)
    return rights.correct(house.desk, person, field, text, "portal", themselves(person), how)


def held(house, person):
    eyes = Eyes(person, person)
    return owndata.values(house.ws, eyes, house.desk.vault.fields)


def test_a_corrected_name_is_what_is_held_and_the_old_one_is_only_a_digest(house):
    person = house.person(ADULT)
    old = held(house, person)["name.given"]
    done = fix(house, person, "name.given", "  Thandi ")
    assert held(house, person)["name.given"] == "Thandi"
    event = house.chain(person)[done.n - 1]
    assert event.type == "value.corrected"
    assert event.payload.before == house.desk.vault.text_mac("name.given", old).hex()
    assert old not in repr(event)
    assert event.payload.version == 2
    assert event.actor.startswith("person/")


def test_the_next_message_uses_it(house):
    person = house.person(ADULT)
    fix(house, person, "name.given", "Nomvula")
    house.send([person])
    assert b"Nomvula" in house.mails()[-1].path.read_bytes()


def test_every_copy_under_every_id_is_corrected(house):
    one, other = house.everybody("cast-shared-one", "cast-shared-two")
    merging.merge(house.desk, one, other, "the same person", marula.OFFICER)
    asked = fix(house, one, "name.given", "Sam")
    assert (asked.why, type(asked)) == ("copies_differ", rights.Question)
    assert "value.corrected" not in [e.type for e in house.chain(one)]
    done = fix(house, one, "name.given", "Sam", answered=frozenset({"copies_differ"}))
    assert done.copies == 2
    copies = owndata.copies(house.ws, Eyes(one, one), ("name.given",))
    assert [each["name.given"] for each in copies.values()] == ["Sam", "Sam"]
    assert [e.type for e in house.chain(other)][-2:].count("value.corrected") == 1


def test_what_is_held_already_is_no_correction(house):
    person = house.person(ADULT)
    with pytest.raises(Conflict):
        fix(house, person, "name.given", held(house, person)["name.given"])
    with pytest.raises(Conflict):
        fix(house, person, "fact.language", house.record(person).language)


def test_a_value_never_told_may_be_added_and_one_told_taken_back(house):
    person = house.newcomer("plain", interests="")
    fix(house, person, "interests", "tea, bread\ntea")
    assert held(house, person)["interests"] == "tea;bread"
    fix(house, person, "interests", "")
    assert held(house, person)["interests"] == ""
    assert {r.value for r in correcting.held(house.ws, Eyes(person, person), house.record(person))
            if r.field == "interests"} == {""}  # fmt: skip


def test_a_younger_birth_year_makes_a_minor_at_once(house):
    person = house.person(ADULT)
    assert house.codes(person) == []
    done = fix(house, person, "birth.year", "2012")
    assert done.age == "minor"
    assert house.record(person).age == "minor"
    assert "minor" in house.codes(person)


def test_nobody_makes_themselves_an_adult(house):
    person = house.person("cast-minor")
    asked = fix(house, person, "birth.year", "1990")
    assert (asked.field, asked.why) == ("birth.year", "age_class")
    assert house.record(person).age == "minor"
    done = rights.correct(house.desk, person, "birth.year", "1990", "desk", marula.OFFICER)
    assert done.age == "adult"
    assert house.record(person).age == "adult"


def test_moving_to_another_country_moves_the_law(house):
    person = house.person(ADULT)
    fix(house, person, "fact.residence", "de", born="2009")
    assert house.record(person).residence == "DE"
    assert house.record(person).age == "minor"
    assert "value.corrected" in [e.type for e in house.chain(person)]


def test_a_country_that_would_make_an_adult_asks_the_desk(house):
    person = house.person("cast-minor")
    asked = fix(house, person, "fact.residence", "DE", born="1990")
    assert asked.why == "age_class"
    assert house.record(person).residence == "ZA"


@pytest.mark.parametrize(("field", "text"), [
    ("name.given", "x" * 101), ("name.given", "a;b"), ("birth.year", "12"), ("birth.year", "2027"),
    ("birth.year", "1899"), ("interests", ",".join(str(n) for n in range(21))),
    ("interests", "x" * 41), ("fact.language", "english!"), ("fact.residence", "South Africa"),
    ("external.id", "1"), ("contact.email", "a@b.example"), ("nothing", ""),
])  # fmt: skip
def test_what_is_no_such_value_is_refused_and_nothing_is_written(house, field, text):
    person = house.person(ADULT)
    size = len(house.chain(person))
    with pytest.raises(InvalidInput):
        fix(house, person, field, text)
    assert len(house.chain(person)) == size


def test_a_marketer_corrects_nothing(house):
    person = house.person(ADULT)
    with pytest.raises(InvalidInput):
        rights.correct(house.desk, person, "name.given", "X", "desk", marula.MARKETER)
    with pytest.raises(InvalidInput):
        rights.attach_statement(house.desk, person, "name.given", "X", "rq", marula.MARKETER)


def test_who_is_leaving_or_unknown_is_not_corrected(house):
    person = house.person(ADULT)
    with pytest.raises(NotFound):
        fix(house, PersonId(bytes(16)), "name.given", "X")
    rights.begin_erasure(house.desk, person, "rq-1", themselves(person))
    with pytest.raises(Conflict):
        fix(house, person, "name.given", "X")


@given(st.sampled_from(fields()), st.text(max_size=60))
def test_cleaning_twice_changes_nothing_more(field, text):
    try:
        once = cleaned(field, text, NOW)
    except InvalidInput:
        return
    assert cleaned(field, once, NOW) == once
    assert not any(ord(sign) < 32 for sign in once)


def test_systems_that_asked_are_told_which_field_and_never_the_value(house):
    hook = connections.Hook("crm", "https://crm.example/in", ("value.corrected",), "service")
    connections.add_hook(house.desk, hook, marula.OFFICER)
    person = house.person(ADULT)
    done = correcting.correct(house.ws, Eyes(person, person), "name.given", "Planted")
    assert house.chain(person)[done.n - 1].payload.told == 1
    house.ws.follow()
    with house.ws.store.look() as view:
        assert view.jobs("connections.deliver/crm", "ready") == 1
    sent = []
    connections.deliver_due(house.desk, lambda *told: sent.append(told) or True)
    assert not any(b"Planted" in told[-1] for told in sent)


# Addresses


def sent_by():
    codes = []

    def prove(_ws, _eyes, channel, address, code):
        codes.append((channel, address, code))

    return codes, prove


def test_a_new_address_counts_only_once_its_code_came_back(house):
    person = house.person(ADULT)
    eyes = Eyes(person, person)
    before = held(house, person)["contact.email"]
    codes, prove = sent_by()
    pending = correcting.begin_move(house.ws, eyes, Channel.EMAIL, "New@Post.example", prove)
    assert codes[0][:2] == (Channel.EMAIL, "new@post.example")
    assert held(house, person)["contact.email"] == before
    wrong = "000000" if codes[0][2] != "000000" else "111111"
    with pytest.raises(InvalidInput):
        correcting.finish_move(house.ws, eyes, pending, wrong)
    done = correcting.finish_move(house.ws, eyes, pending, codes[0][2])
    assert held(house, person)["contact.email"] == "new@post.example"
    assert house.chain(person)[done.n - 1].payload.field == "contact.email"
    with pytest.raises(Unavailable):
        correcting.finish_move(house.ws, eyes, pending, codes[0][2])


def test_an_old_address_leads_nowhere_by_a_merged_record_either(house):
    one = house.newcomer("one", email="both@post.example")
    other = house.newcomer("other", email="both@post.example")
    merging.merge(house.desk, one, other, "the same person", marula.OFFICER)
    codes, prove = sent_by()
    eyes = Eyes(one, one)
    pending = correcting.begin_move(house.ws, eyes, Channel.EMAIL, "new@post.example", prove)
    correcting.finish_move(house.ws, eyes, pending, codes[0][2])
    with house.ws.store.look() as view:
        point = house.desk.contact(Channel.EMAIL, "both@post.example", 1)
        assert view.find(Channel.EMAIL, point.bi) == []


def test_the_code_goes_by_mail_to_the_new_address_alone_and_is_recorded_first(house):
    person = house.person(ADULT)
    eyes = Eyes(person, person)
    with house.inbox() as port:

        def prove(ws, whose, _channel, address, code):
            letter = outreach.Letter("address_confirm", "Is it yours?", ("Type it.",), code=code)
            address_proof.send_code(ws, whose, address, letter, ("127.0.0.1", port))

        pending = correcting.begin_move(house.ws, eyes, Channel.EMAIL, "new@post.example", prove)
        mail = house.mails()[-1]
    assert mail.rcpt_to == ("new@post.example",)
    types = [e.type for e in house.chain(person)]
    assert types[-2:] == ["message.booked", "message.handed"]
    code = re.search(rb"\b(\d{6})\b", mail.path.read_bytes().split(b"\r\n\r\n", 1)[1])[1]
    correcting.finish_move(house.ws, eyes, pending, code.decode())
    assert held(house, person)["contact.email"] == "new@post.example"


def test_without_a_relay_the_code_is_said_to_have_failed(house):
    person = house.person(ADULT)
    letter = outreach.Letter("address_confirm", "Is it yours?", ("Type it.",), code="123456")
    with pytest.raises(Unavailable):
        address_proof.send_code(
            house.ws, Eyes(person, person), "n@post.example", letter, ("127.0.0.1", 1)
        )
    assert house.chain(person)[-1].type == "message.failed"


def test_five_codes_a_day_are_enough(house):
    person = house.person(ADULT)
    letter = outreach.Letter("address_confirm", "Is it yours?", ("Type it.",), code="123456")
    nowhere = ("127.0.0.1", 1)
    for _ in range(address_proof.A_DAY):
        with pytest.raises(Unavailable, match=r"mail|connect|reach"):
            address_proof.send_code(
                house.ws, Eyes(person, person), "n@post.example", letter, nowhere
            )
    with pytest.raises(Unavailable, match="too many"):
        address_proof.send_code(house.ws, Eyes(person, person), "n@post.example", letter, nowhere)


def test_five_wrong_codes_end_it(house):
    person = house.person(ADULT)
    eyes = Eyes(person, person)
    codes, prove = sent_by()
    pending = correcting.begin_move(house.ws, eyes, Channel.EMAIL, "new@post.example", prove)
    wrong = "000000" if codes[0][2] != "000000" else "111111"
    for _ in range(correcting.PROOF_TRIES):
        with pytest.raises(InvalidInput):
            correcting.finish_move(house.ws, eyes, pending, wrong)
    with pytest.raises(Unavailable):
        correcting.finish_move(house.ws, eyes, pending, codes[0][2])
    assert "new@post.example" not in held(house, person).values()


def test_without_a_way_to_prove_it_nothing_is_begun(house):
    person = house.person(ADULT)
    eyes = Eyes(person, person)
    with pytest.raises(Unavailable):
        correcting.begin_move(
            house.ws, eyes, Channel.SMS, "+27 21 555 0199", correcting.nobody_proves
        )
    mail = held(house, person)["contact.email"]
    with pytest.raises(Conflict):
        correcting.begin_move(house.ws, eyes, Channel.EMAIL, mail, correcting.nobody_proves)


def test_a_postal_address_is_corrected_and_a_no_goes_along(house):
    person = house.person("cast-objected")
    eyes = Eyes(person, person)
    done = correcting.correct(house.ws, eyes, "contact.post", "1 Long Street\nCape Town")
    assert held(house, person)["contact.post"] == "1 Long Street\nCape Town"
    assert house.chain(person)[done.n - 1].payload.before is None
    correcting.correct(house.ws, eyes, "contact.post", "2 Long Street\nCape Town")
    assert house.chain(person)[-1].payload.before
    assert "objected" in house.codes(person)


def test_somebody_without_a_mandate_corrects_nothing(house):
    one, other = house.everybody(ADULT, "cast-guardian")
    with pytest.raises(NotFound):
        correcting.correct(house.ws, Eyes(one, other, "agent"), "name.given", "X")
    assert held(house, one)["name.given"] != "X"


def test_a_correction_by_a_parent_says_so(house):
    minor, parent = house.everybody("cast-minor", "cast-guardian")
    people.link(house.desk, minor, parent, "competent_person", "form", Actor(Role.SYSTEM, "t"))
    eyes = Eyes(minor, parent, "competent_person")
    how = rights.How("competent_person")
    done = correcting.correct(house.ws, eyes, "name.given", "Kavi", how)
    assert house.chain(minor)[done.n - 1].payload.given_by == "competent_person"


# What was refused


def test_a_refused_correction_carries_the_persons_own_words(house):
    person = house.person("cast-minor")
    eyes = Eyes(person, person)
    asked = correcting.ask_the_desk(house.ws, eyes, "birth.year", "1990", "self")
    with pytest.raises(InvalidInput):
        correcting.statement(house.ws, eyes, "birth.year", "I am older", asked)
    refused = rights.Move("denied", ground="outside", text="the papers say otherwise")
    rights.move(house.desk, person, asked, refused, marula.OFFICER)
    said = correcting.statement(house.ws, eyes, "birth.year", "I am older", asked)
    assert said == {"birth.year": "I am older"}
    row = next(r for r in correcting.held(house.ws, eyes, house.record(person))
               if r.field == "birth.year")  # fmt: skip
    assert row.statement == "I am older"
    rights.correct(house.desk, person, "birth.year", "1991", "desk", marula.OFFICER)
    assert statements(house.chain(person)) == {}


def test_what_a_person_corrected_is_theirs(house):
    person = house.person(ADULT)
    fix(house, person, "name.given", "Mine")
    assert own_fields(house.chain(person)) == {"name.given"}
    rights.correct(
        house.desk, person, "name.given", "Desk", "desk", marula.OFFICER, rights.How("staff")
    )
    assert own_fields(house.chain(person)) == frozenset()
