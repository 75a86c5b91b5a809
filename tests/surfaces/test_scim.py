"""A directory ends accounts by SCIM, and does nothing else; judged by a client that is not ours."""

import functools
import json
from contextlib import contextmanager

import httpx2
import pytest
from hub_shop import listening
from oidc_house import BOTH, acts, oidc_house
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server
from staff_house import FATIMA, GARETH, LINDIWE, NOKUTHULA, SIPHO

from troth.capabilities import access
from troth.terms import DAY, Instant

SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


@functools.cache
def house():
    return oidc_house("https://provider.example", more='claim = "email"')


@pytest.fixture
def h():
    return house()


@pytest.fixture
def scim(h):
    """A directory's own client, with a key that holds."""
    key = access.make_feed_key(h.office, 90, GARETH)
    return h.browser(authorization=f"Bearer {key}")


def user(name: str, **more) -> dict:
    return {"schemas": [SCHEMA], "userName": name, **more}


def made(scim, name: str) -> dict:
    found = scim.get("/scim/v2/Users", params={"filter": f'userName eq "{name}"'}).json()
    if found["totalResults"]:
        return found["Resources"][0]
    answer = scim.post("/scim/v2/Users", json=user(name))
    assert answer.status_code == 201, answer.text
    return answer.json()


def patch(scim, ident: str, *operations):
    return scim.patch(
        f"/scim/v2/Users/{ident}", json={"schemas": [PATCH], "Operations": list(operations)}
    )


def refused(answer, status: int, kind: str | None = None) -> None:
    told = answer.json()
    assert answer.status_code == status, told
    assert answer.headers["content-type"].startswith("application/scim+json")
    assert (told["schemas"], told["status"]) == ([ERROR], str(status))
    assert told.get("scimType") == kind
    assert told["detail"]


@contextmanager
def outside(h, scim):
    """A SCIM client of somebody else's, over a real connection."""
    with listening(h.app) as address:
        headers = {"authorization": scim.headers["authorization"]}
        with httpx2.Client(base_url=f"{address}/scim/v2", headers=headers) as http:
            yield SyncSCIMClient(http)


def test_an_independent_client_finds_and_ends_somebody(h, scim):
    ident = made(scim, SIPHO.id)["id"]
    with outside(h, scim) as client:
        client.discover()
        model = client.get_resource_model("User")
        found = client.query(model, ident)
        assert (found.user_name, found.active) == (SIPHO.id, True)
        found.active = False
        assert client.replace(found).active is False
        assert not access.may_enter(h.office, SIPHO)
        found.active = True
        assert client.replace(found).active is True


def test_an_independent_judge_finds_nothing_against_the_standard(h, scim):
    with outside(h, scim) as client:
        results = check_server(client, exclude_tags={"crud"})
    assert len(results) > 5
    fine = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE, Status.SKIPPED}
    assert [(r.title, r.status, r.reason) for r in results if r.status not in fine] == []


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer x", "Basic eDp5", "Bearer troth_scim_" + "0" * 48]
)
def test_without_its_key_nothing_is_told(h, given):
    client = h.browser(authorization=given)
    for method, path in (
        ("get", "/scim/v2/Users"),
        ("get", "/scim/v2/ServiceProviderConfig"),
        ("get", "/scim/v2/Schemas"),
        ("post", "/scim/v2/Users"),
        ("delete", "/scim/v2/Users/x"),
        ("patch", "/scim/v2/Users/x"),
        ("put", "/scim/v2/Users/x"),
        ("get", "/scim/v2/anything"),
        ("delete", "/scim/v2/Schemas"),
    ):
        answer = getattr(client, method)(path)
        refused(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_its_key_opens_nothing_but_this_and_no_other_key_opens_this(h, scim):
    assert scim.get("/console").status_code == 303
    assert scim.post("/api/v1/decide", json={}).status_code == 401
    program = access.make_key(h.office, "shop", LINDIWE.role, access.USUAL, 9, GARETH)
    refused(h.browser(authorization=f"Bearer {program}").get("/scim/v2/Users"), 401)


def test_a_new_key_ends_the_one_before_and_each_ends_by_itself(h, scim):
    assert scim.get("/scim/v2/Users").status_code == 200
    newer = h.browser(authorization=f"Bearer {access.make_feed_key(h.office, 1, GARETH)}")
    refused(scim.get("/scim/v2/Users"), 401)
    assert newer.get("/scim/v2/Users").status_code == 200
    h.clock.set(Instant(h.clock.now() + DAY))
    refused(newer.get("/scim/v2/Users"), 401)


def test_only_who_is_listed_can_be_told_of(h, scim):
    refused(scim.post("/scim/v2/Users", json=user("stranger@elsewhere.example")), 403)
    refused(scim.post("/scim/v2/Users", json=user(SIPHO.id.upper())), 403)
    made(scim, SIPHO.id)
    refused(scim.post("/scim/v2/Users", json=user(SIPHO.id)), 409, "uniqueness")


def test_nothing_sent_beside_id_and_state_is_kept_or_shown(h, scim):
    told = user(NOKUTHULA.id, password="planted-Zq7", displayName="Planted Zq7", externalId="Zq7",
                emails=[{"value": "zq7@planted.example"}])  # fmt: skip
    answer = scim.post("/scim/v2/Users", json=told)
    assert answer.status_code == 201
    assert set(answer.json()) == {"schemas", "id", "userName", "active", "meta"}
    assert answer.headers["location"] == answer.json()["meta"]["location"]
    kept = b"".join(p.read_bytes() for p in (h.folder / "keys").iterdir() if p.is_file())
    assert b"lanted" not in kept
    assert NOKUTHULA.id.encode() not in kept
    assert b"lanted" not in h.raw()


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "active", "value": False},
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "replace", "value": {"active": False}},
        {"op": "add", "value": {f"{SCHEMA}:active": False, "displayName": "x"}},
    ],
)
def test_a_leaver_is_suspended_with_every_session_and_comes_back_by_the_directory(
    h, scim, operation
):
    browser, _, _ = h.enrolled(FATIMA)
    assert browser.get("/console").status_code == 200
    ident = made(scim, FATIMA.id)["id"]
    assert patch(scim, ident, operation).json()["active"] is False
    assert browser.get("/console").status_code == 303
    assert "suspended" in acts(h)
    assert patch(scim, ident, {"op": "replace", "path": "active", "value": True}).json()["active"]
    assert access.may_enter(h.office, FATIMA)


def test_deleting_suspends_and_forgets_and_telling_again_brings_back(h, scim):
    ident = made(scim, SIPHO.id)["id"]
    assert scim.delete(f"/scim/v2/Users/{ident}").status_code == 204
    refused(scim.get(f"/scim/v2/Users/{ident}"), 404)
    refused(scim.delete(f"/scim/v2/Users/{ident}"), 404)
    assert not access.may_enter(h.office, SIPHO)
    again = scim.post("/scim/v2/Users", json=user(SIPHO.id)).json()
    assert (again["id"], again["active"]) == (ident, True)
    assert access.may_enter(h.office, SIPHO)


def test_what_a_colleague_suspended_the_directory_does_not_restore(h, scim):
    ident = made(scim, LINDIWE.id)["id"]
    access.suspend(h.office, LINDIWE, GARETH)
    refused(patch(scim, ident, {"op": "replace", "path": "active", "value": True}), 403)
    refused(scim.put(f"/scim/v2/Users/{ident}", json=user(LINDIWE.id, active=True)), 403)
    assert scim.delete(f"/scim/v2/Users/{ident}").status_code == 204
    refused(scim.post("/scim/v2/Users", json=user(LINDIWE.id)), 403)
    assert not access.may_enter(h.office, LINDIWE)
    access.restore(h.office, LINDIWE, GARETH)
    ident = made(scim, LINDIWE.id)["id"]
    assert (
        scim.put(f"/scim/v2/Users/{ident}", json=user(LINDIWE.id, active=False)).json()["active"]
        is False
    )
    access.restore(h.office, LINDIWE, GARETH)
    access.suspend(h.office, LINDIWE, GARETH)
    refused(patch(scim, ident, {"op": "replace", "path": "active", "value": True}), 403)
    access.restore(h.office, LINDIWE, GARETH)


def test_who_has_two_roles_is_one_user_and_loses_both(h, scim):
    ident = made(scim, BOTH)["id"]
    assert (
        patch(scim, ident, {"op": "replace", "path": "active", "value": False}).status_code == 200
    )
    states = {m.actor.role: m.state for m in access.members(h.office) if m.actor.id == BOTH}
    assert set(states.values()) == {"suspended"}
    assert len(states) == 2
    assert patch(scim, ident, {"op": "replace", "path": "active", "value": True}).json()["active"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "invalidSyntax"),
        (b"[]", "invalidSyntax"),
        (b"[" * 5_000, "invalidSyntax"),
        (b"\xff", "invalidSyntax"),
        ({}, "invalidSyntax"),
        ({"schemas": [SCHEMA]}, "invalidSyntax"),
        ({"schemas": [PATCH]}, "invalidSyntax"),
        ({"schemas": [PATCH], "Operations": []}, "invalidSyntax"),
        ({"schemas": [PATCH], "Operations": [{}]}, "invalidSyntax"),
        ({"schemas": [PATCH], "Operations": ["x"]}, "invalidSyntax"),
        ({"schemas": [PATCH], "Operations": [{"op": "burn"}]}, "invalidSyntax"),
        ({"schemas": [PATCH], "Operations": [{"op": "add", "path": 7}]}, "invalidPath"),
        ({"schemas": [PATCH], "Operations": [{"op": "add", "value": 7}]}, "invalidValue"),
        ({"schemas": [PATCH], "Operations": [{"op": "remove"}]}, "noTarget"),
        ({"schemas": [PATCH], "Operations": [{"op": "remove", "path": "active"}]}, "mutability"),
        ({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "id", "value": "x"}]}, "mutability"),
        ({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "userName", "value": "x"}]}, "mutability"),
        ({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": 2}]}, "invalidValue"),
        ({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": [True]}]}, "invalidValue"),
    ],
)  # fmt: skip
def test_a_change_that_does_not_read_changes_nothing_and_says_why(h, scim, body, kind):
    ident = made(scim, NOKUTHULA.id)["id"]
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    refused(scim.patch(f"/scim/v2/Users/{ident}", content=raw), 400, kind)
    assert scim.get(f"/scim/v2/Users/{ident}").json()["active"] is True


def test_a_change_is_done_as_a_whole_or_not_at_all(h, scim):
    ident = made(scim, NOKUTHULA.id)["id"]
    off = {"op": "replace", "path": "active", "value": False}
    refused(
        patch(scim, ident, off, {"op": "replace", "path": "id", "value": "x"}), 400, "mutability"
    )
    assert access.may_enter(h.office, NOKUTHULA)
    refused(scim.put(f"/scim/v2/Users/{ident}", json=user("other")), 400, "mutability")
    refused(scim.put(f"/scim/v2/Users/{ident}", json={"schemas": [SCHEMA]}), 400, "invalidValue")


def test_lists_are_filtered_and_paged_as_the_standard_says(h, scim):
    for who in (NOKUTHULA.id, SIPHO.id, GARETH.id):
        made(scim, who)
    every = scim.get("/scim/v2/Users").json()
    total = every["totalResults"]
    assert total >= 3
    assert (every["startIndex"], every["itemsPerPage"]) == (1, total)
    second = scim.get("/scim/v2/Users", params={"startIndex": 2, "count": 1}).json()
    assert (second["totalResults"], second["startIndex"], second["itemsPerPage"]) == (total, 2, 1)
    assert second["Resources"] == every["Resources"][1:2]
    assert scim.get("/scim/v2/Users", params={"count": -3}).json()["Resources"] == []
    assert scim.get("/scim/v2/Users", params={"startIndex": -3}).json()["startIndex"] == 1
    found = scim.get("/scim/v2/Users", params={"filter": f'USERNAME Eq "{SIPHO.id}"'}).json()
    assert [each["userName"] for each in found["Resources"]] == [SIPHO.id]
    none = scim.get("/scim/v2/Users", params={"filter": 'userName eq "x\\"y"'}).json()
    assert none["totalResults"] == 0
    for wrong in (
        "userName",
        'userName sw "s"',
        'userName eq "a" or id eq "b"',
        'userName eq "\\x"',
        "",
    ):
        refused(scim.get("/scim/v2/Users", params={"filter": wrong}), 400, "invalidFilter")
    for wrong in ("x", "1.5", "9" * 30, "²"):
        refused(scim.get("/scim/v2/Users", params={"count": wrong}), 400, "invalidValue")


def test_what_is_not_there_is_said_in_the_standards_form(h, scim):
    for path in ("Groups", "Users/x", "Schemas/x", "ResourceTypes/x", "Bulk", "Me"):
        refused(scim.get(f"/scim/v2/{path}"), 404)
    refused(scim.post("/scim/v2/Bulk"), 404)
    refused(scim.post("/scim/v2/Schemas"), 405)
    refused(scim.patch("/scim/v2/Users"), 405)
    refused(scim.get("/scim/v2/Schemas", params={"filter": "x"}), 403)
