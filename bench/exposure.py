"""Who could see what over 5,000 accounts, tightening over 200,000 rights, replay of 1 M reads.

Beside it, in the same run, the same count without grouping on a part of the accounts: what it
would cost to ask the decision about each account alone.
Run: python bench/exposure.py [accounts] [reads]
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import troth
from troth.adapters.roles import RolePolicy
from troth.capabilities.access import exposure, tighten, withheld
from troth.capabilities.access.exposure import Asking, Member, Use
from troth.capabilities.access.rights_policy import Standing
from troth.capabilities.access.tighten import Known, Window
from troth.capabilities.access.withheld import Right
from troth.kernel.facts import House
from troth.kernel.looking import Use as Logged
from troth.kernel.predicates import PREDICATES
from troth.kernel.regimes import load
from troth.terms import DAY, Actor, Instant, PersonId, Purpose, PurposeKind, Role, from_zulu

SHIPPED = Path(troth.__file__).parent / "data"
AT = Instant(from_zulu("2026-11-24T08:00:00Z"))
FIELDS = 20
SHARE = 50
"""One account in so many has something of its own withheld, so that it stands alone."""
ROLES = (Role.SUPPORT, Role.OFFICER, Role.MARKETER, Role.IT)
BARS = {"exposure_185000_s": 5.0, "tighten_200000_s": 5.0, "replay_s": 60.0}


def build_house(fields):
    data = frozenset(f"data.f{n:02}" for n in range(fields))
    purposes = {
        "service": Purpose("service", 1, PurposeKind.SERVICE, "S", frozenset(), data),
        "operations": Purpose(
            "operations", 1, PurposeKind.OPERATIONS, "O", frozenset(), frozenset(sorted(data)[:2])
        ),
    }
    rules = load(
        {p.name: p.read_bytes() for p in (SHIPPED / "regimes").glob("*.toml")},
        {p.name: p.read_bytes() for p in (SHIPPED / "calendars").glob("*.toml")},
        PREDICATES,
    )
    return House(1, "ZA", "UTC", purposes, rules, labels=data)


def build(accounts, fields, *, apart):
    """About 2 x fields rights an account: read and export under service, a few beside it."""
    house = build_house(fields)
    data = sorted(house.labels)
    row = {
        "kinds": ["service", "operations"],
        "actions": ["read", "export"],
        "categories": dict.fromkeys(data, "full"),
    }
    ids = {role.value: [f"{role}{n}" for n in range(accounts // 4)] for role in ROLES}
    base = RolePolicy(
        [{"name": role.value, **row} for role in ROLES],
        ids,
        lambda name: house.purposes[name].kind,
    )
    members = [
        Member(Actor(role, name), f"{role.value}/{name}", role)
        for role in ROLES
        for name in ids[role.value]
    ]
    taken = withheld.EMPTY
    if apart:
        taken = taken.more(
            Right(m.account, "kind:service", "export", data[n % fields])
            for n, m in enumerate(members[::apart])
        )
    kinds = {name: p.kind for name, p in house.purposes.items()}
    return Asking(house, base, Standing(AT, kinds, taken), members)


def clocked(run):
    begun = time.perf_counter()
    found = run()
    return found, time.perf_counter() - begun


def reads(asking, count):
    """Reads of a year: each account looks at a few categories, some of them seldom."""
    members, data = asking.members, sorted(asking.house.labels)
    for n in range(count):
        who = members[n * 7919 % len(members)]
        first, days = (10, 200) if n % 1_000 == 0 else (n % 5, n % 365)
        yield Logged(
            Instant(AT - days * DAY),
            who.account,
            PersonId(n.to_bytes(16, "big")),
            1,
            "service",
            "read" if n % 9 else "export",
            {data[first]: "full", data[first + 1]: "full"},
            "case:T-1",
        )


def main():
    accounts = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    asking = build(accounts, 17, apart=SHARE)
    held, seconds = clocked(lambda: exposure.held(asking))
    seen, more = clocked(held.seen)
    out = {"accounts": accounts, "rights": held.count, "groups": len(held.groups)}
    out |= {"exposure_185000_s": round(seconds + more, 3), "e_of_first": seen.e("data.f00")}
    alone = replace(asking, members=[replace(m, alike=m.account) for m in asking.members[::10]])
    _, slow = clocked(lambda: exposure.held(alone))
    out["ungrouped_s_estimated"] = round(slow * 10, 1)

    asking = build(accounts, 19, apart=SHARE)
    held = exposure.held(asking)
    log, seconds = clocked(lambda: tighten.fold(reads(asking, count), asking.standing.kinds))
    out |= {"reads": count, "shapes": len(log.shapes), "fold_s": round(seconds, 2)}
    result, seconds = clocked(lambda: tightened(asking, held, log))
    out |= {"tighten_rights": held.count, "tighten_200000_s": round(seconds, 2)}
    found, proposals, after = result
    out |= {"unused": len(found), "proposals": len(proposals), "withheld": len(after)}
    actors = {m.account: m.actor for m in asking.members}
    replayed, more = clocked(
        lambda: tighten.replay(
            log, asking.house, actors, lambda kept: exposure.rights_of(under(asking, kept)),
            asking.standing.withheld, after, AT,
        )
    )  # fmt: skip
    out |= {"denied": replayed.count, "replay_s": round(out["fold_s"] + more, 2)}
    print(json.dumps(out))
    for name, bar in BARS.items():
        print(f"{name}: {out[name]} s, bar {bar} s{'' if out[name] <= bar else ' MISSED'}")


def under(asking, kept):
    return replace(asking, standing=replace(asking.standing, withheld=kept))


def tightened(asking, held, log):
    """Propose over every right, and count who could see what afterwards."""
    old = Instant(AT - 300 * DAY)
    uses = {Use(*parts) for parts in _uses(held)}
    known = Known(
        {m.account: old for m in asking.members},
        {(role.value, use): old for role in ROLES for use in uses},
    )
    window = Window(
        Instant(AT - 90 * DAY), old, frozenset({"read", "export"}),
        frozenset({"service", "operations"}),
    )  # fmt: skip
    found = tighten.unused(held, log, known, asking.standing.withheld, window, AT)
    proposals = tighten.propose(found, held)
    after = asking.standing.withheld.more(r for _, rights, _ in proposals for r in rights)
    exposure.held(under(asking, after)).seen()
    return found, proposals, after


def _uses(held):
    return {(u.kind, u.action, u.category) for rights in held.rights for u in rights}


if __name__ == "__main__":
    main()
