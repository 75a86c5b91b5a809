"""Ways in by way of the identity provider that are not one's own: each ends at the sign-in page."""

import functools
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import parse_qs, urlsplit

import hostile_provider as bad
import pytest
from oidc_house import acts, alarms, oidc_house
from staff_house import GARETH, HOME, LINDIWE, NOKUTHULA, SIPHO, say_of, staff_house

from troth.app import oidc as wiring
from troth.capabilities import access
from troth.errors import Conflict, InvalidInput, NotFound
from troth.surfaces.web.acting import COOKIE
from troth.surfaces.web.oidc import ERRAND, MOST

STACK = ExitStack()


@functools.cache
def built():
    """A house whose provider is hostile, both kept for the whole file."""
    provider = STACK.enter_context(bad.hostile(lambda: 0))
    h = oidc_house(provider.issuer, more='claim = "email"')
    wiring.secret(h.ws.settings).write(bad.SECRET)
    provider.now = h.clock.now
    return h, provider


@pytest.fixture(scope="module", autouse=True)
def _stopped():
    yield
    STACK.close()


@pytest.fixture
def h():
    made, p = built()
    made.later(7200)
    p.claims, p.describe, p.token, p.answer = {}, {}, None, {}
    return made


@pytest.fixture
def p(h):
    return built()[1]


def start(h, client=None, **query):
    """A browser on its way: the browser, and what it was sent with."""
    client = client or h.browser()
    answer = client.get("/signin/oidc", params=query)
    told = {k: v[0] for k, v in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    built()[1].nonce = told["nonce"]
    return client, told


def back(client, told, code: str, **more):
    return client.get("/signin/oidc/back", params={"state": told["state"], "code": code, **more})


def enter(h, sub: str = "s-1", email: str = LINDIWE.id, sid: str = "", **query):
    """A browser that went the whole way."""
    client, told = start(h, **query)
    built()[1].claims = {"sub": sub, "email": email, "sid": sid or None}
    answer = back(client, told, told["state"])
    return client, answer


def opened(client) -> bool:
    return client.get("/console").status_code == 200


def test_a_word_that_holds_opens_so_that_every_refusal_below_means_something(h):
    client, answer = enter(h)
    assert answer.status_code == 200
    assert opened(client)


def test_a_state_is_good_once(h):
    client, told = start(h)
    assert back(client, told, "a1").status_code == 200
    replayed = h.browser()
    replayed.cookies.set(ERRAND, client.cookies.get(ERRAND, ""))
    assert say_of(back(replayed, told, "a2")) == "old"
    assert say_of(back(client, told, "a3")) == "old"


def test_of_many_answers_at_once_one_gets_in(h):
    client, told = start(h)
    cookie = client.cookies[ERRAND]

    def come(n: int):
        browser = h.browser(cookie=f"{ERRAND}={cookie}")
        return back(browser, told, f"many-{n}").status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(come, range(8))) == [200] + [303] * 7


def test_a_state_of_another_browser_opens_nothing_and_is_not_used_up(h):
    victim, told = start(h)
    thief = h.browser()
    assert say_of(back(thief, told, "b1")) == "old"
    thief, _ = start(h, thief)
    assert say_of(back(thief, told, "b2")) == "old"
    assert not opened(thief)
    built()[1].nonce = told["nonce"]
    assert back(victim, told, "b3").status_code == 200


def test_nobody_is_signed_in_as_somebody_else_by_a_link_that_was_sent_to_them(h):
    _, told = start(h)
    built()[1].claims = {"sub": "s-thief", "email": SIPHO.id}
    victim = h.browser()
    victim.get("/signin/oidc")
    answer = back(victim, told, "of the thief")
    assert say_of(answer) == "old"
    assert not victim.cookies.get(COOKIE)


def test_a_state_nobody_made_or_none_opens_nothing(h):
    client, _ = start(h)
    for state in ("", "x", "x" * 5_000, "é", "' OR 1=1"):
        assert (
            say_of(client.get("/signin/oidc/back", params={"state": state, "code": "c"})) == "old"
        )
    assert say_of(client.get("/signin/oidc/back")) == "old"


def test_an_errand_lasts_ten_minutes(h):
    client, told = start(h)
    h.later(600)
    assert say_of(back(client, told, "late")) == "old"
    client, told = start(h)
    h.later(599)
    assert back(client, told, "in time").status_code == 200


def test_a_code_of_another_errand_carries_another_nonce(h, p):
    client, told = start(h)
    p.nonce = "of the errand the code was stolen from"
    assert say_of(back(client, told, "stolen")) == "unproved"
    assert not opened(client)


def test_a_code_is_redeemed_once_and_a_replay_says_what_every_failure_says(h, p):
    client, told = start(h)
    assert back(client, told, "spent").status_code == 200
    other, told = start(h)
    assert say_of(back(other, told, "spent")) == "unproved"
    assert not opened(other)


def test_an_answer_of_another_issuer_never_reaches_the_token_endpoint(h, p):
    client, told = start(h)
    before = len(p.asked)
    answer = back(client, told, "mixed-up", iss="https://elsewhere.example")
    assert say_of(answer) == "unproved"
    assert [path for path, _ in p.asked[before:] if path == "/token"] == []
    assert not opened(client)


@pytest.mark.parametrize(
    "lie",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another"},
        {"aud": [bad.CLIENT, "another"]},
        {"azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"email_verified": False},
        {"email": "stranger@elsewhere.example"},
        {"email": "LINDIWE@marula.example"},
        {"email": " lindiwe@marula.example"},
        {"email": "key:web-shop"},
        {"email": "system"},
    ],
)
def test_a_lie_in_a_signed_word_opens_nothing_and_says_what_every_failure_says(h, p, lie):
    client, told = start(h)
    p.claims = lie
    answer = back(client, told, f"lie-{told['state']}")
    assert answer.headers["location"] == "/signin?say=unproved&next=%2Fconsole"
    assert not opened(client)
    assert acts(h)[-1] == "refused"


@pytest.mark.parametrize("forged", ["none", "shared", "unknown key", "wrong key"])
def test_a_forged_signature_opens_nothing(h, p, forged):
    other = bad.key("RSA", "rsa")
    p.token = {
        "none": bad.unsigned,
        "shared": lambda c: bad.by_shared_secret(c, bad.KEYS["rsa"].as_pem(private=False)),
        "unknown key": lambda c: bad.signed({"alg": "RS256", "kid": "evil"}, c, other),
        "wrong key": lambda c: bad.signed({"alg": "RS256", "kid": "rsa"}, c, other),
    }[forged]
    client, told = start(h)
    assert say_of(back(client, told, f"forged {forged}")) == "unproved"
    assert not opened(client)


def test_an_error_of_the_provider_is_a_failure_like_any_and_ends_the_errand(h, p):
    client, told = start(h)
    answer = back(client, told, "good", error="access_denied", error_description="<b>x</b>")
    assert say_of(answer) == "unproved"
    assert "<b>" not in client.get(answer.headers["location"]).text
    assert say_of(back(client, told, "good")) == "old"


@pytest.mark.parametrize(
    "onward",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/x\r\ny: z",
     '/"><script>', "/\tevil", "http:evil.example", "/signin;url=//evil.example", "/x' y"],
)  # fmt: skip
def test_the_way_onward_stays_in_this_house(h, onward):
    _, answer = enter(h, next=onward)
    assert answer.status_code == 200
    assert 'content="0;url=/console"' in answer.text
    assert "evil" not in answer.text
    assert "<script>" not in answer.text.replace("<script src", "")


def test_a_session_somebody_planted_is_not_the_one_that_is_signed_in(h):
    victim, told = start(h)
    victim.cookies.set(COOKIE, "f" * 48, domain="localhost.local", path="/")
    assert back(victim, told, "planted").status_code == 200
    assert victim.cookies.get(COOKIE) != "f" * 48
    thief = h.browser()
    thief.cookies.set(COOKIE, "f" * 48)
    assert not opened(thief)


def test_signing_in_ends_the_session_the_browser_came_with(h):
    client, _ = enter(h)
    old = h.browser()
    old.cookies.set(COOKIE, client.cookies[COOKIE])
    client, told = start(h, client)
    assert back(client, told, "second").status_code == 200
    assert not opened(old)
    assert opened(client)


def test_an_address_handed_on_does_not_hand_on_the_account(h, p):
    enter(h, "s-nokuthula", NOKUTHULA.id)
    before = len(alarms(h))
    client, answer = enter(h, "s-new-hire", NOKUTHULA.id)
    assert say_of(answer) == "unproved"
    assert not opened(client)
    assert alarms(h)[before:] == ["signin.taken"]
    access.unbind(h.office, NOKUTHULA, GARETH)
    client, answer = enter(h, "s-new-hire", NOKUTHULA.id)
    assert opened(client)


def test_somebody_who_renames_themselves_at_the_provider_is_still_nobody_else(h, p):
    enter(h, "s-1", LINDIWE.id)
    before = len(alarms(h))
    client, answer = enter(h, "s-1", GARETH.id)
    assert say_of(answer) == "unproved"
    assert not opened(client)
    assert alarms(h)[before:] == ["signin.taken"]


def test_resetting_an_account_lets_it_be_bound_anew_and_ends_its_sessions(h, p):
    client, _ = enter(h, "s-sipho", SIPHO.id)
    assert opened(client)
    access.reset(h.office, SIPHO, GARETH)
    assert not opened(client)
    client, _ = enter(h, "s-sipho-2", SIPHO.id)
    assert opened(client)


def test_a_proof_of_long_ago_is_no_new_proof(h, p):
    client, _ = enter(h)
    client, told = start(h, client, again="1")
    p.claims = {"auth_time": h.clock.now() // bad.SECOND - 3600}
    assert say_of(back(client, told, "stale")) == "unproved"
    client, told = start(h, client, again="1")
    p.claims = {"auth_time": h.clock.now() // bad.SECOND}
    assert back(client, told, "fresh").status_code == 200


def test_a_flood_of_answers_is_turned_away_and_noted_once(h):
    browsers = [start(h) for _ in range(34)]
    before = len(acts(h))
    said = [say_of(back(client, told, "nonsense")) for client, told in browsers]
    assert said.count("wait") == 4
    assert said.count("unproved") == 30
    assert acts(h)[before:] == ["refused"] * 31
    assert h.acts()[-1][2] == "rate"


def test_a_flood_of_departures_forgets_the_longest_away_and_stays_small(h):
    errands = h.app.state.hub.kept["errands"]
    client, told = start(h)
    for _ in range(MOST):
        errands.send(f"{HOME}/signin/oidc/back", None, "/console", "")
    assert len(errands._away) == MOST
    assert say_of(back(client, told, "forgotten")) == "old"
    errands._away.clear()


def test_a_provider_that_is_away_is_said_so_and_nothing_is_counted_against_anybody(h, p):
    client, told = start(h)
    p.status = {"/keys": 500, "/token": 200}
    p.raw = {"/token": b"no json"}
    before = len(acts(h))
    assert say_of(back(client, told, "away")) == "away"
    assert len(acts(h)) == before
    p.status, p.raw = {}, {}


# Back-channel logout


def leave(h, token: str, **headers):
    return h.browser().post("/signin/oidc/logout", data={"logout_token": token}, headers=headers)


def test_the_providers_word_ends_every_session_of_that_person_and_of_nobody_else(h, p):
    client, _ = enter(h, "s-1", LINDIWE.id)
    other, _ = enter(h, "s-gareth-3", GARETH.id)
    assert leave(h, p.farewell(sub="s-1")).status_code == 200
    assert not opened(client)
    assert opened(other)
    assert h.acts()[-1] == ("signed_out", "marketer", "oidc")


def test_a_word_about_one_session_at_the_provider_ends_what_it_opened(h, p):
    client, _ = enter(h, sid="there-7")
    assert leave(h, p.farewell(sub=None, sid="another")).status_code == 200
    assert opened(client)
    assert leave(h, p.farewell(sub=None, sid="there-7")).status_code == 200
    assert not opened(client)


def test_a_farewell_counts_once_and_a_forged_one_never(h, p):
    client, _ = enter(h)
    token = p.farewell(sub="s-unknown")
    assert leave(h, token).status_code == 200
    assert leave(h, token).status_code == 400
    other = bad.key("RSA", "rsa")
    for forged in (
        "",
        "a.b.c",
        p.farewell(nonce="n"),
        p.farewell(events={}),
        p.farewell(aud="another"),
        p.farewell(iss="https://elsewhere.example"),
        bad.unsigned({"sub": "s-1"}),
        bad.signed({"alg": "RS256", "kid": "rsa", "typ": "logout+jwt"}, {"sub": "s-1"}, other),
        bad.signed({"alg": "RS256", "kid": "rsa"}, p.good()),
    ):
        answer = leave(h, forged)
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})
    assert h.browser().post("/signin/oidc/logout", content=b"\xff").status_code == 400
    assert opened(client)


def test_a_provider_that_hangs_holds_no_more_than_three_at_once(h, p):
    free = h.app.state.hub.kept["provider.free"]
    client, told = start(h)
    taken = [free.acquire(blocking=False) for _ in range(3)]
    assert all(taken)
    assert say_of(h.browser().get("/signin/oidc")) == "wait"
    assert say_of(h.browser().get("/signin/oidc/out")) == "wait"
    assert leave(h, p.farewell()).status_code == 503
    assert say_of(back(client, told, "waits")) == "wait"
    assert h.browser().get("/signin").status_code == 200
    for _ in taken:
        free.release()


# Houses without a provider, or whose settings do not read


def test_a_house_without_a_provider_has_no_such_addresses():
    plain = staff_house()
    for path in ("/signin/oidc", "/signin/oidc/back", "/signin/oidc/out"):
        assert plain.browser().get(path).status_code == 404
    assert plain.browser().post("/signin/oidc/logout").status_code == 404
    assert [(c.id, c.state) for c in wiring.checks(plain.ws)] == [("signin.provider", "off")]
    assert "/signin/oidc" not in plain.browser().get("/signin").text


@pytest.mark.parametrize(
    "section",
    [
        {"client_id": "x"},
        {"issuer": "http://elsewhere.example", "client_id": "x"},
        {"issuer": "https://x.example?a=b", "client_id": "x"},
        {"issuer": "https://x.example"},
        {"issuer": "https://x.example", "client_id": "x", "claim": "name"},
        {"issuer": "https://x.example", "client_id": "x", "mode": "sometimes"},
        {"issuer": "https://x.example", "client_id": "x", "amr": "mfa"},
        {"issuer": "https://x.example", "client_id": "x", "client_secret": "in the file"},
    ],
)
def test_a_section_that_does_not_read_is_refused_and_no_value_is_repeated(section):
    from dataclasses import replace

    settings = replace(staff_house().ws.settings, signin={"oidc": section})
    with pytest.raises(InvalidInput) as told:
        wiring.provider(settings)
    assert "elsewhere" not in str(told.value)
    assert "in the file" not in str(told.value)
    with pytest.raises(InvalidInput):
        wiring.provider(replace(settings, signin={"saml": {}}))


def test_with_the_provider_alone_links_and_passkeys_open_nothing(h):
    from dataclasses import replace

    closed = replace(h.office, ways="provider")
    token = access.invite(
        h.office, next(m.actor for m in access.members(h.office) if m.state == "none"), GARETH
    )
    with pytest.raises(NotFound):
        access.read_invite(closed, token)
    with pytest.raises(Conflict):
        access.invite(closed, LINDIWE, GARETH)
