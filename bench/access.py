"""The staff policy: decisions a second by Cedar and by plain roles, and what `explain` takes.

Run: python bench/access.py. The rules are the shipped ones, equal in meaning to the roles. Cedar
is asked once per distinct claim, so a second row shows what an equal claim costs after that.
"""

import shutil
import statistics
import sys
import tempfile
import time
import tomllib
from importlib.resources import files
from pathlib import Path

from harness import print_environment, row, timed

from troth import app
from troth.adapters.cedar import CedarPolicy, request_of
from troth.adapters.cedar_words import Asked
from troth.adapters.roles import RolePolicy
from troth.app import access_explain
from troth.app.base_policy import shipped, words_of
from troth.terms import (
    Action,
    Actor,
    Instant,
    Purpose,
    PurposeKind,
    Role,
    UseRequest,
    from_zulu,
)

NOON = from_zulu("2026-11-23T10:00:00Z")
PURPOSES = {k.value: Purpose(k.value, 1, k, "x", frozenset(), frozenset()) for k in PurposeKind}
STAFF = (Role.SUPPORT, Role.MARKETER, Role.OFFICER, Role.IT)
ROUNDS = 2_000


def shop():
    """The command line's small shop, from its tests."""
    sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / d) for d in ("surfaces", "")]
    import cli_shop

    return cli_shop


def uses():
    """Every claim of role, purpose and action, as requests."""
    return [
        UseRequest(Actor(r, "x"), None, p, a, None, frozenset({"contact.email"}), NOON)
        for r in STAFF for p in PURPOSES for a in Action
    ]  # fmt: skip


def policies():
    roles = tomllib.loads((files("troth") / "data/taxonomy.toml").read_text("utf-8"))["role"]
    plain = RolePolicy(roles, {}, lambda name: PURPOSES[name].kind, lambda _: True)
    rules = CedarPolicy(
        shipped()[0].decode(), words_of(PURPOSES, "UTC"), lambda _: True,
        lambda actor: f"{actor.role}/{'0' * 16}", plain,
    )  # fmt: skip
    return plain, rules


def rate(act, times):
    with timed() as spent:
        for _ in range(times):
            act()
    return times / spent.cpu


def engines():
    import cedarpy

    plain, rules = policies()
    one = UseRequest(
        Actor(Role.SUPPORT, "x"), None, "service", Action.READ, None,
        frozenset({"contact.email"}), NOON,
    )  # fmt: skip
    roles = rate(lambda: plain.claim(one), 50_000)
    asked = request_of(
        Asked("support", "support/" + "0" * 16, "read", "service", "service"), "contact.email"
    )
    handles = rules._policies, rules._acting("support", "support/" + "0" * 16)  # noqa: SLF001
    raw = rate(lambda: cedarpy.is_authorized(asked, *handles), ROUNDS)
    row("one category by Cedar, handles", raw, peer=roles, unit="decisions/s; peer: plain roles")
    fresh = [time.perf_counter()]
    for use in uses():
        rules.claim(use)
    spent = time.perf_counter() - fresh[0]
    row("a claim, all categories, first time", len(uses()) / spent, peer=roles, unit="claims/s")
    again = rate(lambda: rules.claim(one), 20_000)
    row("an equal claim again", again, peer=roles, unit="claims/s; peer: plain roles")


def explained(folder, name, at):
    """Time `explain` over every claim of the staff, each once and then again."""
    ws = app.open(folder, at=at)
    try:
        for turn in ("first", "again"):
            took = []
            with ws.store.look() as view:
                purposes = sorted(ws.desk.house(view).purposes)
                for role in STAFF:
                    actor = access_explain.colleague(ws, role)
                    for purpose in purposes:
                        for action in Action:
                            asked = UseRequest(
                                actor, None, purpose, action, None,
                                frozenset({"identity.name", "contact.email"}), view.now,
                            )  # fmt: skip
                            begun = time.perf_counter()
                            access_explain.explain_use(ws, view, asked)
                            took.append((time.perf_counter() - begun) * 1_000)
            p99 = statistics.quantiles(took, n=100)[98]
            for point, value in (("p50", statistics.median(took)), ("p99", p99)):
                title = f"explain a claim, {name}, {turn}, {point}"
                row(title, value, bar=5, unit="ms", less_is_better=True)
    finally:
        ws.close()


def instant_of(text):
    from datetime import datetime

    from troth.terms import instant

    return Instant(instant(datetime.fromisoformat(text)))


def main():
    print_environment("cedarpy")
    engines()
    cli_shop = shop()
    at = instant_of(cli_shop.AT)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "shop"
        shutil.copytree(cli_shop.bare(), folder)
        explained(folder, "roles", at)
        rules, tests = shipped()
        (folder / "access.cedar").write_bytes(rules)
        (folder / "access.tests.toml").write_bytes(tests)
        cli_shop.done(cli_shop.at(folder, "apply"))
        explained(folder, "Cedar", at)


if __name__ == "__main__":
    main()
