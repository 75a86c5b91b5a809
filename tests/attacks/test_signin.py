"""Ways into the console that are not one's own: each ends where it began, and is recorded."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from cast import bytes_of
from staff_house import (
    FATIMA,
    GARETH,
    LINDIWE,
    NOKUTHULA,
    SIPHO,
    SoftKey,
    hidden,
    options,
    say_of,
    staff_house,
    use_passkey,
    with_passkey,
)

from troth.capabilities import access
from troth.errors import Conflict, InvalidInput, NotFound
from troth.surfaces.web.acting import COOKIE
from troth.terms import DAY, SECOND, Action, Actor, Instant, Role

PLANTED = "planted-Zq7@leak.example"


@pytest.fixture
def h():
    made = staff_house()
    made.settle()
    return made


def session(client) -> str:
    return client.cookies.get(COOKIE, "")


def opened(client) -> bool:
    return client.get("/console").status_code == 200


# Sessions and forms


def test_a_session_somebody_planted_is_not_the_one_that_is_signed_in(h):
    _, secret, _ = h.enrolled(LINDIWE)
    h.later(60)
    victim = h.browser()
    victim.cookies.set(COOKIE, "f" * 48, domain="localhost.local", path="/")
    h.sign_in(victim, LINDIWE.id, h.code(secret))
    assert session(victim) != "f" * 48
    thief = h.browser()
    thief.cookies.set(COOKIE, "f" * 48)
    assert not opened(thief)
    assert opened(victim)


def test_signing_in_again_ends_the_session_one_came_with(h):
    client, secret, _ = h.enrolled(LINDIWE)
    before = session(client)
    h.later(60)
    old = h.browser()
    old.cookies.set(COOKIE, before)
    assert client.get("/signin").status_code == 303
    text = client.get("/signin", params={"say": "again"}).text
    form = {"form": hidden(text, "form"), "next": "/console"}
    client.post("/signin", data={**form, "id": LINDIWE.id, "code": h.code(secret)})
    assert session(client) != before
    assert not opened(old)


def test_the_cookie_is_for_this_house_alone_and_scripts_cannot_read_it(h):
    client, secret, _ = h.enrolled(LINDIWE)
    h.later(60)
    client = h.browser()
    answer = h.sign_in(client, LINDIWE.id, h.code(secret))
    (told,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE)]
    assert {"httponly", "samesite=strict", "path=/"} <= {
        part.strip().lower() for part in told.split(";")
    }
    assert "domain" not in told.lower()
    assert "secure" not in told.lower(), "this house answers without encryption, on this machine"


def test_over_https_every_cookie_goes_over_https_alone(h):
    from dataclasses import replace

    from starlette.testclient import TestClient

    from troth.surfaces.web.server import build_app

    settings = replace(h.ws.settings, console_url="https://staff.marula.example")
    app = build_app(replace(h.ws, settings=settings), {"report": 1}, None)
    client = TestClient(app, base_url="https://staff.marula.example", follow_redirects=False)
    answer = client.get("/signin")
    assert answer.status_code == 200
    assert "secure" in answer.headers["set-cookie"].lower()
    assert options(answer.text)["rpId"] == "staff.marula.example"
    assert "/doors/" not in answer.text
    assert client.post("/doors/marketer").status_code == 404
    elsewhere = TestClient(app, base_url="https://evil.example", follow_redirects=False)
    assert elsewhere.get("/signin").status_code == 400


@pytest.mark.parametrize("token", [None, "", "x", "another's"])
def test_a_form_without_its_own_sessions_token_does_nothing(h, token):
    client, _, _ = h.enrolled(GARETH)
    other, _, _ = h.enrolled(LINDIWE)
    if token == "another's":
        token = hidden(other.get("/console/me").text, "form")
    acts = len(h.acts())
    form = {"who": f"marketer:{SIPHO.id}"} | ({} if token is None else {"form": token})
    for act in ("invite", "suspend", "reset", "restore"):
        assert client.post(f"/console/staff/{act}", data=form).status_code == 403
    assert client.post("/console/me/codes", data=form).status_code == 403
    assert client.post("/console/keys", data=form).status_code == 403
    assert len(h.acts()) == acts


@pytest.mark.parametrize("headers", [
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
    {"origin": "https://evil.example"}, {"origin": "http://localhost:9999"},
])  # fmt: skip
def test_a_page_elsewhere_sends_no_form_here_even_with_the_right_token(h, headers):
    client, secret, _ = h.enrolled(GARETH)
    token = hidden(client.get("/console/staff").text, "form")
    form = {"form": token, "who": f"marketer:{SIPHO.id}"}
    assert client.post("/console/staff/suspend", data=form, headers=headers).status_code == 403
    h.later(60)
    stranger = h.browser()
    text = stranger.get("/signin").text
    form = {"form": hidden(text, "form"), "id": GARETH.id, "code": h.code(secret)}
    assert stranger.post("/signin", data=form, headers=headers).status_code == 403
    assert session(stranger) == ""


def test_a_sign_in_form_of_another_browser_signs_nobody_in(h):
    _, secret, _ = h.enrolled(LINDIWE)
    h.later(60)
    attacker, victim = h.browser(), h.browser()
    token = hidden(attacker.get("/signin").text, "form")
    form = {"form": token, "id": LINDIWE.id, "code": h.code(secret)}
    assert say_of(victim.post("/signin", data=form)) == "old"
    victim.get("/signin")
    assert say_of(victim.post("/signin", data=form)) == "old"
    assert session(victim) == ""


def test_a_session_ends_when_idle_and_after_its_longest_whatever_happens(h):
    client, _, _ = h.enrolled(LINDIWE)
    h.later(29 * 60)
    assert opened(client)
    h.later(31 * 60)
    assert not opened(client)
    client, _, _ = h.enrolled(LINDIWE)
    for _ in range(24):
        h.later(19 * 60)
        assert opened(client)
    h.later(25 * 60)
    assert not opened(client)


def test_reading_a_sign_in_or_a_link_changes_nothing(h):
    token = h.invited(SIPHO)
    acts = len(h.acts())
    client = h.browser()
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
        for path in ("/signin?id=x&code=1", f"/enrol/{token}?code=1", "/sign-out"):
            client.request(method, path)
    assert len(h.acts()) == acts
    assert access.read_invite(h.office, token).actor == SIPHO


# Codes


def test_a_code_that_was_used_is_used_up_within_its_own_half_minute(h):
    _, secret, _ = h.enrolled(LINDIWE)
    h.later(60)
    code = h.code(secret)
    assert opened_by(h, LINDIWE.id, code)
    assert not opened_by(h, LINDIWE.id, code)
    h.later(31)
    assert not opened_by(h, LINDIWE.id, code), "the clock's drift lets nobody in twice"
    assert opened_by(h, LINDIWE.id, h.code(secret))


def opened_by(h, who, code) -> bool:
    client = h.browser()
    h.sign_in(client, who, code)
    return opened(client)


def test_of_two_who_send_one_code_at_the_same_time_one_gets_in(h):
    _, secret, _ = h.enrolled(LINDIWE)
    h.later(60)
    code = h.code(secret)
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda _: access.by_code(h.office, LINDIWE.id, code), range(4)))
    assert sum(each is not None for each in got) == 1


def test_a_recovery_code_opens_once(h):
    _, _, codes = h.enrolled(LINDIWE)
    assert len(set(codes)) == 10
    client = h.browser()
    answer = h.sign_in(client, LINDIWE.id, codes[3].lower().replace("-", " "))
    assert answer.headers["location"] == "/console/me?say=recovered"
    assert "used up" in client.get(answer.headers["location"]).text
    assert not opened_by(h, LINDIWE.id, codes[3])
    assert opened_by(h, LINDIWE.id, codes[4])
    assert h.acts()[-1] == ("recovered", "marketer", "recovery")


def test_new_recovery_codes_end_the_old_ones(h):
    client, _, codes = h.enrolled(LINDIWE)
    token = hidden(client.get("/console/me").text, "form")
    text = client.post("/console/me/codes", data={"form": token}).text
    fresh = re.findall(r"<code>([0-9A-Z-]{19})</code>", text)
    assert len(fresh) == 10
    assert not set(fresh) & set(codes)
    assert not opened_by(h, LINDIWE.id, codes[0])
    assert opened_by(h, LINDIWE.id, fresh[0])


def test_guessing_waits_longer_each_time_and_the_right_code_waits_too(h):
    _, secret, _ = h.enrolled(LINDIWE)
    h.later(60)
    for _ in range(5):
        assert not opened_by(h, LINDIWE.id, "000000")
    assert not opened_by(h, LINDIWE.id, h.code(secret)), "locked: the right code is not looked at"
    assert ("locked", "marketer", "totp") in h.acts()
    h.later(31)
    assert opened_by(h, LINDIWE.id, h.code(secret)), "the first wait is over"


def test_a_day_of_guessing_one_id_gets_fewer_than_forty_codes_looked_at(h):
    h.enrolled(LINDIWE)
    looked, waits = 0, h.office.limits.waits
    now = h.clock.now()
    for minute in range(24 * 60):
        count, _ = h.office.store.attempt(b"planted", Instant(now + minute * 60 * SECOND), waits)
        looked += count > 0
    assert looked < 40


def test_many_at_once_are_turned_away_before_anything_is_compared(h):
    _, secret, _ = h.enrolled(LINDIWE)
    h.later(60)
    client = h.browser()
    said = [say_of(h.sign_in(client, f"guess{n}@x.example", "000000")) for n in range(35)]
    assert said[:30] == ["failed"] * 30
    assert set(said[30:]) == {"wait"}
    acts = h.acts()
    assert acts[-1] == ("refused", "unknown", "rate")
    assert acts.count(("refused", "unknown", "rate")) >= 1
    assert not opened_by(h, LINDIWE.id, h.code(secret))
    assert use_passkey(h, with_passkey(h, NOKUTHULA)[1]).headers["location"] == "/console"
    h.later(61)
    assert opened_by(h, LINDIWE.id, h.code(secret))


def test_nobody_learns_whether_an_id_exists(h):
    h.enrolled(LINDIWE)
    access.suspend(h.office, FATIMA, GARETH)
    h.later(3600)
    answers, pages = set(), set()
    for who in (LINDIWE.id, FATIMA.id, SIPHO.id, PLANTED, "", "x" * 5000):
        client = h.browser()
        client.cookies.set("troth_begin", "a" * 64)
        for _ in range(5):  # up to and beyond the lock
            answer = h.sign_in(client, who, "123456")
        told = [(k, v) for k, v in answer.headers.items() if k != "set-cookie"]
        answers.add((answer.status_code, str(told), answer.content))
        page = client.get(answer.headers["location"]).text
        pages.add(re.sub(r'data-options="[^"]*"', "", page))
        h.later(120)
    assert len(answers) == 1
    assert len(pages) == 1
    assert PLANTED not in next(iter(pages))


def test_the_same_work_is_done_for_an_id_nobody_has(h, monkeypatch):
    from troth.capabilities.access import rules

    h.enrolled(LINDIWE)
    h.later(3600)
    done = []
    for name in ("totp", "recovery_hash"):
        real = getattr(rules, name)
        monkeypatch.setattr(rules, name, lambda *a, n=name, r=real: (done.append(n), r(*a))[1])
    counts = []
    for who in (LINDIWE.id, PLANTED):
        done.clear()
        assert access.by_code(h.office, who, "123456") is None
        counts.append((done.count("totp"), done.count("recovery_hash")))
    assert counts == [(3, 10), (3, 10)]


# Links


def test_an_enrolment_link_opens_one_account_once(h):
    token = h.invited(SIPHO)
    client, _, _ = enrol_by(h, token)
    assert opened(client)
    for again in (h.browser(), client):
        assert again.get(f"/enrol/{token}").status_code == 404
        assert again.post(f"/enrol/{token}", data={"code": "000000"}).status_code == 404


def enrol_by(h, token):
    import base64

    client = h.browser()
    text = client.get(f"/enrol/{token}").text
    secret = base64.b32decode(re.search(r"<code>([A-Z2-7 ]+)</code>", text)[1].replace(" ", ""))
    form = {"form": hidden(text, "form"), "code": h.code(secret)}
    return client, secret, client.post(f"/enrol/{token}", data=form)


def test_a_link_is_over_after_a_day_and_when_a_newer_one_was_made(h):
    first = h.invited(SIPHO)
    second = h.invited(SIPHO)
    assert h.browser().get(f"/enrol/{first}").status_code == 404
    h.later(DAY // SECOND - 1)
    assert h.browser().get(f"/enrol/{second}").status_code == 200
    h.later(1)
    assert h.browser().get(f"/enrol/{second}").status_code == 404


def test_a_link_of_a_suspended_account_opens_nothing(h):
    token = h.invited(SIPHO)
    access.suspend(h.office, SIPHO, GARETH)
    assert h.browser().get(f"/enrol/{token}").status_code == 404
    assert enrol_status(h, token) == 404
    access.restore(h.office, SIPHO, GARETH)


def enrol_status(h, token) -> int:
    client = h.browser()
    text = client.get("/signin").text
    form = {"form": hidden(text, "form"), "code": "000000"}
    return client.post(f"/enrol/{token}", data=form).status_code


def test_a_wrong_code_leaves_the_link_open_and_the_account_shut(h):
    token = h.invited(SIPHO)
    assert enrol_status(h, token) == 400
    assert access.read_invite(h.office, token).account.totp == b""


def test_of_two_who_open_one_link_one_gets_the_account(h):
    token = h.invited(SIPHO)
    invited = access.read_invite(h.office, token)
    code = h.code(access.enrol_secret(h.office, invited))

    def enrol(_):
        try:
            return access.enrol_code(h.office, invited, code)
        except NotFound:
            return None

    with ThreadPoolExecutor(4) as pool:
        assert sum(each is not None for each in pool.map(enrol, range(4))) == 1


def test_an_account_in_use_is_not_taken_over_by_a_new_invitation(h):
    h.enrolled(LINDIWE)
    with pytest.raises(Conflict):
        access.invite(h.office, LINDIWE, GARETH)
    with pytest.raises(NotFound):
        access.invite(h.office, Actor(Role.IT, PLANTED), GARETH)


# Where one is led


@pytest.mark.parametrize("onward", [
    "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil",
    "javascript:alert(1)", "http:evil.example", "/%0d%0aset-cookie:x=1\r\nx", "/ok\nx", "evil",
    "/" + "a" * 600, " /console", "/console?x=<script>",
])  # fmt: skip
def test_signing_in_leads_nowhere_but_into_this_house(h, onward):
    _, secret, _ = h.enrolled(LINDIWE)
    h.later(60)
    assert access.local_path(onward) == "/console"
    client = h.browser()
    text = client.get("/signin").text
    form = {"form": hidden(text, "form"), "next": onward, "id": LINDIWE.id}
    answer = client.post("/signin", data={**form, "code": h.code(secret)})
    assert answer.headers["location"] == "/console"
    assert client.get("/signin", params={"next": onward}).headers["location"] == "/console"


def test_signing_in_leads_back_to_the_page_asked_for(h):
    _, secret, _ = h.enrolled(GARETH)
    h.later(60)
    client = h.browser()
    to = client.get("/console/staff").headers["location"]
    assert to == "/signin?next=/console/staff"
    answer = h.sign_in(client, GARETH.id, h.code(secret), "/console/staff")
    assert answer.headers["location"] == "/console/staff"


# Passkeys


def test_a_passkey_signs_in_and_its_answer_is_good_once_in_its_own_browser(h):
    _, key = with_passkey(h, NOKUTHULA)
    client = h.browser()
    text = client.get("/signin").text
    form = {"form": hidden(text, "form"), "next": "/console", "credential": key.get(options(text))}
    thief = h.browser()
    own = hidden(thief.get("/signin").text, "form")
    assert say_of(thief.post("/signin", data={**form, "form": own})) == "failed"
    assert client.post("/signin", data=form).headers["location"] == "/console"
    assert opened(client)
    again = h.browser()
    again.cookies.set("troth_begin", "b" * 64)
    own = hidden(again.get("/signin").text, "form")
    assert say_of(again.post("/signin", data={**form, "form": own})) == "failed"


@pytest.mark.parametrize("wrong", [
    {"origin": "http://localhost:9999"}, {"origin": "https://evil.example"},
    {"rp": "evil.example"}, {"flags": 0x01}, {"flags": 0x04},
])  # fmt: skip
def test_an_answer_gathered_elsewhere_or_without_its_holder_opens_nothing(h, wrong):
    _, key = with_passkey(h, NOKUTHULA)
    for name, value in wrong.items():
        setattr(key, name, value)
    assert say_of(use_passkey(h, key)) == "failed"


def test_a_framed_page_and_an_old_question_open_nothing(h):
    _, key = with_passkey(h, NOKUTHULA)
    assert say_of(use_passkey(h, key, crossOrigin=True)) == "failed"
    client = h.browser()
    text = client.get("/signin").text
    h.later(5 * 60 + 1)
    form = {"form": hidden(text, "form"), "next": "/console", "credential": key.get(options(text))}
    assert say_of(client.post("/signin", data=form)) == "failed"


def test_a_copy_of_a_passkey_betrays_itself_and_opens_nothing_any_more(h):
    _, key = with_passkey(h, NOKUTHULA)
    assert use_passkey(h, key).headers["location"] == "/console"
    assert use_passkey(h, key).headers["location"] == "/console"
    key.count = 0  # the copy was taken before
    assert say_of(use_passkey(h, key)) == "failed"
    assert h.acts()[-1] == ("locked", "privacy_officer", "passkey")
    key.count = 99
    assert say_of(use_passkey(h, key)) == "failed", "neither the copy nor the first"


def test_the_last_passkey_that_still_opens_is_not_deleted_for_a_copied_one_beside_it(h):
    with_passkey(h, NOKUTHULA)
    account = access.key_of(h.office, NOKUTHULA)
    (good,) = h.office.store.passkeys(account)
    h.office.store.put_passkey(replace(good, id=b"copied one", state="copied"))
    with pytest.raises(Conflict):
        access.drop_passkey(h.office, NOKUTHULA, good.id)
    access.drop_passkey(h.office, NOKUTHULA, b"copied one")
    assert [p.id for p in h.office.store.passkeys(account)] == [good.id]


def test_another_key_under_the_same_id_and_a_key_of_nobody_open_nothing(h):
    _, key = with_passkey(h, NOKUTHULA)
    false = SoftKey()
    assert say_of(use_passkey(h, false)) == "failed"
    false.id = key.id
    assert say_of(use_passkey(h, false)) == "failed"


@pytest.mark.parametrize("answer", [
    "", "x", "[]", "{}", "null", "[" * 9000, "{" * 30000, '{"rawId": 1}',
    '{"rawId": "AA", "response": {"clientDataJSON": "AA"}}',
    json.dumps({"rawId": "AA", "type": "public-key", "id": "AA", "response": {
        "clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA"}}),
])  # fmt: skip
def test_no_answer_whatever_it_holds_breaks_the_door(h, answer):
    client = h.browser()
    form = {"form": hidden(client.get("/signin").text, "form"), "next": "", "credential": answer}
    assert say_of(client.post("/signin", data=form)) == "failed"
    token = h.invited(SIPHO)
    text = client.get(f"/enrol/{token}").text
    form = {"form": hidden(text, "form"), "credential": answer or "x"}
    assert client.post(f"/enrol/{token}", data=form).status_code == 400


def test_a_passkey_belongs_to_one_account(h):
    _, key = with_passkey(h, NOKUTHULA)
    token, client = h.invited(SIPHO), h.browser()
    text = client.get(f"/enrol/{token}").text
    form = {"form": hidden(text, "form"), "credential": key.create(options(text))}
    assert client.post(f"/enrol/{token}", data=form).status_code == 400


# Being suspended, ended, changed


def test_suspending_binds_at_once_everywhere(h):
    client, secret, codes = h.enrolled(LINDIWE)
    assert opened(client)
    access.suspend(h.office, LINDIWE, GARETH)
    assert not opened(client)
    h.later(60)
    assert not opened_by(h, LINDIWE.id, h.code(secret))
    assert not opened_by(h, LINDIWE.id, codes[0])
    told = claim_of(h, LINDIWE)
    assert [r.code for r in told.reasons] == ["unknown_actor"]
    access.restore(h.office, LINDIWE, GARETH)
    assert not opened(client), "a session that was over stays over"
    h.later(3600)
    assert opened_by(h, LINDIWE.id, h.code(secret))
    assert not hasattr(claim_of(h, LINDIWE), "reasons")


def claim_of(h, actor):
    from troth.terms import UseRequest

    with h.ws.store.look() as view:
        asked = UseRequest(actor, None, "offers", Action.PROFILE, None, frozenset(), view.now)
        return h.ws.desk.claim(asked, h.ws.desk.house(view))


def test_suspending_from_another_process_ends_the_session_of_this_one(h):
    from troth.adapters.signin import FileSignin

    client, _, _ = h.enrolled(LINDIWE)
    assert opened(client)
    other = FileSignin(h.ws.settings.keys)
    assert other.move(access.key_of(h.office, LINDIWE), "active", "suspended")
    other.close()
    assert not opened(client)
    access.restore(h.office, LINDIWE, GARETH)


def test_a_reset_account_loses_every_way_in(h):
    client, secret, codes = h.enrolled(LINDIWE)
    access.reset(h.office, LINDIWE, GARETH)
    h.later(60)
    assert not opened(client)
    assert not opened_by(h, LINDIWE.id, h.code(secret))
    assert not opened_by(h, LINDIWE.id, codes[0])


def test_who_is_taken_off_the_list_is_out_with_the_next_start(h):
    from dataclasses import replace

    from starlette.testclient import TestClient

    from troth.surfaces.web.server import build_app

    _, key = with_passkey(h, NOKUTHULA)
    settings = replace(h.ws.settings, staff={"it": [GARETH.id]})
    app = build_app(replace(h.ws, settings=settings), None, None)
    client = TestClient(app, base_url="http://localhost:8400", follow_redirects=False)
    assert say_of(use_passkey(h, key, client)) == "failed"


# Programs


def ask(h, key, **changed):
    body = {"person": "x", "purpose": "offers", "action": "send"} | changed
    head = {"authorization": f"Bearer {key}"}
    return h.browser().post("/api/v1/decide", json=body, headers=head)


def made(h, name, role=Role.MARKETER, actions=access.USUAL, days=90) -> str:
    if any(k.name == name and not k.ended for k in h.office.store.api_keys()):
        access.end_key(h.office, name, GARETH)
    return access.make_key(h.office, name, role, actions, days, GARETH)


def codes_of(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [reason["code"] for reason in answer.json()["reasons"]]


def test_a_key_that_ended_or_is_over_opens_nothing(h):
    key = made(h, "shop")
    assert codes_of(ask(h, key)) == ["unknown_person"]
    access.end_key(h.office, "shop", GARETH)
    assert ask(h, key).status_code == 401
    key = made(h, "shop", days=2)
    h.later(2 * 86_400 - 1)
    assert ask(h, key).status_code == 200
    h.later(1)
    assert ask(h, key).status_code == 401
    assert h.acts()[-2:] == [("key_ended", "marketer", None), ("key_made", "marketer", None)]


@pytest.mark.parametrize("actor", [
    {"role": "privacy_officer", "id": NOKUTHULA.id}, {"role": "marketer", "id": LINDIWE.id},
    {"role": "it"}, {"role": "marketer", "id": "key:crm"}, {"role": "agency", "id": "shop"},
])  # fmt: skip
def test_a_body_that_claims_another_actor_than_its_key_is_refused(h, actor):
    key = made(h, "shop")
    made(h, "crm")
    size = len(h.raw())
    assert codes_of(ask(h, key, actor=actor)) == ["unknown_actor"]
    assert len(h.raw()) > size, "the attempt is recorded"
    people = {"people": ["x", "y"], "purpose": "offers", "actor": actor}
    head = {"authorization": f"Bearer {key}"}
    told = h.browser().post("/api/v1/decide/batch", json=people, headers=head).json()
    assert [a["reasons"][0]["code"] for a in told["answers"]] == ["unknown_actor"] * 2


@pytest.mark.parametrize("actor", [
    None, {"role": "marketer"}, {"role": "marketer", "id": "shop"},
    {"role": "marketer", "id": "key:shop"},
])  # fmt: skip
def test_a_body_may_say_again_what_its_key_says(h, actor):
    key = made(h, "shop")
    assert codes_of(ask(h, key, actor=actor)) == ["unknown_person"]


@pytest.mark.parametrize("role", ["system", "person"])
def test_no_key_asks_as_the_machinery_or_as_a_customer(h, role):
    assert ask(h, made(h, "shop"), actor={"role": role}).status_code == 400
    with pytest.raises(InvalidInput):
        access.make_key(h.office, "bad", Role(role), access.USUAL, 1, GARETH)


def test_a_key_asks_about_its_own_actions_only(h):
    key = made(h, "shop", actions=frozenset({Action.SEND}))
    assert codes_of(ask(h, key, action="profile", channel=None)) == ["purpose_not_permitted"]
    assert codes_of(ask(h, key)) == ["unknown_person"]


def test_a_key_does_no_more_than_its_role(h):
    key = made(h, "helpdesk", Role.SUPPORT, frozenset(Action))
    assert codes_of(ask(h, key)) == ["purpose_not_permitted"]


@pytest.mark.parametrize("token", ["", "x", "troth_", "troth_" + "0" * 48, "é"])
def test_a_made_up_key_opens_nothing(h, token):
    head = {"authorization": f"Bearer {token}".encode()}
    body = {"person": "x", "purpose": "offers"}
    assert h.browser().post("/api/v1/decide", json=body, headers=head).status_code == 401


# What is left behind


def test_no_event_names_a_member_of_staff_and_no_file_holds_a_secret_or_a_name(h):
    client, secret, codes = h.enrolled(LINDIWE)
    key, token = made(h, "shop"), h.invited(SIPHO)
    assert b"lindiwe" not in h.raw()
    assert b"lindiwe" not in h.raw().lower()
    files = bytes_of(h.folder.glob("keys/staff.db*"))
    assert b"marula" not in files
    for kept in (secret, *map(str.encode, codes), key.encode(), token.encode()):
        assert kept not in files
    assert session(client).encode() not in files
    assert {f.stat().st_mode & 0o077 for f in h.folder.glob("keys/staff.db*")} == {0}


def test_nothing_of_a_sign_in_stands_in_the_log(h, capsys):
    _, _, codes = h.enrolled(LINDIWE)
    h.sign_in(h.browser(), PLANTED, codes[0])
    h.browser().get(f"/enrol/{'a' * 32}")
    told = capsys.readouterr()
    assert '"route": "/enrol/{token}"' in told.err
    for kept in (PLANTED, codes[0], "a" * 32, LINDIWE.id):
        assert kept not in told.err + told.out
