"""The gate over HTTP: every answer is an event first, and no answer repeats what was sent."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hub_shop import MARKETER, shop

from troth.capabilities import access
from troth.capabilities.access import cases
from troth.kernel import looking
from troth.terms import Action, Actor, Role, from_zulu

IT = Actor(Role.IT, "gareth@marula.example")
SYSTEM = Actor(Role.SYSTEM, "cli")

PLANTED = "planted-Zq7@leak.example"


def ask(**changed):
    asked = {
        "person": "shop-10",
        "actor": {"role": "marketer", "id": MARKETER.id},
        "purpose": "offers",
        "action": "send",
        "channel": "email",
    }
    return asked | changed


def post(body, path="/api/v1/decide", **headers):
    s = shop()
    kind = {"content-type": "application/json"}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return s.client.post(path, content=raw, headers=s.key | kind | headers)


def house_types() -> list[str]:
    s = shop()
    with s.ws.store.look() as view:
        chain = s.ws.desk.scribe.chain(view, s.ws.desk.scribe.house)
    return [r.event.type for r in chain]


def test_a_yes_names_categories_obligations_and_an_end_and_is_recorded():
    s = shop()
    name, size = ask()["person"], s.size()
    before = [r.event.type for r in s.chain(name)]
    told = post(ask()).json()
    assert told["agreed"] is True
    assert told["reasons"] == []
    assert told["basis"] == "consent"
    assert "list_unsubscribe_post" in told["obligations"]
    with s.ws.store.look() as view:
        assert from_zulu(told["until"]) > view.now
    assert s.size() == size + 1
    assert [r.event.type for r in s.chain(name)][len(before) :] == ["use.permitted"]


def test_categories_left_out_means_as_many_as_agreed_and_never_more():
    told = post(ask(person="cast-adult")).json()
    assert set(told["categories"]) == {
        "identity.name", "interests.declared", "purchases.13w", "purchases.52w",
    }  # fmt: skip
    asked = post(ask(person="cast-adult", categories=["cohort.compare"])).json()
    assert asked["agreed"] is False
    assert [r["code"] for r in asked["reasons"]] == ["category_not_agreed"]


def test_a_refusal_is_an_answer_with_words_and_an_event_in_that_persons_chain():
    s = shop()
    before = [r.event.type for r in s.chain("cast-objected")]
    answer = post(ask(person="cast-objected"))
    assert answer.status_code == 200
    told = answer.json()
    assert told["agreed"] is False
    assert told["until"] == ""
    assert told["categories"] == {}
    first = told["reasons"][0]
    assert first["code"] == "objected"
    assert first["rule"].startswith("ZA-")
    assert first["title"] == "Objected to marketing"
    assert first["remedy"]
    after = s.chain("cast-objected")
    assert [r.event.type for r in after] == [*before, "use.refused"]
    assert [r["code"] for r in after[-1].event.payload.reasons] == [
        r["code"] for r in told["reasons"]
    ]


def test_an_unknown_person_is_refused_in_the_house_chain():
    before = house_types()
    told = post(ask(person=PLANTED))
    assert [r["code"] for r in told.json()["reasons"]] == ["unknown_person"]
    assert PLANTED not in told.text
    assert house_types()[len(before) :] == ["claim.refused"]


def test_a_stranger_to_the_house_learns_only_that_and_no_person_is_looked_at():
    s = shop()
    size = len(s.chain("shop-10"))
    told = post(ask(actor={"role": "marketer", "id": PLANTED})).json()
    assert [r["code"] for r in told["reasons"]] == ["unknown_actor"]
    assert len(s.chain("shop-10")) == size


def test_a_batch_answers_in_the_order_asked_and_records_every_refusal():
    s = shop()
    people = ["shop-11", "shop-40", PLANTED, "shop-11", "cast-objected"]
    refused = len(s.chain("shop-40"))
    body = {k: v for k, v in ask().items() if k != "person"} | {"people": people}
    told = post(body, "/api/v1/decide/batch")
    assert told.status_code == 200
    answers = told.json()["answers"]
    assert [a["agreed"] for a in answers] == [True, False, False, True, False]
    assert answers[1]["reasons"][0]["code"] == "not_customer"
    assert answers[2]["reasons"][0]["code"] == "unknown_person"
    assert len(s.chain("shop-40")) == refused + 1
    assert PLANTED not in told.text


def test_the_batch_and_the_single_decision_say_the_same():
    for person in ("shop-12", "shop-41", "cast-objected", "cast-adult"):
        body = {k: v for k, v in ask().items() if k != "person"} | {"people": [person]}
        assert post(body, "/api/v1/decide/batch").json()["answers"] == [
            post(ask(person=person)).json()
        ]


@pytest.mark.parametrize("path", ["/api/v1/decide", "/api/v1/decide/batch"])
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic {key}", "{key}"])
def test_without_the_key_nothing_is_answered_and_nothing_recorded(path, header):
    s = shop()
    size = s.size()
    key = s.app.state.hub.shown_key
    headers = {} if header is None else {"authorization": header.format(key=key)}
    answer = s.client.post(path, json=ask(), headers=headers)
    assert answer.status_code == 401
    assert set(answer.json()) == {"code", "message", "remedy", "id"}
    assert answer.json()["code"] == "not_allowed"
    assert s.size() == size


def test_the_key_is_kept_as_a_digest_only_where_it_is_compared():
    hub = shop().app.state.hub
    assert hub.shown_key.encode() not in hub.api_key
    assert len(hub.api_key) == 32


MALFORMED = [
    ask(person=""),
    ask(person=PLANTED * 50),
    ask(action=PLANTED),
    ask(channel=PLANTED),
    ask(actor={"role": PLANTED, "id": "x"}),
    ask(actor=PLANTED),
    ask(categories=PLANTED),
    ask(**{PLANTED: 1}),
    {PLANTED: PLANTED},
    [PLANTED],
    b'{"person": "' + PLANTED.encode(),
    b"\xff\xfe" + PLANTED.encode(),
]


@pytest.mark.parametrize("body", MALFORMED)
def test_a_malformed_question_is_refused_in_one_shape_that_echoes_nothing(body, capsys):
    s = shop()
    size = s.size()
    for path in ("/api/v1/decide", "/api/v1/decide/batch"):
        answer = post(body, path)
        assert answer.status_code in {400, 422}
        assert set(answer.json()) == {"code", "message", "remedy", "id"}
        assert "leak.example" not in answer.text
        assert "planted" not in answer.text
    assert s.size() == size
    assert "leak.example" not in capsys.readouterr().err


def test_a_batch_has_a_size():
    body = {k: v for k, v in ask().items() if k != "person"}
    assert post(body | {"people": ["x"] * 501}, "/api/v1/decide/batch").status_code == 400
    assert post(body | {"people": []}, "/api/v1/decide/batch").status_code == 400
    assert post(b" " * (1 << 21), "/api/v1/decide/batch").status_code == 400


def test_what_a_caller_makes_up_as_a_purpose_is_refused_and_not_written_down():
    told = post(ask(purpose=PLANTED))
    assert told.json()["reasons"][0]["code"] == "unknown_purpose"
    assert PLANTED not in told.text
    s = shop()
    with s.ws.store.look() as view:
        chain = s.ws.desk.scribe.chain(view, s.ws.desk.scribe.house)
    assert all(PLANTED.encode() not in r.raw for r in chain)


def test_openapi_lists_the_decision_and_the_page_needs_nothing_from_elsewhere():
    s = shop()
    described = s.client.get("/openapi.json").json()
    assert list(described["paths"]) == ["/api/v1/decide"]
    assert "422" in described["paths"]["/api/v1/decide"]["post"]["responses"]
    text = s.client.get("/api").text
    assert "https://" not in text
    assert s.app.state.hub.shown_key in text
    for closed in ("/docs", "/redoc"):
        assert s.client.get(closed).status_code == 404


def test_decisions_asked_at_the_same_time_are_all_recorded_in_one_unbroken_chain():
    s = shop()
    before, agreed = len(s.chain("cast-objected")), len(s.chain("cast-adult"))
    with ThreadPoolExecutor(4) as pool:
        people = ["cast-objected", "cast-adult"] * 10
        told = list(pool.map(lambda who: post(ask(person=who)).json()["agreed"], people))
    assert told == [False, True] * 10
    assert len(s.chain("cast-objected")) == before + 10
    assert len(s.chain("cast-adult")) == agreed + 10


def test_a_key_of_staff_sees_under_an_open_case_and_without_one_is_refused():
    s = shop()
    office = s.app.state.hub.kept["office"]
    keyed = access.make_key(office, "help-desk", Role.SUPPORT, frozenset({Action.READ}), 5, IT)
    reason = cases.open_case(
        s.ws.desk, s.person("shop-12"), cases.Opening("API-1", "ticket"), SYSTEM
    ).ref
    body = {"person": "shop-12", "purpose": "service", "action": "read", "channel": None}

    def told(path="/api/v1/decide", **more):
        return s.client.post(
            path, json=body | more, headers={"authorization": f"Bearer {keyed}"}
        ).json()

    assert [r["code"] for r in told()["reasons"]] == ["reason_missing"]
    assert [r["code"] for r in told(reason="case:none")["reasons"]] == ["reason_missing"]
    other = told(reason=reason, person="shop-13")
    assert [r["code"] for r in other["reasons"]] == ["reason_without_person"]
    assert told(reason=reason)["categories"]["contact.email"] == "last4"
    many = {k: v for k, v in body.items() if k != "person"} | {"people": ["shop-12", "shop-13"]}
    answer = s.client.post("/api/v1/decide/batch", json=many | {"reason": reason},
                           headers={"authorization": f"Bearer {keyed}"}).json()  # fmt: skip
    assert [each["agreed"] for each in answer["answers"]] == [True, False]
    with s.ws.store.look() as view:
        assert [u.reason for u in looking.of_person(view, s.person("shop-12"))] == [reason] * 2
    assert told(reason="x" * 201)["code"] == "invalid"
