"""Decisions per CPU-second from gathered facts on one core, beside plain rules in the same run.

The peer is what a team writes by hand: one function with a chain of `if`, over the same facts,
that stops at the first objection, names no rule, knows no parent purpose, and yields a bare bool.
Run: python bench/gate.py [count]
"""

import gc
import json
import platform
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from harness import load as load_average
from harness import row

import troth
from troth.kernel import consent, gate
from troth.kernel.facts import Facts, House
from troth.kernel.predicates import PREDICATES
from troth.kernel.regimes import load
from troth.terms import (
    DAY,
    Act,
    Action,
    Actor,
    Block,
    Channel,
    Claim,
    ConsentStatus,
    ContactPoint,
    Gathered,
    Head,
    Instant,
    PersonId,
    PersonRecord,
    Purpose,
    PurposeKind,
    Registry,
    Relation,
    Role,
    UseRequest,
    instant,
)

DATA = Path(troth.__file__).parent / "data"
AT = instant(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))
PAST = Instant(AT - 40 * DAY)
ROUNDS = 5
BAR = 150_000


def build_house():
    rules = load(
        {path.name: path.read_bytes() for path in (DATA / "regimes").glob("*.toml")},
        {path.name: path.read_bytes() for path in (DATA / "calendars").glob("*.toml")},
        PREDICATES,
    )
    data = frozenset({"interests", "history"})
    channels = frozenset({Channel.EMAIL, Channel.SMS})
    purposes = [
        Purpose("offers", 1, PurposeKind.MARKETING, "Offers", channels, data, parent="marketing",
                goods=frozenset({"kitchen"})),
        Purpose("marketing", 1, PurposeKind.MARKETING, "Marketing", channels, data),
        Purpose("personalise", 1, PurposeKind.PERSONALISE, "Personal", frozenset(), data),
    ]  # fmt: skip
    return House(
        version=1,
        seat="ZA",
        zone="Africa/Johannesburg",
        purposes={each.name: each for each in purposes},
        ruleset=rules,
        labels=data,
        levels=(frozenset(), frozenset(), frozenset({"interests"}), data),
        material={"offers": 1, "personalise": 1},
        caps={"direct_marketing": (4, 30)},
        registries={"ZA": Registry(cleansed_at=AT - DAY)},
    )


def told(record, status, purpose, channels, **changes):
    said = Act(ConsentStatus(status), PAST, PAST, 1, notice=f"{purpose}@1", **changes)
    return consent.apply_consent(
        record, kind=said.status, purpose=purpose, channels=channels, act=said
    )


def cast():
    """People by what becomes of them: (record, suppressions, categories asked for)."""
    nobody = PersonRecord(residence="ZA", zone="Africa/Johannesburg", age="adult")
    agreed = told(nobody, "given", "offers", ("email",))
    agreed = replace(agreed, sends={"email": (AT - 9 * DAY,)})
    close = told(agreed, "given", "personalise", (), categories=("interests", "history"))
    bought = Relation("sale", PAST, "marula", "kitchen", collected=True, objection_offered=True)
    plain, personal = frozenset(), frozenset({"interests"})
    return {
        "allowed by consent": (agreed, (), plain),
        "allowed, personalised": (replace(close, level=2), (), personal),
        "allowed as customer": (replace(nobody, relations=(bought,)), (), plain),
        "refused: never agreed": (nobody, (), plain),
        "refused: withdrawn": (told(nobody, "withdrawn", "offers", ("email",)), (), plain),
        "refused: unsubscribed": (agreed, (Block("unsubscribe"),), plain),
    }


def questions(count, house, who):
    """Fresh requests and facts, as a batch gathers them: nothing in them is remembered."""
    record, blocks, categories = who
    actor, claim = Actor(Role.MARKETER, "m1"), Claim({"interests": "full", "history": "full"})
    pairs = []
    for n in range(count):
        person = PersonId(n.to_bytes(16, "big"))
        point = ContactPoint(Channel.EMAIL, b"b" * 16, b"s" * 16)
        found = Gathered(person, Head(1, b"c"), record, point, blocks)
        request = UseRequest(
            actor, person, "offers", Action.SEND, Channel.EMAIL, categories, AT, "marula"
        )
        pairs.append((request, Facts(person, AT, claim, house, found)))
    return pairs


def plain_rules(request, facts):  # noqa: PLR0911 - what such code looks like
    """The peer: the same facts, the usual code."""
    record = facts.gathered.record
    if record.erasing or record.restricted or record.level == 0 or facts.gathered.blocks:
        return False
    if record.age == "minor" and not record.competent:
        return False
    held = record.standings.get(f"{request.purpose}|{request.channel.value}")
    if held is None or held.grant is None or (held.deny and held.deny.at >= held.grant.at):
        if held is not None and held.deny is not None:
            return False
        goods = facts.house.purposes[request.purpose].goods
        if not any(
            r.kind == "sale" and r.collected and r.objection_offered and r.goods in goods
            for r in record.relations
        ):
            return False
    elif held.grant.until and held.grant.until <= request.at:
        return False
    wall = datetime.fromtimestamp(request.at / 1e6, UTC)
    if wall.weekday() == 6 or not 6 <= wall.hour < 18:
        return False
    month = request.at - 30 * DAY
    return sum(at > month for sends in record.sends.values() for at in sends) < 4


def rate(judge, pairs):
    gc.collect()
    gc.disable()
    begin = time.process_time()
    for request, facts in pairs:
        judge(request, facts)
    spent = time.process_time() - begin
    gc.enable()
    return len(pairs) / spent


def main(count):
    house = build_house()
    rows = []
    for name, who in cast().items():
        ours, peer = 0.0, 0.0
        for _ in range(ROUNDS):
            ours = max(ours, rate(gate.decide, questions(count, house, who)))
            peer = max(peer, rate(plain_rules, questions(count, house, who)))
        answered = gate.decide(*questions(1, house, who)[0])
        rows.append(
            {
                "case": name,
                "answer": type(answered).__name__,
                "decisions_per_s": round(ours),
                "plain_rules_per_s": round(peer),
                "ratio": round(ours / peer, 2),
            }
        )
    where = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "count": count,
        "rounds": ROUNDS,
        "ruleset": house.ruleset.label,
    }
    print(json.dumps({"bench": "gate", "environment": where, "rows": rows}, indent=1))
    print(f"load at the end {load_average()}")
    for each in rows:
        row(
            f"gate, {each['case']}",
            each["decisions_per_s"],
            peer=each["plain_rules_per_s"],
            bar=BAR,
            unit="decisions per CPU-second",
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
