"""The console's frame: who may come in, and what a form must carry."""

import re

import pytest
from hub_shop import shop


@pytest.mark.parametrize("role", ["marketer", "privacy_officer", "it", "support"])
def test_a_door_of_the_demo_opens_the_console_of_its_role(role):
    text = shop().door(role).get("/console").text
    assert "<h1>Good day" in text
    assert 'href="/static/console.css' in text


def test_without_a_session_the_console_leads_to_signing_in():
    answer = shop().client.get("/console", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/signin?next=/console"


def test_there_is_no_door_for_an_invented_role():
    for role in ("person", "system", "admin", "agency"):
        assert shop().client.post(f"/doors/{role}").status_code == 404


def test_signing_out_ends_the_session_also_for_who_kept_its_cookie():
    client = shop().door("marketer")
    kept = dict(client.cookies)
    assert client.post("/sign-out").status_code == 303
    client.cookies.update(kept)
    assert client.get("/console").status_code == 303


def test_a_page_of_the_console_has_no_inline_script_and_loads_nothing_from_elsewhere():
    text = shop().door("marketer").get("/console").text
    assert not re.search(r"<script(?! src=\"/static/)", text)
    assert not re.search(r"\s(style|on[a-z]+)=", text)
    assert not re.search(r"""(src|href|action)=["'](https?:)?//""", text)
