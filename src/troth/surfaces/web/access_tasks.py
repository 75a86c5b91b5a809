"""What waits about rights of staff, for the home of the officer and of IT."""

from troth.capabilities.access import granting
from troth.capabilities.access.grants import Grant
from troth.surfaces import words
from troth.surfaces.access_words import called, left
from troth.surfaces.web.waiting import Seen, Task
from troth.terms import Instant

PLACE = "/console/access#grants"


def tasks(seen: Seen) -> list[Task]:
    """Return emergencies to look at and requests to answer, the late ones first, unnamed."""
    now, own = seen.view.now, granting.hand(seen.hand)
    every = granting.every(seen.view)
    owed = sorted((g for g in every if g.due and not g.reviewed), key=lambda g: g.due)
    waits = [g for g in every if g.waits(now)]
    return [
        *(_emergency(g, now, own) for g in owed),
        *(_request(g, now, own) for g in waits),
    ]


def _emergency(g: Grant, now: Instant, own: str) -> Task:
    late, mine = g.unreviewed(now), granting.hand(g.account) != own
    word = "late" if late else "look at it"
    text = f"{_data(g)}. {_role(g)} broke the glass." + (
        " It is open now." if g.stands(now) else ""
    )
    return Task("bad" if late else "now", word, "An emergency to look at", PLACE, text, mine)


def _request(g: Grant, now: Instant, own: str) -> Task:
    mine = own not in {granting.hand(g.account), granting.hand(g.by)}
    word = "waits for your yes" if mine else "with a colleague"
    text = f"{_role(g)} asks for {_data(g).lower()}. {left(g, now).capitalize()} left to answer."
    return Task("now" if mine else "", word, "A right for a while", PLACE, text, mine)


def _role(g: Grant) -> str:
    return words.ROLES.get(g.account.partition("/")[0], "Somebody")


def _data(g: Grant) -> str:
    return ", ".join(called(c) for c in sorted(g.categories)).capitalize()
