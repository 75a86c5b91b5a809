"""Attacks on what staff may see: a colleague, or somebody with their browser, who will not stop."""

import functools
import re
from dataclasses import replace
from datetime import timedelta

import marula
import pytest
from hub_shop import make_shop
from staff_house import LINDIWE, SIPHO, staff_house
from starlette.testclient import TestClient

from troth import app
from troth.adapters import oidc_tokens
from troth.adapters.system import FixedClock
from troth.app import access as rights
from troth.app import leavers
from troth.capabilities import access, merging
from troth.capabilities.access import (
    canaries,
    cases,
    granting,
    quota,
    withholding,
)
from troth.capabilities.access.cards import open_card
from troth.capabilities.access.cases import Opening
from troth.capabilities.access.grants import Wanted
from troth.capabilities.access.reading import Reading, book
from troth.capabilities.access.withheld import Right
from troth.errors import Conflict, InvalidInput
from troth.kernel import gate, looking
from troth.surfaces.commands import staff
from troth.surfaces.commands.call import Call
from troth.surfaces.web.acting import COOKIE
from troth.surfaces.web.scim_words import PATCH, USER
from troth.surfaces.web.server import build_app
from troth.terms import SECOND, Account, Action, Actor, Instant, Refusal, Role, instant

HOUR = 3600 * SECOND
NOW = Instant(instant(marula.NOW) // SECOND * SECOND)
FATIMA = Actor(Role.SUPPORT, "fatima@marula.example")
GARETH = Actor(Role.IT, "gareth@marula.example")
NOKUTHULA = marula.OFFICER
SHOWN = ("identity.name", "contact.email")
MAIL = "contact.email"


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def there(house, clock):
    """The house by a clock the attack moves."""
    house.newcomer("probe")
    house.ws.close()
    house.ws = app.open(house.folder, clock=clock)
    house.desk = house.ws.desk
    return house


def set_access(house, text):
    path = house.folder / "troth.toml"
    path.write_text(path.read_text() + f"\n[access]\n{text}\n")
    house.ws.apply()


def listed(house, text):
    """List staff anew: `[roles]` as told."""
    path = house.folder / "troth.toml"
    head, _, tail = path.read_text().partition("[roles]")
    rest = tail.partition("\n[")
    path.write_text(
        f"{head}[roles]\n{text}\n[{rest[2]}" if rest[1] else f"{head}[roles]\n{text}\n"
    )
    house.ws.close()
    house.ws = app.open(house.folder, clock=FixedClock(NOW))
    house.ws.apply()
    house.desk = house.ws.desk


def opened(house, person, case="T-1", source="phone", actor=FATIMA):
    return cases.open_case(house.desk, person, Opening(case, source), actor).ref


def look(house, person, reason, actor=FATIMA, fields=SHOWN, **more):
    return open_card(house.desk, Reading(person, actor, fields, reason, **more))


def codes(answer):
    return [str(r.code) for r in answer.reasons] if isinstance(answer, Refusal) else []


def wanted(house, who=FATIMA, **changes):
    told = Wanted(
        house.desk.account(who), "service", Action.READ, {"contact.phone": "full"}, "case:T-1",
        "calling back about a delivery",
    )  # fmt: skip
    return replace(told, **changes)


RULES = """
@id("name")
permit (principal in Role::"support", action, resource == Category::"identity.name");

@id("no.phone")
forbid (principal in Role::"support", action, resource == Category::"contact.phone");
"""
TESTS = """
[[test]]
given = { role = "support", kind = "service", action = "read", category = "identity.name" }
expect = "allow"
rule = "name"

[[test]]
given = { role = "support", kind = "service", action = "read", category = "contact.phone" }
expect = "deny"
rule = "no.phone"
"""


def policy(house, rules=RULES, tests=TESTS):
    (house.folder / "access.cedar").write_text(rules)
    (house.folder / "access.tests.toml").write_text(tests)
    house.ws.apply()


def test_a_temporary_right_does_not_open_what_a_rule_forbids_when_a_look_asks_for_all_it_may(
    there,
):
    policy(there)
    ref = opened(there, there.person("probe"))
    bench = rights.bench(there.ws)
    asked = granting.ask(bench, wanted(there), FATIMA)
    granting.approve(bench, asked.id, GARETH)
    asked = Reading(there.person("probe"), FATIMA, (), ref)
    for categories in (None, frozenset({"contact.phone"})):
        answer = book(there.desk, asked, (), categories)
        assert not isinstance(answer, gate.Permit) or "contact.phone" not in answer.categories


def granted(house, **changes):
    bench = rights.bench(house.ws)
    asked = granting.ask(bench, wanted(house, **changes), FATIMA)
    return granting.approve(bench, asked.id, GARETH)


def test_what_silence_took_from_somebody_they_do_not_give_back_to_themselves(there):
    own, other = (Right(r, "kind:operations", "read", MAIL) for r in ("it", "agency"))
    withholding.tighten(there.desk, GARETH, [other], {})
    withholding.publish(
        there.desk,
        withholding.SYSTEM,
        lambda _view, now: (
            now.more([own]),
            withholding._said("ended", {}, "silence"),
            withholding._nothing,
        ),
    )
    with pytest.raises(Conflict):
        rights.undo(there.ws, GARETH)


def test_who_publishes_a_policy_does_not_thereby_give_back_what_a_colleague_took(there):
    withholding.tighten(there.desk, NOKUTHULA, [Right("it", "kind:operations", "read", MAIL)], {})
    rights.note_policy(there.ws, GARETH)
    with pytest.raises(Conflict):
        rights.undo(there.ws, GARETH)


def test_no_emergency_follows_another_that_nobody_looked_at(there, clock):
    opened(there, there.person("probe"))
    bench = rights.bench(there.ws)
    first = granting.break_glass(bench, wanted(there), FATIMA)
    granting.end(bench, first.id, FATIMA)
    with pytest.raises(Conflict):
        granting.break_glass(bench, wanted(there), FATIMA)
    clock.set(Instant(NOW + 2 * HOUR))
    with pytest.raises(Conflict):
        granting.break_glass(bench, wanted(there), FATIMA)
    granting.review(bench, first.id, NOKUTHULA, "justified")
    granting.break_glass(bench, wanted(there), FATIMA)


def test_a_marketer_breaks_no_glass_by_any_door(there):
    opened(there, there.person("probe"))
    with pytest.raises((Conflict, InvalidInput)):
        granting.break_glass(
            rights.bench(there.ws), wanted(there, marula.MARKETER), marula.MARKETER
        )


def test_nobody_adds_a_person_to_a_real_ticket_and_looks_at_them_under_it(house):
    set_access(house, 'cases = "ticket"')
    theirs, other = house.newcomer("adult-1"), house.newcomer("adult-2")
    opened(house, theirs, "T-9", "ticket", Actor(Role.SYSTEM, "cli"))
    assert codes(look(house, theirs, "case:T-9")) == []
    opened(house, other, "T-9", "ticket", FATIMA)
    assert codes(look(house, other, "case:T-9")) != []


def test_two_sides_kept_apart_are_not_brought_together_by_one_human_in_two_roles(house):
    listed(
        house, 'support = ["fatima@marula.example"]\nprivacy_officer = ["fatima@marula.example"]'
    )
    set_access(house, 'together = { pair = [["identity.*"], ["contact.*"]] }')
    who = house.newcomer("adult-1")
    ref = opened(house, who)
    officer = Actor(Role.OFFICER, FATIMA.id)
    assert codes(look(house, who, ref, fields=("identity.name",))) == []
    assert codes(look(house, who, ref, officer, fields=(MAIL,))) == ["combination"]


def test_the_people_of_a_day_are_counted_by_human_and_not_by_role(house):
    listed(
        house, 'support = ["fatima@marula.example"]\nprivacy_officer = ["fatima@marula.example"]'
    )
    set_access(house, "people_per_day = 1")
    one, two = house.newcomer("adult-1"), house.newcomer("adult-2")
    officer = Actor(Role.OFFICER, FATIMA.id)
    assert codes(look(house, one, opened(house, one))) == []
    assert codes(look(house, two, opened(house, two, "T-2"), officer)) == ["quota"]
    assert codes(look(house, one, "case:T-1", officer)) == []


def test_a_reason_somebody_typed_in_as_a_request_is_no_reason_where_cases_come_from_outside(house):
    from troth.capabilities import rights as desk_of
    from troth.capabilities.rights import Asked

    set_access(house, 'cases = "ticket"')
    who = house.newcomer("adult-1")
    made = desk_of.open_request(
        house.desk, who, Asked("access", how="letter", proven=False), FATIMA
    )
    assert codes(look(house, who, f"request:{made.id}")) != []
    with house.ws.store.look() as view:
        assert cases.self_opened(view, Instant(0)) == {house.desk.account(FATIMA): 1}


def test_a_look_under_a_case_of_a_merged_id_is_not_booked_after_that_case_is_closed(
    house, monkeypatch
):
    from troth.capabilities.access import reading

    keep, other = house.newcomer("adult-1"), house.newcomer("adult-2")
    ref = opened(house, other)
    merging.merge(house.desk, keep, other, "same person", NOKUTHULA)
    booked, tries = reading._booked, []

    def late(desk, *told):
        if not tries:
            tries.append(1)
            cases.close_case(desk, keep, "T-1", FATIMA)
        return booked(desk, *told)

    monkeypatch.setattr(reading, "_booked", late)
    answer = look(house, keep, ref)
    assert tries
    assert codes(answer) == ["reason_missing"]


def test_suspending_somebody_ends_their_rights_for_a_time_by_command_too(there):
    opened(there, there.person("probe"))
    given = granted(there)
    there.ws.close()
    call = Call(there.folder, at=marula.NOW.isoformat())
    staff.suspend(call, f"{FATIMA.role}:{FATIMA.id}")
    staff.restore(call, f"{FATIMA.role}:{FATIMA.id}")
    with there.open().ws.store.look() as view:
        assert granting.find(view, given.id).state == "revoked"


@functools.cache
def directed():
    """A house whose directory speaks SCIM, and its client; kept for the whole file."""
    h = staff_house.__wrapped__()
    key = access.make_feed_key(h.office, 30, GARETH)
    client = h.browser(authorization=f"Bearer {key}")
    return h, client


def scim(client, method, path, **body):
    return client.request(method, f"/scim/v2/Users{path}", json=body or None)


def told_of(client, who):
    body = {"schemas": [USER], "userName": who.id, "active": True}
    return scim(client, "POST", "", **body).json()["id"]


def turned(client, ident, active):
    ops = [{"op": "replace", "path": "active", "value": active}]
    return scim(client, "PATCH", f"/{ident}", schemas=[PATCH], Operations=ops)


def state_of(h, who):
    return next(m.state for m in access.members(h.office) if m.actor == who)


def test_what_a_colleague_suspended_too_the_directory_does_not_open_again():
    h, client = directed()
    ident = told_of(client, SIPHO)
    assert turned(client, ident, "False").status_code == 200
    access.suspend(h.office, SIPHO, NOKUTHULA)
    assert turned(client, ident, "True").status_code == 403
    assert state_of(h, SIPHO) == "suspended"


def test_whoever_left_on_a_day_of_the_list_is_not_let_in_again_by_the_directory():
    h, client = directed()
    ident = told_of(client, LINDIWE)
    turned(client, ident, active=False)
    today = leavers.today(h.ws)
    rows = f"id,leaves\n{LINDIWE.id},{today + timedelta(days=1)}\n"
    leavers.carry_leavers(h.ws, leavers.plan_leavers(h.ws, rows), GARETH)
    access.tend_leaving(h.office, today + timedelta(days=1), GARETH, ())
    turned(client, ident, active=True)
    assert state_of(h, LINDIWE) == "suspended"


@pytest.mark.parametrize("value", [1, 0, 1.0, None, [], {}, "yes", " true"])
def test_a_word_that_is_neither_true_nor_false_switches_nobody(value):
    h, client = directed()
    ident = next((u.id for u in access.told_of(h.office) if u.name == FATIMA.id), "") or told_of(
        client, FATIMA
    )
    assert turned(client, ident, value).status_code == 400
    assert state_of(h, FATIMA) != "suspended"


def test_a_directory_that_replaces_a_user_without_saying_active_opens_nobody_again():
    h, client = directed()
    ident = told_of(client, NOKUTHULA)
    turned(client, ident, active=False)
    scim(client, "PUT", f"/{ident}", schemas=[USER], userName=NOKUTHULA.id)
    assert state_of(h, NOKUTHULA) == "suspended"


def test_whoever_the_list_says_left_stays_out_though_the_directory_suspended_them_first():
    h, client = directed()
    both = Actor(Role.SUPPORT, FATIMA.id)
    ident = next((u.id for u in access.told_of(h.office) if u.name == both.id), "") or told_of(
        client, both
    )
    turned(client, ident, active=False)
    rows = f"id,leaves\n{both.id},{leavers.today(h.ws)}\n"
    leavers.carry_leavers(h.ws, leavers.plan_leavers(h.ws, rows), GARETH)
    assert turned(client, ident, active=True).status_code == 403
    assert state_of(h, both) == "suspended"


def test_undoing_in_one_role_gives_nothing_back_to_the_same_human_in_another(house):
    listed(house, 'it = ["gareth@marula.example"]\nsupport = ["gareth@marula.example"]\n'
                  'privacy_officer = ["nokuthula@marula.example"]')  # fmt: skip
    gone = [Right("support", "kind:service", "read", MAIL)]
    withholding.tighten(house.desk, NOKUTHULA, gone, {})
    with pytest.raises(Conflict):
        rights.undo(house.ws, GARETH)


def test_nobody_agrees_to_a_whole_list_for_whom_they_report_to(house):
    path = house.folder / "troth.toml"
    path.write_text(f'{path.read_text()}\n[access.reports_to]\n"{GARETH.id}" = "{FATIMA.id}"\n')
    house.ws.apply()
    asked = quota.ask_bulk(house.desk, 500, "a recall of one batch", FATIMA)
    above = granting.above(rights.bench(house.ws), GARETH)
    with pytest.raises(InvalidInput):
        quota.answer_bulk(house.desk, asked.id, GARETH, "approved", above)
    quota.answer_bulk(house.desk, asked.id, NOKUTHULA, "approved")


@pytest.mark.parametrize(
    "key",
    [{"kty": []}, {"kty": {}}, {"kty": "RSA", "key_ops": 5}, {"kty": "RSA", "use": ["sig"]},
     {"kty": "RSA", "key_ops": None}, {"kty": "RSA", "n": "\ud800"}, {"kty": "RSA", "n": [1]}, 7],
)  # fmt: skip
def test_a_key_of_the_provider_that_is_no_key_is_left_out_and_breaks_nothing(key):
    assert oidc_tokens.read_keys({"keys": [key]}).held == ()


# By the console: who is known at all, and every page that is there

KNOWN, NOBODY = {"outside": "shop-11"}, {"outside": "nobody-here"}


@functools.cache
def door():
    """A served shop that is no demo."""
    made = make_shop()
    return made, build_app(made.ws, None, None)


def browser(who):
    """A browser of a colleague who is signed in, and the token of its forms."""
    _, served = door()
    hub = served.state.hub
    key = access.key_of(hub.kept["office"], who)
    hub.kept["office"].store.add_account(Account(key, "active", key))
    token, session = hub.kept["sessions"].begin(who, "passkey", key)
    client = TestClient(served, base_url="http://127.0.0.1:8400", follow_redirects=False)
    client.cookies.set(COOKIE, token)
    return client, session.form


def said(who, path, **form):
    """What a form is answered with, without what the reader typed and this session's token."""
    client, token = browser(who)
    answer = client.post(path, data={"form": token, **form})
    return answer.status_code, answer.text.replace(token, "").replace(form.get("outside", ""), "")


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/console/people", {"case": "no number at all"}),
        ("/console/people/close", {"case": "T-404"}),
        ("/console/people/close", {"case": "no number at all"}),
        ("/console/complaint", {"case": "no number at all"}),
        ("/console/map/where", {"case": "no number at all"}),
        ("/console/map/where", {"case": "T-404", "category": "no.such"}),
        ("/console/requests", {"right": "no such right"}),
        ("/console/requests", {"right": "access", "text": "x" * 4_001}),
        ("/console/requests", {"right": "access", "came": "2999-01-01"}),
    ],
)
def test_a_form_that_will_not_do_says_the_same_whether_or_not_somebody_is_known(path, form):
    size = door()[0].size()
    assert said(NOKUTHULA, path, **KNOWN, **form) == said(NOKUTHULA, path, **NOBODY, **form)
    assert door()[0].size() == size, "nor is anything recorded that would tell them apart"


@pytest.fixture
def canary(monkeypatch):
    """The customer number of a canary, as a thief with the list would have it."""
    made, real = [], canaries._invent
    monkeypatch.setattr(canaries, "_invent", lambda *told: made.append(real(*told)) or made[-1])
    canaries.plant(door()[0].ws.desk, 1, NOKUTHULA)
    return made[0].outside


def alarms():
    with door()[0].ws.store.look() as view:
        return len(canaries.raised(view, Instant(0)))


@pytest.mark.parametrize(
    ("path", "field", "form"),
    [
        ("/console/people", "outside", {"case": "T-1"}),
        ("/console/people/close", "outside", {"case": "T-1"}),
        ("/console/people/merge", "other", {"keep": "shop-12", "why": "one person"}),
        ("/console/people/merge", "keep", {"other": "shop-12", "why": "one person"}),
        ("/console/people/unmerge", "outside", {"which": "1", "why": "two people"}),
        ("/console/complaint", "outside", {"case": "C-1"}),
        ("/console/map/where", "outside", {"case": "T-1"}),
        ("/console/requests", "outside", {"right": "access"}),
    ],
)
def test_no_page_that_searches_for_somebody_finds_a_canary_in_silence(path, field, form, canary):
    before = alarms()
    assert said(NOKUTHULA, path, **{field: canary}, **form)[0] < 500
    assert alarms() > before


PLANTED = ("Secretname", "Planted", "@post.example", "shop-1", "shop-3", "cast-adult")


@pytest.mark.parametrize("who", [LINDIWE, NOKUTHULA, FATIMA, GARETH], ids=lambda who: who.role)
def test_no_page_that_only_opens_shows_anybody_to_any_role(who, capsys):
    made, served = door()
    client, _ = browser(who)
    looked = {use.n for name in ("shop-11", "cast-adult") for use in uses_of(made, name)}
    for route in sorted({r.path for r in served.router.routes if "GET" in (r.methods or ())}):
        if route.endswith("/out"):
            continue
        path = re.sub(r"\{name\}", "winback-1", re.sub(r"\{(?!name)\w+(:\w+)?\}", "1", route))
        answer = client.get(path)
        whole = answer.text + str(answer.headers)
        assert not [word for word in PLANTED if word in whole], path
        assert answer.status_code != 500, path
    told = capsys.readouterr()
    assert not [word for word in PLANTED if word in told.out + told.err]
    assert looked == {use.n for name in ("shop-11", "cast-adult") for use in uses_of(made, name)}


def uses_of(made, name):
    with made.ws.store.look() as view:
        return looking.of_person(view, made.person(name))
