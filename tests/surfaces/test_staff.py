"""Who may do what: each address knows its actor, IT keeps accounts and keys, masks by action."""

import contextlib
import functools
import io
import json
import re

import pytest
from hub_shop import make_shop
from staff_house import (
    FATIMA,
    GARETH,
    LINDIWE,
    NOKUTHULA,
    SIPHO,
    hidden,
    staff_house,
)
from starlette.testclient import TestClient

from troth.adapters.roles import RolePolicy
from troth.capabilities import access
from troth.capabilities.access import rules
from troth.capabilities.outreach import plans
from troth.errors import InvalidInput
from troth.surfaces import cli
from troth.surfaces.web.server import build_app, public
from troth.terms import Action, Actor, Claim, PurposeKind, Role, UseRequest

shop = functools.cache(make_shop)
"""A shop of this file's own: what others did to theirs is not seen here."""


@pytest.fixture
def h():
    made = staff_house()
    made.settle()
    return made


# Every address knows its actor


def fill(path: str) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", "1", path)


def unguarded(app) -> list[str]:
    """Addresses that answer somebody without session or key, and are not listed as open."""
    client = TestClient(app, base_url="http://127.0.0.1:8400", follow_redirects=False)
    found = []
    for route in app.routes:
        path = route.path
        for method in sorted(set(route.methods or ()) - {"HEAD", "OPTIONS"}):
            if path in public():
                continue
            answer = client.request(method, fill(path), content=b"{}")
            asked = answer.status_code == 401 or (
                answer.status_code == 303
                and answer.headers["location"].startswith(("/signin", "/my/enter"))
            )
            if not asked:
                found.append(f"{method} {path} {answer.status_code}")
    return found


def test_every_address_asks_who_comes_or_says_why_it_does_not():
    s = shop()
    for app in (s.app, build_app(s.ws, None, None)):
        assert unguarded(app) == []
    assert all(len(reason) > 10 for reason in public().values())


def test_an_address_that_forgets_to_ask_is_found():
    app = build_app(shop().ws, None, None)

    @app.get("/planted/{number}")
    def planted(number: int) -> dict:
        return {"told": number}

    assert unguarded(app) == ["GET /planted/{number} 200"]


def test_a_page_of_the_console_that_forgets_to_ask_still_shows_nothing():
    app = build_app(shop().ws, None, None)

    @app.get("/console/planted")
    def planted() -> dict:
        return {"told": "secret"}

    assert unguarded(app) == []


def test_a_list_of_open_addresses_names_only_what_exists():
    paths = {route.path for route in shop().app.routes}
    named = set(public())
    assert named <= paths, named - paths


def test_a_real_workspace_has_no_doors_and_shows_no_people_to_strangers(h):
    client = h.browser()
    paths = {route.path for route in h.app.routes}
    assert not {path for path in paths if path.startswith("/doors")}
    for role in ("marketer", "it", "privacy_officer", "support"):
        assert client.post(f"/doors/{role}").status_code == 404
        assert client.post(f"/doors/{role}", data={"who": GARETH.id}).status_code == 404
    for path in ("/inbox", "/levels", "/refused", "/inbox/1", "/levels/1/html"):
        assert client.get(path).status_code == 404
    text = client.get("/signin").text
    assert "/doors/" not in text
    assert "demo" not in text.lower().replace("demo time", "")


def test_a_door_of_the_demo_says_what_it_is_and_opens_for_listed_staff_alone():
    s = shop()
    text = s.client.get("/signin").text
    assert "This is a demo" in text
    assert "Sipho" in text
    client = TestClient(s.app, base_url="http://127.0.0.1:8400", follow_redirects=False)
    assert client.post("/doors/it", data={"who": LINDIWE.id}).status_code == 404
    assert client.post("/doors/marketer", data={"who": SIPHO.id}).status_code == 303
    assert "Good day, Sipho" in client.get("/console").text
    assert "door of the demo" in client.get("/console/me").text
    token = hidden(s.door("it").get("/console/staff").text, "form")
    assert client.post("/console/me/codes", data={"form": token}).status_code == 403


def test_a_page_elsewhere_opens_no_door():
    answer = shop().client.post("/doors/it", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


# The page of staff


def test_it_invites_suspends_restores_and_resets_on_its_page(h):
    client, _, _ = h.enrolled(GARETH)
    text = client.get("/console/staff").text
    assert "2 people may see names, 2 more see a part of them" in text
    form = {"form": hidden(text, "form"), "who": f"support:{FATIMA.id}"}
    if "Restore" in text:
        client.post("/console/staff/restore", data=form)
    shown = client.post("/console/staff/invite", data=form).text
    link = re.search(r"http://localhost:8400(/enrol/[0-9a-f]{32})", shown)[1]
    assert h.browser().get(link).status_code == 200
    assert link not in client.get("/console/staff").text
    done = client.post("/console/staff/suspend", data=form)
    assert done.headers["location"] == "/console/staff?done=suspended"
    assert "The account is suspended" in client.get(done.headers["location"]).text
    assert h.acts()[-1] == ("suspended", "support", None)
    assert client.post("/console/staff/restore", data=form).status_code == 303
    assert client.post("/console/staff/nothing", data=form).status_code == 404
    nobody = form | {"who": "it:nobody@marula.example"}
    assert client.post("/console/staff/invite", data=nobody).status_code == 404
    own = form | {"who": f"it:{GARETH.id}"}
    assert client.post("/console/staff/suspend", data=own).status_code == 409
    assert client.get("/console/staff").status_code == 200


@pytest.mark.parametrize("who", [LINDIWE, NOKUTHULA, FATIMA])
def test_the_page_of_staff_is_its_alone(h, who):
    client, _, _ = h.enrolled(who)
    assert client.get("/console/staff").status_code == 403
    form = {"form": hidden(client.get("/console/me").text, "form"), "who": f"it:{GARETH.id}"}
    for act in ("invite", "suspend", "restore", "reset"):
        assert client.post(f"/console/staff/{act}", data=form).status_code == 403
    assert client.post("/console/keys", data=form | {"name": "x"}).status_code == 403


def test_it_makes_and_ends_keys_on_its_page(h):
    client, _, _ = h.enrolled(GARETH)
    form = {"form": hidden(client.get("/console/staff").text, "form"), "name": "web-shop"}
    told = {"role": "marketer", "days": "30", "action-send": "yes"}
    shown = client.post("/console/keys", data=form | told).text
    key = re.search(r"<code>(troth_[0-9a-f]{48})</code>", shown)[1]
    held = access.held_key(h.office, key)
    assert (held.role, held.actions) == (Role.MARKETER, {Action.SEND})
    assert key not in client.get("/console/staff").text
    assert client.post("/console/keys", data=form | told).status_code == 409
    for wrong in (
        {"days": "0"},
        {"days": "999"},
        {"days": "x"},
        {"role": "system"},
        {"name": "A b"},
    ):
        assert client.post("/console/keys", data=form | told | wrong).status_code == 400
    assert client.post("/console/keys/end", data=form).status_code == 303
    assert access.held_key(h.office, key) is None
    assert client.post("/console/keys/end", data=form).status_code == 404


def test_ones_own_page_asks_for_a_fresh_sign_in_before_anything_changes(h):
    client, _, _ = h.enrolled(LINDIWE)
    form = {"form": hidden(client.get("/console/me").text, "form"), "passkey": "00"}
    h.later(16 * 60)
    for act in ("codes", "passkey", "passkey/drop"):
        answer = client.post(f"/console/me/{act}", data=form)
        assert answer.headers["location"] == "/signin?say=again&next=%2Fconsole%2Fme"
    assert "sign in once more" in client.get(answer.headers["location"]).text
    assert client.get("/console/me").status_code == 200


def test_signing_out_everywhere_ends_every_session_of_the_account(h):
    client, secret, _ = h.enrolled(LINDIWE)
    h.later(60)
    other = h.browser()
    h.sign_in(other, LINDIWE.id, h.code(secret))
    text = client.get("/console/me").text
    assert text.count("<li>since ") == 2
    form = {"form": hidden(text, "form")}
    assert (
        client.post("/console/me/everywhere", data=form).headers["location"] == "/signin?say=out"
    )
    assert other.get("/console").status_code == 303
    assert h.acts()[-1] == ("signed_out", "marketer", None)


def test_the_last_way_to_sign_in_is_not_deleted(h):
    from staff_house import SoftKey, options, with_passkey

    client, key = with_passkey(h, NOKUTHULA)
    text = client.get("/console/me").text
    form = {"form": hidden(text, "form"), "passkey": key.id.hex()}
    assert client.post("/console/me/passkey/drop", data=form).status_code == 409
    second = SoftKey()
    token = form | {"credential": second.create(options(text))}
    assert client.post("/console/me/passkey", data=token).headers["location"].endswith("=added")
    assert client.post("/console/me/passkey", data=token).status_code == 400, "used up"
    assert client.post("/console/me/passkey/drop", data=form).status_code == 303
    assert [p.id for p in h.office.store.passkeys(access.key_of(h.office, NOKUTHULA))] == [
        second.id
    ]
    assert client.post("/console/me/passkey/drop", data=form | {"passkey": "x"}).status_code == 400


# The command line


def run(folder, *line: str) -> tuple[int, dict]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = cli.answer([*line, "--json", "-w", str(folder)])
    return status, json.loads(out.getvalue())


def test_beginning_a_workspace_ends_by_saying_how_the_first_of_it_gets_an_account(
    tmp_path, capsys
):
    assert cli.answer(["init", str(tmp_path / "w"), "--from", "demo"]) == 0
    assert "troth staff invite it:gareth@marula.example -w" in capsys.readouterr().out


def test_staff_and_keys_are_kept_from_the_command_line_too(tmp_path):
    h, who = tmp_path / "w", f"it:{GARETH.id}"
    assert cli.answer(["init", str(h), "--from", "demo"]) == 0
    assert "not invited" not in str(run(h, "staff", "list"))
    assert run(h, "staff", "reset", who)[0] == 2
    status, told = run(h, "staff", "invite", who)
    assert status == 0
    assert re.fullmatch(r"http://localhost:8400/enrol/[0-9a-f]{32}", told["link"])
    told = run(h, "staff", "list")[1]["staff"]
    assert [m["state"] for m in told if m["id"] == GARETH.id] == ["invited"]
    assert run(h, "staff", "suspend", who)[0] == 0
    assert run(h, "staff", "invite", who)[0] == 2
    assert run(h, "staff", "restore", who)[0] == 0
    assert run(h, "staff", "reset", who)[0] == 0
    for wrong in ("gareth", "it:", "system:x", "person:x", "it:nobody"):
        assert run(h, "staff", "invite", wrong)[0] == 2
    status, made = run(h, "key", "make", "crm", "--role", "support", "--days", "7")
    assert (status, made["days"], made["key"][:6]) == (0, 7, "troth_")
    assert run(h, "key", "list")[1]["keys"][-1]["name"] == "crm"
    assert made["key"] not in json.dumps(run(h, "key", "list")[1])
    assert run(h, "key", "end", "crm")[0] == 0
    assert run(h, "key", "end", "crm")[0] == 2
    assert run(h, "key", "make", "bad", "--role", "system")[0] == 2


# Roles and masks


def claim(h, actor, action, purpose="offers", categories=("identity.name",)):
    with h.ws.store.look() as view:
        asked = UseRequest(actor, None, purpose, action, None, frozenset(categories), view.now)
        return h.ws.desk.claim(asked, h.ws.desk.house(view))


def test_a_marketer_reads_of_a_real_person_an_initial_and_for_marketing_alone(h):
    told = claim(h, LINDIWE, Action.READ)
    assert isinstance(told, Claim)
    assert told.categories["identity.name"] == "initial"
    assert told.categories["contact.email"] == "null"
    assert claim(h, LINDIWE, Action.PROFILE).categories["identity.name"] == "full"
    for purpose in ("personalise", "service"):
        assert [r.code for r in claim(h, LINDIWE, Action.READ, purpose).reasons]


def test_an_initial_is_a_first_letter_and_no_length():
    from troth.kernel.vault import _masked

    assert _masked("Thandeka", "initial") == "T•••"
    assert _masked("Al", "initial") == "A•••"
    assert _masked("Élise", "initial") == "É•••"
    assert _masked("", "initial") == ""


@pytest.mark.parametrize("wrong", [
    {"masks": {"read": {"identity.name": "inital"}}}, {"masks": {"raed": {}}},
    {"purposes": {"read": ["marketing"]}}, {"purposes": {"raed": []}}, {"kinds": ["x"]},
    {"actions": ["x"]}, {"mask": {}}, {"categories": {"a": "x"}},
])  # fmt: skip
def test_a_role_with_a_word_nobody_knows_does_not_load(wrong):
    row = {"name": "marketer", "kinds": [], "actions": [], "categories": {}} | wrong
    with pytest.raises(InvalidInput):
        RolePolicy([row], {}, lambda _: PurposeKind.MARKETING)


def test_without_an_office_the_policy_knows_whoever_is_listed():
    row = {"name": "it", "kinds": ["service"], "actions": ["read"], "categories": {}}
    policy = RolePolicy([row], {"it": ["a"]}, lambda _: PurposeKind.SERVICE)
    for name, known in (("a", True), ("b", False)):
        asked = UseRequest(Actor(Role.IT, name), None, "x", Action.READ, None, frozenset(), 0)
        assert isinstance(policy.claim(asked), Claim) is known


# Duty


def test_one_hand_is_one_hand_in_whatever_role(h):
    spelt = access.spelt(h.office, LINDIWE)
    as_officer = access.spelt(h.office, Actor(Role.OFFICER, LINDIWE.id))
    assert spelt != as_officer
    assert plans.same_hand(spelt, spelt)
    assert plans.same_hand(spelt, as_officer)
    assert not plans.same_hand(spelt, access.spelt(h.office, SIPHO))


# Rules


@pytest.mark.parametrize(("at", "code"), [
    (59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
    (2000000000, "69279037"), (20000000000, "65353130"),
])  # fmt: skip
def test_one_time_codes_are_those_of_rfc_6238_appendix_b(at, code):
    assert rules.totp(b"12345678901234567890", at // 30, 8) == code


@pytest.mark.parametrize(("count", "code"), list(enumerate(
    ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
     "520489"])))  # fmt: skip
def test_one_time_codes_are_those_of_rfc_4226_appendix_d(count, code):
    assert rules.totp(b"12345678901234567890", count, 6) == code


def test_what_the_picture_says_is_what_apps_read():
    told = rules.otpauth(b"12345678901234567890", "Marula & Co", "a@b.example")
    assert told == (
        "otpauth://totp/Marula%20%26%20Co:a%40b.example"
        "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Marula%20%26%20Co"
    )


def test_what_is_no_recovery_code_reads_as_none():
    for text in ("", "123456", "0" * 15, "0" * 17, "é" * 16, "!" * 16, "u" * 16 + "="):
        assert rules.read_recovery(text) == b""
