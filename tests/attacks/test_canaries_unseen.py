"""Canaries are in no figure: every page and command of figures says the same before and after."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "surfaces"))

import cli_shop
import hub_shop

from troth.capabilities.access import canaries
from troth.surfaces.web.console import NAV
from troth.terms import Actor, Role

OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
AT = "2026-11-17T10:00:00+02:00"
PLANTED = 12
"""More than a small count hides."""
CHANGING = re.compile(
    r'name="form" value="[^"]+"|<b>[\d,]+</b><span>(?:<a href="/ledger">)?entries|\d+ planted|'
    r'[\d,]+ of [\d,]+ entries|[\d,]+ (?:MB|entries)|"(?:bytes|ledger)": \{[^}]*\}|"free": \d+|'
    r'reach/\d+/|(?:<a href="/console/retention/receipts/.*?</a>|not signed yet)</td>'
)
"""Tokens, and sizes of the ledger and of files: they tell that something is written, not of whom."""
LEDGER = frozenset({"/console/witness"})
MORE = ("/console/segments/new", "/console/segments/winback")
COMMANDS = (
    ("status",), ("report", "--month", "2026-11"), ("retention", "plan"), ("doctor",),
    ("audience", "list"), ("audience", "count", "winback"), ("audience", "show", "winback"),
    ("campaign", "list"), ("access", "exposure"), ("access", "grants"), ("access", "bulk"),
    ("access", "exports"), ("map", "show"), ("keys", "list"), ("backups",), ("request", "list"),
    ("case", "list"), ("webhook", "list"),
)  # fmt: skip


@pytest.fixture(scope="module")
def shop():
    made = hub_shop.make_shop()
    canaries.plant(made.ws.desk, 1, OFFICER)
    for line in (("retention", "plan"), ("retention", "plan"), *COMMANDS):
        told(made, line)  # what is counted once is counted
    return made


def told(shop, line):
    """What a command tells programs, or of its fault."""
    ran = cli_shop.run(*line, "-w", shop.folder, "--at", AT, "--json")
    return CHANGING.sub("#", ran.out or ran.err)


def walk(shop):
    """Every page of the console as each role sees it, and every command of figures."""
    told(shop, ("audience", "rebuild"))
    told(shop, ("report", "--month", "2026-11"))
    seen = {line: told(shop, line) for line in COMMANDS}
    for role in ("marketer", "support", "privacy_officer", "it"):
        door = shop.door(role)
        for path in (*(path for _, path, _, roles, _ in NAV if Role(role) in roles), *MORE):
            answer = door.get(path)
            if answer.status_code == 200 and path not in LEDGER:
                seen[role, path] = CHANGING.sub("#", answer.text)
    return seen


def differing(before, after):
    """Name what differs, with the lines."""
    out = {}
    for name in sorted(before.keys() | after.keys(), key=str):
        one, two = (
            set(re.split(r'\n|<tr>|, (?=")', seen.get(name, ""))) for seen in (before, after)
        )
        if one != two:  # a run that is listed once more is no other line
            out[name] = sorted(line.strip()[:300] for line in one ^ two)
    return out


def test_no_page_and_no_command_counts_a_canary(shop):
    before = walk(shop)
    canaries.plant(shop.ws.desk, PLANTED, OFFICER)
    after = walk(shop)
    assert len(before) > len(COMMANDS) + 35
    assert all(before[line].startswith("{") and '"code"' not in before[line] for line in COMMANDS)
    assert differing(before, after) == {}


def test_figures_that_forget_to_leave_canaries_out_are_seen(shop, monkeypatch):
    """The walk above can fail, by page and by command."""
    before = walk(shop)
    monkeypatch.setattr("troth.kernel.canaries.ids", lambda _view: frozenset())
    found = differing(before, walk(shop))
    assert {("access", "exposure"), ("audience", "count", "winback")} <= found.keys(), found
    assert any(len(name) == 2 and name[1].startswith("/console") for name in found), found
