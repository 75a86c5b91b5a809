"""What waits for somebody, or runs: campaigns by their stage, opt-out registries by their age."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from troth import app
from troth.capabilities.access import canaries, exports
from troth.capabilities.outreach import plans, steps, waves
from troth.kernel.calendars import local_date, months_back
from troth.kernel.facts import House
from troth.ports import View
from troth.surfaces import words
from troth.surfaces.web import chart
from troth.surfaces.web.campaigns import STAGES, said_when
from troth.surfaces.web.parts import Hub
from troth.terms import DAY, Instant, Registry

SOON_DAYS = 14
ALARM_DAYS = 30
CLEANSED = "registry_cleansed_within"
"""Predicate of the rules that ask how old an opt-out registry's file is."""
_TEXTS = {
    plans.Stage.PAUSED: "Nothing leaves until somebody lets it go on.",
    plans.Stage.APPROVED: "Send it, or put it on the calendar.",
}


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that waits, or runs.

    Attributes:
        kind: Kind of the badge: now, bad, good or plain.
        word: The badge's text.
        mine: Whoever opened the page is the one to act.
    """

    kind: str
    word: str
    title: str
    href: str
    text: str
    mine: bool = True


@dataclass(frozen=True, slots=True)
class Figure:
    """One number and the page that shows the rows behind it."""

    number: str
    label: str
    href: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a home is made from: one look at the record."""

    hub: Hub
    view: View
    house: House
    lives: Mapping[str, plans.Life]
    hand: str

    @property
    def zone(self) -> str:
        """The house's own zone."""
        return self.hub.ws.settings.zone


def campaigns(seen: Seen) -> list[Task]:
    """Return the campaigns that wait or run: first what the reader may do, then by their age."""
    held = sorted(seen.lives.items(), key=lambda pair: pair[1].since)
    open_ = [(name, life) for name, life in held if life.stage not in _QUIET]
    return sorted((_campaign(seen, *each) for each in open_), key=lambda task: not task.mine)


_QUIET = plans.OVER | {plans.Stage.DRAFTED}


def _campaign(seen: Seen, name: str, life: plans.Life) -> Task:
    wrote = any(plans.same_hand(seen.hand, each) for each in (life.author, life.editor))
    kind, word, _ = STAGES[life.stage]
    mine, text = life.stage in _TEXTS, _TEXTS.get(life.stage, "")
    if life.stage is plans.Stage.SUBMITTED:
        mine = not wrote or not steps.duty(seen.view).second_person
        kind, word = ("now", "waits for your yes") if mine else ("", "with a colleague")
        who = "A colleague wrote it." if not wrote else "You wrote it."
        told = app.preview_of(seen.view, name)
        reach = chart.few(life.count) if told is None or told.shown else "a number of"
        text = f"{who} It reaches {reach} people."
    elif life.stage is plans.Stage.RETURNED:
        mine, text = wrote, life.note
    elif life.stage is plans.Stage.RUNNING:
        text = _running(seen, name)
    elif life.stage is plans.Stage.SCHEDULED:
        text = f"It goes {said_when(steps.plan_of(seen.view, name).when, seen.zone)}."
    return Task(kind, word.lower(), name, f"/console/campaigns/{name}", text, mine)


def _running(seen: Seen, name: str) -> str:
    now = waves.progress(seen.view, name)
    if not now.tally.queued:
        return "It is choosing whom to ask. Nothing has left yet."
    if now.total < chart.K or 0 < now.tally.held_out < chart.K:
        return f"{100 * now.done // now.total if now.total else 100} per cent of the people done."
    return f"{words.number(now.done)} of {words.number(now.total)} people done."


def registries(seen: Seen) -> list[Task]:
    """Say how old the file is of each opt-out registry that a rule in force asks about."""
    asked = {
        str(rule.params["registry"]): int(rule.params["months"])
        for rule in seen.house.ruleset.rules
        if rule.predicate == CLEANSED and rule.live(seen.view.now)
    }
    none = Registry()
    return [
        _registry(seen, name, months, seen.house.registries.get(name, none))
        for name, months in sorted(asked.items())
    ]


def _registry(seen: Seen, name: str, months: int, held: Registry) -> Task:
    kind, word, text = _standing(seen, months, held)
    waived = held.decision and held.waived_from <= seen.view.now < held.waived_until
    if waived and kind == "bad":
        word, text = "waived", f"{text} Your privacy officer decided to go on without it for now."
    href = "/console/report"
    return Task(kind, word, f"Opt-out registry {name}", href, text, mine=kind != "good")


def _standing(seen: Seen, months: int, held: Registry) -> tuple[str, str, str]:
    at, zone = seen.view.now, seen.house.zone or "UTC"
    if not held.usable or not 0 < held.cleansed_at <= at:
        return "bad", "missing", "No usable file was applied. Marketing that it covers is refused."
    today, applied = local_date(at, zone), local_date(Instant(held.cleansed_at), zone)
    until, days = last_good(applied, months), (today - applied).days
    age = f"Applied {many(days, 'day')} ago" if days else "Applied today"
    if until < today:
        text = f"{age}; it held until {day(until)}. Marketing that it covers is refused."
        return "bad", "out of date", text
    text = f"{age}; renew it before {day(until + timedelta(1))}."
    soon = (until - today).days < SOON_DAYS
    return ("now", "renew soon", text) if soon else ("good", "in date", text)


def alarms(seen: Seen) -> list[Task]:
    """Return what staff did that must not happen: asked for a canary, kept an export too long."""
    view, href = seen.view, "/console/exports"
    since = Instant(view.now - ALARM_DAYS * DAY)
    raised = canaries.raised(view, since)
    out = []
    if raised:
        text = f"Asked for by {raised[-1][1]}. Nobody has a reason to look there; ask them why."
        out.append(Task("bad", "alarm", "A person who does not exist", href, text))
    late = exports.counts(view)["overdue"]
    if late:
        text = "Somebody is to delete them, and to say so."
        out.append(Task("bad", "overdue", many(late, "export"), href, text))
    return out


def last_good(applied: date, months: int) -> date:
    """Return the last day on which a file applied then is good, by the rule's own reckoning."""
    found = applied
    while applied >= months_back(found + timedelta(1), months):
        found += timedelta(1)
    return found


def many(count: int, word: str) -> str:
    """Write a count and its word.

    >>> many(1, "day"), many(1200, "day")
    ('1 day', '1,200 days')
    """
    return f"{words.number(count)} {word}{'' if count == 1 else 's'}"


def day(when: date) -> str:
    """Write a day as people say it.

    >>> day(date(2026, 11, 3))
    '3 November 2026'
    """
    return f"{when.day} {when:%B %Y}"
