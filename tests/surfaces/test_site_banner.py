"""A banner tool's own callback, passed on: one write for all it answers, once, and only a choice."""

import itertools

import pytest
import site_shop

from troth.app import site

numbers = itertools.count(1 << 40)


@pytest.fixture
def shop(tmp_path):
    found = site_shop.opened(tmp_path)
    yield found
    found.house.ws.close()


def pass_on(browser, callback, tool="klaro", key="", **more):
    session = more.pop("session", f"{next(numbers):032x}")
    notice = more.pop("notice", "site@1")
    token = more.pop("token", None) or browser.token(session, notice)[0]
    body = {
        "tool": tool,
        "callback": callback,
        "notice": notice,
        "session": session,
        "token": token,
    }
    answer = browser.client.post(
        "/api/v1/site/banner", json={**body, **more},
        headers=browser.headers(idempotency_key=key or f"key-{session}"),
    )  # fmt: skip
    browser.take(answer)
    return answer, body


def said(**answers):
    return {"changes": answers, "consents": answers, "type": "save"}


CALLBACKS = {
    "klaro": said(site=True, recognise=True, personalise=False),
    "vanilla-cookieconsent": {"acceptType": "custom", "acceptedCategories": ["site", "recognise"],
                              "rejectedCategories": ["personalise"]},
    "c15t": {"preferences": {"necessary": True, "experience": True, "functionality": True,
                             "marketing": False}, "previousPreferences": {}},
}  # fmt: skip


@pytest.mark.parametrize("tool", CALLBACKS)
def test_one_callback_answers_every_purpose_it_names_for_one_visitor(shop, tool):
    browser = shop.browser()
    answer, _ = pass_on(browser, CALLBACKS[tool], tool)
    assert answer.json() == {"site": "given", "recognise": "given", "personalise": "ended"}
    person = shop.visitor(browser).person
    assert shop.types(person).count("consent.given") == 2
    acts = [e.payload for e in shop.house.chain(person) if e.type.startswith("consent.")]
    assert {a.method for a in acts} == {tool}


def test_a_replay_gets_its_first_answer_and_an_altered_one_is_refused(shop):
    browser = shop.browser()
    first, body = pass_on(browser, said(site=True), key="one-key-of-mine")
    size = shop.size()
    again = browser.client.post(
        "/api/v1/site/banner", json=body, headers={"idempotency-key": "one-key-of-mine"}
    )
    assert again.json() == first.json()
    other = {**body, "callback": said(site=True, recognise=True)}
    for key, code in (("one-key-of-mine", 409), ("another-key", 409)):
        answer = browser.client.post(
            "/api/v1/site/banner", json=other, headers={"idempotency-key": key}
        )
        assert answer.status_code == code
    assert shop.size() == size


def test_a_forged_token_another_origin_and_a_default_write_nothing(shop):
    browser = shop.browser()
    size = shop.size()
    assert pass_on(browser, said(site=True), token="0" * 32 + ".1.ff")[0].status_code == 400
    script = {**said(site=True), "type": "script"}
    assert pass_on(browser, script)[0].status_code == 400
    assert pass_on(browser, said(site=True), tool="planted")[0].status_code == 400
    assert pass_on(browser, said(site=True), notice="offers@3")[0].status_code == 400
    elsewhere = shop.browser(origin="https://evil.example")
    assert pass_on(elsewhere, said(site=True), token="x" * 8)[0].status_code == 403
    assert shop.size() == size
    assert not browser.kept


def test_what_stands_already_is_not_recorded_again_at_each_page(shop):
    browser = shop.browser()
    pass_on(browser, said(site=True))
    person = shop.visitor(browser).person
    n = len(shop.types(person))
    assert pass_on(browser, said(site=True))[0].json() == {"site": "given"}
    assert len(shop.types(person)) == n


def test_a_purpose_the_callback_does_not_name_stays_undecided(shop):
    browser = shop.browser()
    pass_on(browser, said(site=True))
    person = shop.visitor(browser).person
    acts = [e.payload.purpose for e in shop.house.chain(person) if e.type.startswith("consent.")]
    assert acts == ["site"]


def test_a_no_ends_what_stood(shop):
    browser = shop.browser()
    pass_on(browser, said(site=True))
    person = shop.visitor(browser).person
    answer, _ = pass_on(browser, said(site=False))
    assert answer.json() == {"site": "ended"}
    assert shop.types(person)[-1] == "consent.withdrawn"
    assert site.visitor(shop.ws, browser.cookie) is None


def test_under_the_opt_out_signal_a_yes_is_not_taken(shop):
    browser = shop.browser(**{"sec-gpc": "1"})
    answer, _ = pass_on(browser, said(site=True))
    assert answer.json() == {"site": "off"}
    assert not browser.kept
