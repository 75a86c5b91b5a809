"""An identity provider's word holds or it does not: each check can fail, and then names itself."""

import base64
import contextlib
import hashlib
import socket
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import hostile_provider as bad
import pytest
import real_provider
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.adapters import oidc, oidc_tokens, signin
from troth.adapters.oidc import OpenId, Secret, Terms
from troth.adapters.sqlite import schema
from troth.adapters.system import FixedClock, SystemClock
from troth.errors import InvalidInput, Unavailable
from troth.terms import SECOND, IdentityAsked, Instant

START = Instant(1_800_000_000 * SECOND)
BACK = "http://localhost:8400/signin/oidc/back"


class House:
    """The adapter against a hostile provider, with a clock that a test moves."""

    def __init__(self, provider, folder: Path, **terms) -> None:
        self.provider, self.clock = provider, FixedClock(START)
        provider.now = self.clock.now
        secret = Secret(folder / "oidc-client")
        secret.write(bad.SECRET)
        self.openid = OpenId(
            Terms(provider.issuer, bad.CLIENT, **{"claim": "email", **terms}), secret, self.clock
        )
        self.codes = 0

    def asked(self, again: str = "") -> IdentityAsked:
        asked = IdentityAsked("s" * 43, "n" * 43, "v" * 43, BACK, self.clock.now(), again)
        self.provider.nonce = asked.nonce
        return asked

    def redeem(self, again: str = ""):
        self.codes += 1
        asked = self.asked(again)
        return self.openid.redeem(f"code-{self.codes}", asked)

    def wrong(self, again: str = "") -> str:
        """Which check refuses."""
        with pytest.raises(InvalidInput) as told:
            self.redeem(again)
        return told.value.message.rpartition(": ")[2]


@pytest.fixture
def p():
    with bad.hostile(lambda: START) as made:
        yield made


@pytest.fixture
def house(p, tmp_path):
    return House(p, tmp_path)


def test_a_word_that_holds_names_whom_it_is_about_and_nothing_of_it_is_kept(house):
    found = house.redeem()
    assert (found.subject, found.name, found.proved) == ("s-1", "lindiwe@marula.example", 0)
    path, form = house.provider.asked[1]
    assert (path, form["redirect_uri"]) == ("/token", BACK)
    assert form["code_verifier"] == "v" * 43
    given_by = base64.b64decode(form["authorization"].partition(" ")[2]).decode()
    assert given_by == f"{bad.CLIENT}:{bad.SECRET}"


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"])
def test_every_signature_with_a_public_key_counts(house, alg):
    house.provider.head = {"alg": alg, "kid": bad.SIGNERS[alg]}
    assert house.redeem().subject == "s-1"


def test_the_question_carries_a_proof_of_who_asks_and_the_exact_way_back(house):
    asked = house.asked()
    told = parse_qs(urlsplit(house.openid.ask(asked)).query)
    digest = hashlib.sha256(asked.verifier.encode()).digest()
    assert told["code_challenge"] == [base64.urlsafe_b64encode(digest).decode().rstrip("=")]
    assert told["code_challenge_method"] == ["S256"]
    assert told["redirect_uri"] == [BACK]
    assert told["scope"] == ["openid email"]
    assert (told["state"], told["nonce"]) == ([asked.state], [asked.nonce])
    assert "prompt" not in told


WRONG_CLAIMS = [
    ({"iss": "https://elsewhere.example"}, "iss"),
    ({"iss": None}, "iss"),
    ({"aud": "another"}, "aud"),
    ({"aud": None}, "aud"),
    ({"aud": [bad.CLIENT, "another"]}, "aud"),
    ({"azp": "another"}, "azp"),
    ({"exp": START // SECOND - 60}, "exp"),
    ({"exp": None}, "exp"),
    ({"exp": "9999999999"}, "exp"),
    ({"exp": True}, "exp"),
    ({"exp": 1e300}, "exp"),
    ({"iat": START // SECOND + 61}, "iat"),
    ({"iat": START // SECOND - 661}, "iat"),
    ({"iat": None}, "iat"),
    ({"nbf": START // SECOND + 61}, "nbf"),
    ({"nonce": "of another errand"}, "nonce"),
    ({"nonce": None}, "nonce"),
    ({"nonce": ["n" * 43]}, "nonce"),
    ({"sub": None}, "sub"),
    ({"sub": ""}, "sub"),
    ({"sub": "x" * 256}, "sub"),
    ({"sub": 7}, "sub"),
    ({"email_verified": False}, "email_verified"),
    ({"email_verified": "true"}, "email_verified"),
    ({"email_verified": None}, "email_verified"),
    ({"email": None}, "email"),
    ({"email": ["lindiwe@marula.example"]}, "email"),
    ({"at_hash": "AAAA"}, "at_hash"),
    ({"at_hash": 1}, "at_hash"),
    ({"events": {bad.EVENT: {}}}, "events"),
]


@pytest.mark.parametrize(("claims", "check"), WRONG_CLAIMS)
def test_a_claim_that_does_not_hold_refuses(house, claims, check):
    house.provider.claims = claims
    assert house.wrong() == check


def test_a_minute_of_a_wrong_clock_is_borne_and_no_more(house):
    now = START // SECOND
    house.provider.claims = {"exp": now - 59, "iat": now + 60}
    assert house.redeem().subject == "s-1"


@pytest.mark.parametrize(("alg", "half"), [("RS256", 16), ("EdDSA", 32)])
def test_the_hash_of_the_access_token_is_recomputed(house, alg, half):
    digest = hashlib.sha256(b"at") if alg == "RS256" else hashlib.sha512(b"at")
    told = base64.urlsafe_b64encode(digest.digest()[:half]).decode().rstrip("=")
    house.provider.head = {"alg": alg, "kid": bad.SIGNERS[alg]}
    house.provider.claims = {"at_hash": told}
    assert house.redeem().subject == "s-1"
    house.provider.answer = {"access_token": "another"}
    assert house.wrong() == "at_hash"


def test_a_word_without_signature_or_by_a_shared_secret_is_nobodys(house):
    public = bad.KEYS["rsa"].as_pem(private=False)
    raw = bad.KEYS["rsa"].as_dict(private=False)["n"].encode()
    for secret in (public, raw, bad.SECRET.encode(), b""):
        house.provider.token = lambda claims, s=secret: bad.by_shared_secret(claims, s)
        assert house.wrong() == "alg"
    house.provider.token = bad.unsigned
    assert house.wrong() == "alg"
    house.provider.published.append({"kty": "oct", "kid": "rsa", "k": bad.part(b"shared" * 8)})
    house.provider.token = lambda claims: bad.by_shared_secret(claims, b"shared" * 8)
    assert house.wrong() == "alg"


@pytest.mark.parametrize(
    ("head", "check"),
    [
        ({"alg": "RS256", "kid": "rsa", "typ": "logout+jwt"}, "typ"),
        ({"alg": "RS256", "kid": "rsa", "typ": "at+jwt"}, "typ"),
        ({"alg": "RS256", "kid": "rsa", "crit": ["exp"]}, "typ"),
        ({"alg": "RS256", "kid": 7}, "form"),
        ({"alg": ["RS256"], "kid": "rsa"}, "alg"),
        ({"alg": "RS512", "kid": "rsa"}, "alg"),
        ({"alg": "ES256", "kid": "rsa"}, "kid"),
        ({"alg": "RS256", "kid": "ec"}, "kid"),
        ({"alg": "RS256", "kid": "nobody's"}, "kid"),
        ({"alg": "RS256", "jwk": bad.KEYS["rsa"].as_dict(private=False), "kid": "evil"}, "kid"),
        ({"alg": "RS256", "jku": "http://127.0.0.1:1/keys", "kid": "evil"}, "kid"),
    ],
)
def test_a_header_chooses_among_the_providers_keys_and_nothing_else(house, head, check):
    house.provider.token = lambda claims: f"{bad.part(head)}.{bad.part(claims)}.{bad.part(b'x')}"
    assert house.wrong() == check


def test_another_key_under_a_known_id_does_not_sign_for_the_provider(house):
    forged = bad.key("RSA", "rsa")
    house.provider.token = lambda claims: bad.signed(house.provider.head, claims, forged)
    assert house.wrong() == "signature"


def test_claims_changed_after_signing_do_not_hold(house):
    def changed(claims):
        head, _, sig = bad.signed(house.provider.head, claims).split(".")
        return f"{head}.{bad.part({**claims, 'sub': 's-2'})}.{sig}"

    house.provider.token = changed
    assert house.wrong() == "signature"


def test_without_an_id_of_a_key_exactly_one_must_fit(house):
    house.provider.head = {"alg": "ES256"}
    assert house.redeem().subject == "s-1"
    house.provider.published.append(bad.key("EC", "second").as_dict(private=False))
    house.clock.set(Instant(START + 2 * 3600 * SECOND))
    assert house.wrong() == "kid"


def test_keys_for_other_ends_and_weak_ones_sign_nothing(house):
    weak = {**bad.KEYS["rsa"].as_dict(private=False), "n": bad.part(b"\x80" + bytes(127))}
    for key in (
        {**bad.KEYS["rsa"].as_dict(private=False), "use": "enc"},
        {**bad.KEYS["rsa"].as_dict(private=False), "key_ops": ["encrypt"]},
        {**bad.KEYS["rsa"].as_dict(private=False), "alg": "PS256"},
        {"kty": "oct", "kid": "rsa", "k": "AAAA"},
        weak,
        {"kty": "RSA", "kid": "rsa"},
        "no key",
    ):
        assert not oidc_tokens.read_keys({"keys": [key]}).has(oidc_tokens.Head("RS256", "rsa"))
    for told in (None, [], {}, {"keys": {}}, {"keys": [{}] * 51}):
        with pytest.raises(Unavailable):
            oidc_tokens.read_keys(told)


def test_a_new_key_is_fetched_once_and_a_forgers_ids_cost_no_traffic(house):
    house.redeem()
    new = bad.key("RSA", "new")
    house.provider.published.append(new.as_dict(private=False))
    house.provider.token = lambda claims: bad.signed({"alg": "RS256", "kid": "new"}, claims, new)
    assert house.redeem().subject == "s-1"
    fetched = [path for path, _ in house.provider.asked].count("/keys")
    assert fetched == 2
    house.provider.head, house.provider.token = {"alg": "RS256", "kid": "evil"}, None
    for n in range(5):
        house.provider.token = lambda claims, n=n: bad.signed(
            {"alg": "RS256", "kid": f"evil-{n}"}, claims, new
        )
        assert house.wrong() == "kid"
    assert [path for path, _ in house.provider.asked].count("/keys") == fetched
    house.clock.set(Instant(house.clock.now() + 61 * SECOND))
    assert house.wrong() == "kid"
    assert [path for path, _ in house.provider.asked].count("/keys") == fetched + 1


def test_a_withdrawn_key_signs_nothing_after_an_hour(house):
    house.redeem()
    house.provider.published = house.provider.published[1:]
    house.clock.set(Instant(START + 3601 * SECOND))
    assert house.wrong() == "kid"


def test_a_provider_that_is_not_the_one_named_is_not_asked(house):
    wrong = [
        {"issuer": "https://elsewhere.example"},
        {"issuer": house.provider.issuer + "/"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": "http://elsewhere.example/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user:pass@elsewhere.example/"},
        {"jwks_uri": 7},
        {"jwks_uri": "https://elsewhere.example/\r\nx: y"},
        {"code_challenge_methods_supported": ["plain"]},
        {"code_challenge_methods_supported": "S256"},
    ]
    for told in wrong:
        house.provider.describe = told
        with pytest.raises(Unavailable):
            house.openid.ask(house.asked())
    assert {path for path, _ in house.provider.asked} == {"/.well-known/openid-configuration"}


def test_an_answer_of_another_issuer_is_refused_before_its_code_is_sent_anywhere(house):
    with pytest.raises(InvalidInput):
        house.openid.heard_back("https://elsewhere.example")
    house.openid.heard_back("")
    house.openid.heard_back(house.provider.issuer)
    house.provider.describe = {"authorization_response_iss_parameter_supported": True}
    house.clock.set(Instant(START + 2 * 3600 * SECOND))
    with pytest.raises(InvalidInput):
        house.openid.heard_back("")
    assert "/token" not in [path for path, _ in house.provider.asked]


def test_a_redirect_is_no_answer_and_is_not_followed(house):
    for path in ("/.well-known/openid-configuration", "/keys", "/token"):
        house.provider.status = {path: 302}
        house.clock.set(Instant(house.clock.now() + 2 * 3600 * SECOND))
        with pytest.raises((InvalidInput, Unavailable)):
            house.redeem()
    assert "/elsewhere" not in [path for path, _ in house.provider.asked]


def test_answers_that_are_too_long_too_deep_or_no_json_are_no_answers(house):
    for raw in (b"x" * 300_000, b"[" * 100_000, b"<html>", b"\xff\xfe", b'"text"', b""):
        for path in ("/.well-known/openid-configuration", "/keys", "/token"):
            house.provider.raw = {path: raw}
            house.clock.set(Instant(house.clock.now() + 2 * 3600 * SECOND))
            with pytest.raises((InvalidInput, Unavailable)):
                house.redeem()


def test_a_provider_that_keeps_its_answer_is_cut_off_before_it_gives_it(house, monkeypatch):
    monkeypatch.setattr(oidc, "TIMEOUT_S", 0.3)
    house.redeem()
    told, let_go, given = house.provider.told, threading.Event(), []

    def slow(path, form):
        if path == "/token":
            let_go.wait(30)
            given.append(path)
        return told(path, form)

    house.provider.told = slow
    try:
        with pytest.raises(Unavailable):
            house.redeem()
        assert given == []
    finally:
        let_go.set()


def test_a_provider_that_drips_is_cut_off_though_it_never_falls_silent(monkeypatch):
    monkeypatch.setattr(oidc, "TIMEOUT_S", 0.3)
    whole, sent = 100_000, []

    def drip(listening):
        taken, _ = listening.accept()
        with taken, contextlib.suppress(OSError):
            taken.recv(65_536)
            taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % whole)
            while len(sent) < whole:
                taken.sendall(b" ")
                sent.append(1)
                time.sleep(0.01)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        with pytest.raises(Unavailable):
            oidc._fetch(f"http://127.0.0.1:{listening.getsockname()[1]}/keys")
        thread.join(30)
    assert not thread.is_alive()
    assert 0 < len(sent) < whole


def test_nobody_there_is_said_as_such(tmp_path):
    secret = Secret(tmp_path / "oidc-client")
    secret.write("x")
    alone = OpenId(
        Terms(f"http://127.0.0.1:{real_provider.free_port()}", "troth", "sub"),
        secret,
        FixedClock(START),
    )
    with pytest.raises(Unavailable):
        alone.ask(IdentityAsked("s", "n", "v", BACK, START))


def test_a_token_that_is_none_and_one_too_long_are_refused(house):
    for token in ("", "a.b", "a.b.c.d", "!.!.!", "." * 2, "x" * 20_000, f"{bad.part([])}.e.e"):
        house.provider.token = lambda _claims, t=token: t
        assert house.wrong() == "form"
    house.provider.token = lambda claims: bad.signed(
        house.provider.head, {**claims, "pad": "x" * oidc_tokens.TOKEN_MAX}
    )
    assert house.wrong() == "form"
    house.provider.token = lambda claims: bad.signed(house.provider.head, claims) + ".more"
    assert house.wrong() == "form"
    for answer in ({"id_token": None}, {"id_token": 7}, {"token_type": "mac"}):
        house.provider.token, house.provider.answer = None, answer
        assert house.wrong() in {"code", "token_type"}


def test_a_code_is_redeemed_once(house):
    asked = house.asked()
    house.openid.redeem("one", asked)
    with pytest.raises(InvalidInput):
        house.openid.redeem("one", asked)
    for code in ("", "x" * 5_000):
        with pytest.raises(InvalidInput):
            house.openid.redeem(code, asked)


def test_whoever_must_prove_themselves_anew_did_so_just_now(house):
    now = START // SECOND
    for told in (None, now - 61, "now"):
        house.provider.claims = {"auth_time": told}
        assert house.wrong("again") == "auth_time"
    house.provider.claims = {"auth_time": now}
    assert house.redeem("again").proved == now * SECOND
    told = parse_qs(urlsplit(house.openid.ask(house.asked("again"))).query)
    assert (told["prompt"], told["max_age"]) == (["login"], ["0"])


def test_the_strength_the_house_asks_for_must_be_said(p, tmp_path):
    house = House(p, tmp_path, acr=("gold", "silver"), amr=("mfa", "hwk"))
    for claims, check in (
        ({}, "acr"),
        ({"acr": "bronze"}, "acr"),
        ({"acr": ["gold"]}, "acr"),
        ({"acr": "gold"}, "amr"),
        ({"acr": "gold", "amr": ["mfa"]}, "amr"),
        ({"acr": "gold", "amr": "mfa hwk"}, "amr"),
    ):
        p.claims = claims
        assert house.wrong() == check
    p.claims = {"acr": "silver", "amr": ["hwk", "pwd", "mfa"]}
    assert house.redeem().subject == "s-1"
    told = parse_qs(urlsplit(house.openid.ask(house.asked())).query)
    assert told["acr_values"] == ["gold silver"]


def test_a_farewell_that_holds_names_whom(house):
    told = house.openid.farewell(house.provider.farewell(sid="there"))
    assert (told.subject, told.session, told.issuer) == ("s-1", "there", house.provider.issuer)


WRONG_FAREWELLS = [
    ({"nonce": "n"}, "events"),
    ({"events": None}, "events"),
    ({"events": {"http://elsewhere.example": {}}}, "events"),
    ({"events": {bad.EVENT: None}}, "events"),
    ({"events": [bad.EVENT]}, "events"),
    ({"sub": None}, "sub"),
    ({"jti": None}, "jti"),
    ({"iss": "https://elsewhere.example"}, "iss"),
    ({"aud": "another"}, "aud"),
    ({"exp": None}, "exp"),
    ({"exp": START // SECOND - 61}, "exp"),
    ({"iat": START // SECOND - 3600}, "iat"),
    ({"sid": 7}, "sid"),
]


@pytest.mark.parametrize(("claims", "check"), WRONG_FAREWELLS)
def test_a_farewell_that_does_not_hold_is_refused(house, claims, check):
    with pytest.raises(InvalidInput, match=f": {check}"):
        house.openid.farewell(house.provider.farewell(**claims))


def test_an_id_token_is_no_farewell_and_a_farewell_no_id_token(house):
    with pytest.raises(InvalidInput, match="events"):
        house.openid.farewell(bad.signed(house.provider.head, house.provider.good(jti="j")))
    house.provider.token = lambda _claims: house.provider.farewell()
    assert house.wrong() == "typ"


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=60)
    | st.from_regex(
        r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}", fullmatch=True
    )
)
def test_whatever_bytes_come_as_a_token_the_answer_is_a_refusal(token):
    def read():
        head = oidc_tokens.header(token, oidc_tokens.ID_TYPES)
        oidc_tokens.verified(token, bad.KEYS["rsa"].as_dict(private=False) | {"alg": head.alg})

    with pytest.raises(InvalidInput):
        read()


def test_accounts_kept_before_there_was_a_provider_are_there_afterwards(tmp_path):
    path = tmp_path / "staff.db"
    before = schema.connect(path)
    schema.migrate(before, path, signin.STEPS[:1])
    before.execute("INSERT INTO account VALUES (x'01', 'active', x'02', x'', 0, 0, 0)")
    before.close()
    store = signin.FileSignin(tmp_path)
    assert store.account(b"\x01").state == "active"
    assert store.bind(b"\x01", b"subject")
    assert store.bind(b"\x01", b"subject")
    assert not store.bind(b"\x01", b"another")
    assert (store.bound(b"\x01"), store.accounts_of(b"subject")) == (b"subject", [b"\x01"])
    store.unbind(b"\x01")
    assert store.bound(b"\x01") == b""
    store.close()


@pytest.mark.parametrize(
    "url",
    ["http://provider.example", "ftp://provider.example", "https://", "https://a b.example", "https://u:p@x.example",
     "https://x.example/#f", "https://x.example:99999/", "//x.example", "", "https://x.example/\n"],
)  # fmt: skip
def test_an_address_is_https_or_of_this_machine(url):
    with pytest.raises(InvalidInput):
        oidc.place_of(url)


def test_the_secret_is_readable_by_its_owner_only_and_changed_as_a_whole(tmp_path):
    secret = Secret(tmp_path / "oidc-client")
    with pytest.raises(Unavailable, match="missing"):
        secret.read()
    for text in ("", "two\nlines", "\N{SNOWMAN}", "x" * 1_001):
        with pytest.raises(InvalidInput):
            secret.write(text)
    secret.write("one")
    secret.write("two")
    assert secret.read() == "two"
    assert secret.path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["oidc-client"]
    secret.path.chmod(0o604)
    with pytest.raises(Unavailable, match="open to others"):
        secret.read()


@pytest.mark.parametrize("alg", ["PS256", "ES256", "EdDSA"])
def test_a_certified_provider_is_understood_by_each_signature(tmp_path, alg):
    provider = real_provider.start("http://localhost:8400", alg)
    try:
        secret, clock = Secret(tmp_path / "oidc-client"), SystemClock()
        secret.write(real_provider.SECRET)
        openid = OpenId(Terms(provider.issuer, "troth", "preferred_username"), secret, clock)
        asked = IdentityAsked("s" * 43, "n" * 43, "v" * 43, BACK, clock.now())
        back = real_provider.Person(provider.issuer, "sub-gareth").go(openid.ask(asked))
        told = parse_qs(urlsplit(back).query)
        openid.heard_back(told["iss"][0])
        found = openid.redeem(told["code"][0], asked)
        assert (found.subject, found.name) == ("sub-gareth", "gareth@marula.example")
        with pytest.raises(InvalidInput):
            openid.redeem(told["code"][0], asked)
    finally:
        provider.stop()
