"""What steps of temporary rights and reviews are judged with, and how their words are read."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

from troth.app import staff
from troth.app.policy import alike
from troth.app.workspace import Workspace
from troth.capabilities import access
from troth.capabilities.access import exposure, granting, grants, withholding
from troth.capabilities.access.granting import Bench
from troth.capabilities.outreach import steps
from troth.errors import InvalidInput
from troth.kernel.house import parse_toml
from troth.ports import View
from troth.terms import DAY, SECOND, Action, Actor

_DUTIES: Final = frozenset({"policy", "grant", "campaign", "purpose", "review"})


@cache
def shipped() -> Mapping[str, Any]:
    """Return `data/access_grants.toml`."""
    return tomllib.loads((files("troth") / "data/access_grants.toml").read_text("utf-8"))


@cache
def weights() -> tuple[Mapping[str, int], int]:
    """Return how much each category weighs, and any other one."""
    read = tomllib.loads((files("troth") / "data/sensitivity.toml").read_text("utf-8"))
    return read["weight"], read["other"]


@cache
def labels() -> Mapping[str, str]:
    """Return each field's category, as shipped."""
    read = tomllib.loads((files("troth") / "data/taxonomy.toml").read_text("utf-8"))
    return cast("Mapping[str, str]", read["fields"])


# What steps are judged with


def bench(opened: Workspace) -> Bench:
    """Return what steps of temporary rights and reviews are judged with, as published.

    Raises:
        InvalidInput: `[access.reports_to]` or `[access.exclusive]` does not read.
    """
    with opened.store.look() as view:
        found = view.published("house")
    told = parse_toml("troth.toml", found.data).get("access", {}) if found else {}
    listed = frozenset(m.account for m in members(opened))
    return Bench(
        opened.desk,
        _limits(told.get("exclusive", [])),
        _reports(told.get("reports_to", {})),
        listed,
        _duties,
    )


def _limits(more: object) -> grants.Limits:
    read, hour = shipped(), 3600 * SECOND
    pairs = [*read["duties"]["exclusive"], *(more if isinstance(more, list) else [more])]
    if not all(isinstance(p, list) and len(p) == 2 and set(p) <= _DUTIES for p in pairs):  # noqa: PLR2004 - a pair
        raise InvalidInput(
            "troth.toml: [access] exclusive is no list of pairs of duties",
            f"use {', '.join(sorted(_DUTIES))}",
        )
    return grants.Limits(
        default=read["jit"]["default_hours"] * hour,
        most=read["jit"]["most_days"] * DAY,
        lapse=read["jit"]["lapse_hours"] * hour,
        glass=read["glass"]["most_minutes"] * 60 * SECOND,
        review=read["glass"]["review_hours"] * hour,
        actions=frozenset(read["may"]["actions"]),
        why=(read["may"]["why_least"], read["may"]["why_most"]),
        exclusive=frozenset((one, other) for one, other in pairs),
    )


def _reports(told: object) -> Mapping[str, str]:
    if not isinstance(told, dict) or not all(isinstance(boss, str) for boss in told.values()):
        raise InvalidInput(
            "troth.toml: [access.reports_to] is no table of ids",
            'write "name@brand.example" = "head@brand.example"',
        )
    return told


def _duties(view: View, hand: str, grant: grants.Grant) -> frozenset[str]:
    """Say which duties somebody has about a right: they wrote what it rests on, or gain by it."""
    out = set()
    if (view.row(withholding.POLICY, b"last") or b"").decode() == hand:
        out.add("policy")
    if hand == granting.hand(grant.approver):
        out.add("grant")
    for name, life in steps.lives(view).items():
        mine = hand in {granting.hand(life.author), granting.hand(life.editor)}
        mine = mine or any(
            done.act == "started" and granting.hand(done.hand) == hand
            for done in steps.done_so_far(view, name)
        )
        if mine and steps.plan_of(view, name).purpose == grant.purpose:
            out.add("campaign")
    return frozenset(out)


def note_policy(opened: Workspace, actor: Actor) -> None:
    """Note who published a staff policy: they do not agree to rights under it."""
    own = granting.hand(opened.desk.account(actor))
    with opened.store.book() as tx:
        tx.put_row(withholding.POLICY, b"last", own.encode())


def members(opened: Workspace) -> list[exposure.Member]:
    """Return every account that could act right now."""
    office, desk = staff.office(opened), opened.desk
    known = staff.known_staff(opened.settings, opened.signin, opened.keys)
    with opened.store.look() as view:
        return [
            exposure.Member(actor, desk.account(actor), alike(desk, view, actor))
            for actor in access.everybody(office)
            if known(actor)
        ]


# Asking, from surfaces


def wanted(opened: Workspace, who: Actor, told: Mapping[str, str]) -> grants.Wanted:
    """Read what somebody wants from words: purpose, action, data, reason, why, hours or minutes.

    Raises:
        InvalidInput: A word does not read.
    """
    try:
        action = Action(told.get("action", "read"))
    except ValueError:
        raise InvalidInput("this is no action", "read or export") from None
    data = grants.read(tuple(re.findall(r"[A-Za-z0-9_.:]+", told.get("data", ""))))
    length = _whole(told.get("hours", "")) * 3600 + _whole(told.get("minutes", "")) * 60
    return grants.Wanted(
        opened.desk.account(who),
        told.get("purpose", ""),
        action,
        data,
        told.get("reason", "").strip(),
        told.get("why", "").strip(),
        length * SECOND,
    )


def _whole(text: str) -> int:
    text = text.strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 5):  # noqa: PLR2004 - digits
        raise InvalidInput("the length is no number", "write a number of hours")
    return int(text)
