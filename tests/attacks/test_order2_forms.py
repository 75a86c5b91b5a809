"""Every form of staff is believed only with the token of its own session, sent from its own page."""

import functools
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "surfaces"))

import hub_shop

VALUES = {
    "role": "marketer", "token": "A" * 32, "name": "winback", "act": "submit", "level": "1",
    "group": "not",
}  # fmt: skip
ROLES = ("marketer", "privacy_officer", "support", "it")
OPEN = {
    "/receipt", "/stop/{token}", "/ask/{token}", "/doors/{role}", "/signin", "/enrol/{token}",
    "/sign-out", "/signin/oidc/logout",
}  # fmt: skip
"""Forms of whoever is not signed in, and the one that ends a session; each has its own tests."""
BODY = {
    "name": "winback", "audience": "winback", "template": "winback", "do": "publish",
    "who": "marketer:lindiwe@marula.example",
    "outside": "shop-01", "address": "shop-01@post.example", "case": "c1", "keep": "shop-01",
    "other": "shop-02", "why": "same", "reason": "because", "code": "123456", "version": "1",
    "role": "marketer", "days": "3", "url": "https://example.com/", "under": "connections",
    "starter": "welcome", "purpose": "offers", "action-decide": "on",
}  # fmt: skip
made = functools.cache(hub_shop.shop.__wrapped__)


def forms(shop):
    for route in shop.app.routes:
        apart = route.path.startswith(("/api/", "/my", "/embed/", "/record", "/forms", "/verify",
                                       "/scim/"))  # fmt: skip
        staff = not apart and route.path not in OPEN
        if staff and "POST" in (route.methods or ()):
            yield re.sub(r"\{([^}]+)\}", lambda m: VALUES.get(m[1], "1"), route.path)


def token_of(client):
    for page in ("people", "list", "staff"):
        text = client.get(f"/console/{page}").text
        if found := re.search(r'name="form" value="([^"]+)"', text):
            return found[1]
    raise AssertionError("no form token")


@pytest.mark.parametrize("role", ROLES)
def test_no_form_is_taken_without_its_own_sessions_token_or_from_a_page_elsewhere(role):
    shop = made()
    client, other = shop.door(role), shop.door(role)
    own, foreign = token_of(client), token_of(other)
    assert own != foreign
    elsewhere = (
        {"origin": "https://evil.example"}, {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
        {"host": "evil.example"},
    )  # fmt: skip
    tries = [
        *({"data": {**BODY, **token}} for token in ({}, {"form": ""}, {"form": foreign})),
        {"data": {**BODY, "form": own[:-1]}},
        *({"data": {**BODY, "form": own}, "headers": each} for each in elsewhere),
        {"data": BODY, "files": {"list": ("a.csv", b"email\na@b.example\n")}},
        {"json": {**BODY, "form": own}},
    ]
    size, taken = shop.size(), []
    for path in dict.fromkeys(forms(shop)):
        for each in tries:
            answer = client.post(path, **each)
            if answer.status_code not in {400, 403, 404} or shop.size() != size:
                taken.append((path, each, answer.status_code))
    assert not taken
    assert client.get("/console").status_code == 200


def test_no_form_of_staff_is_taken_without_a_session():
    shop = made()
    size = shop.size()
    for path in dict.fromkeys(forms(shop)):
        for cookie in ({}, {"cookie": f"troth_session={'0' * 48}"}):
            answer = shop.client.post(path, data=BODY, headers=cookie, follow_redirects=False)
            assert answer.status_code in {303, 401, 403}, path
            assert answer.headers.get("location", "/signin").startswith("/signin"), path
    assert shop.size() == size
