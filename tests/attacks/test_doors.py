"""Requests and mails that would stop the hub, or get from it what is not theirs."""

import functools
import time

import pytest
from hub_shop import MARKETER, build_app, make_shop
from starlette.testclient import TestClient

shop = functools.cache(make_shop)
"""A shop of this file's own: what others did to theirs is not seen here."""

QUESTION = {
    "person": "shop-10",
    "actor": {"role": "marketer", "id": MARKETER.id},
    "purpose": "offers",
}
NESTED = b"".join(
    b"--"
    + b"a" * n
    + b"\r\nContent-Type: multipart/mixed; boundary="
    + b"a" * (n + 1)
    + b"\r\n\r\n"
    for n in range(1, 1_300)
)
MAILS = {
    "a date beyond the calendar": b"Date: Fri, 31 Dec 9999 23:59:59 -2359\r\n\r\nx",
    "comments in comments": b"To: " + b"(" * 20_000 + b"\r\n\r\nx",
    "parts in parts": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + NESTED[:200_000],
    "a charset that is none": b"Content-Type: text/html; charset=rot13\r\n\r\nx",
    "bytes of no charset": b"X-Troth-Ref: \xff\r\nTo: \xff\r\nFrom: \xfe\r\n\r\n\xff",
    "many signatures": b"DKIM-Signature: v=1; d=marula.example; s=troth-rsa\r\n" * 500 + b"\r\nx",
}


@pytest.mark.parametrize("raw", MAILS.values(), ids=MAILS)
def test_no_mail_can_stop_the_inbox(raw):
    s = shop()
    path = s.folder / "inbox/999999.eml"
    path.write_bytes(raw)
    try:
        for page in ("/inbox", "/inbox/999999", "/inbox/999999/html"):
            assert s.client.get(page).status_code == 200
    finally:
        path.unlink()


def test_a_mail_of_another_house_shows_no_stop_link():
    s = shop()
    path = s.folder / "inbox/999999.eml"
    path.write_bytes(b"List-Unsubscribe: <javascript:alert(1)//stop/" + b"a" * 32 + b">\r\n\r\nx")
    try:
        text = s.client.get("/inbox/999999").text
        assert "javascript:" not in text
        assert 'href="/stop/' not in text
    finally:
        path.unlink()


def test_a_body_without_end_is_refused_before_it_is_held_and_before_any_key():
    taken = []

    def endless():
        for _ in range(64):
            taken.append(1)
            yield b" " * (1 << 20)

    kind = {"content-type": "application/json"}
    answer = shop().client.post("/api/v1/decide", content=endless(), headers=kind)
    assert answer.status_code == 400
    said = shop().client.post("/receipt", content=b"x" * (2 << 20))
    assert said.status_code == 400


@pytest.mark.parametrize("page", ["/receipt", "/stop/" + "a" * 32])
def test_forms_in_forms_are_refused_at_once(page):
    kind = {"content-type": "multipart/form-data; boundary=a"}
    begun = time.process_time()
    assert shop().client.post(page, content=NESTED[: 1 << 20], headers=kind).status_code == 400
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("role", ["system", "person"])
def test_nobody_outside_asks_as_the_machinery_or_as_a_customer(role):
    s = shop()
    size = s.size()
    asked = {**QUESTION, "actor": {"role": role, "id": "whoever"}}
    assert s.client.post("/api/v1/decide", json=asked, headers=s.key).status_code == 400
    many = {k: v for k, v in asked.items() if k != "person"} | {"people": ["shop-10"]}
    assert s.client.post("/api/v1/decide/batch", json=many, headers=s.key).status_code == 400
    assert s.size() == size


def test_an_address_is_asked_once_over_the_interface_too():
    s = shop()
    asked = {**QUESTION, "purpose": "ask", "person": "shop-40", "categories": []}
    first, second = (
        s.client.post("/api/v1/decide", json=asked, headers=s.key).json() for _ in range(2)
    )
    assert first["agreed"] is True
    assert [r["code"] for r in second["reasons"]] == ["asked_once_already"]
    many = {k: v for k, v in asked.items() if k != "person"} | {"people": ["shop-41"] * 3}
    told = s.client.post("/api/v1/decide/batch", json=many, headers=s.key).json()["answers"]
    assert all(each["agreed"] for each in told), "one question about one person, asked thrice"


def test_a_real_workspace_has_no_key_of_its_own_to_show():
    s = shop()
    app = build_app(s.ws, None, None)
    with TestClient(app, base_url="http://127.0.0.1:8400") as client:
        assert app.state.hub.shown_key == ""
        assert "troth key make" in client.get("/api").text
        for key in ("", "x", " "):
            head = {"authorization": f"Bearer {key}"}
            assert client.post("/api/v1/decide", json=QUESTION, headers=head).status_code == 401


@pytest.mark.parametrize("named", [
    "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8400", "localhost@evil", "",
])  # fmt: skip
def test_a_page_elsewhere_does_not_reach_this_house(named):
    assert shop().client.get("/", headers={"host": named}).status_code == 400


def test_looking_at_a_stop_link_in_any_way_changes_nothing():
    s = shop()
    _, token = s.mail_of("shop-12")
    size = s.size()
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
        s.client.request(method, f"/stop/{token}?List-Unsubscribe=One-Click")
    s.client.post(f"/stop/{token}?List-Unsubscribe=One-Click")
    assert s.size() == size


@pytest.mark.parametrize("path", [
    "/static/%2e%2e/%2e%2e/parts.py", "/inbox/..%2f..%2ftroth.toml", "/inbox/" + "9" * 5000,
    "/inbox/-1", "/levels/99999999999999999999/html", "/tile/0/000%0a", "/tile/%2e%2e/x",
    "/tile/entries/x999/x999/x999/x999/000",
])  # fmt: skip
def test_paths_lead_nowhere_else(path):
    assert shop().client.get(path).status_code == 404
