"""What went wrong on a page of the customer's side, said in the reader's language.

What happened, that nothing was lost, what to do, and a reference. A fault's own sentence is shown
where it is one of those below; every other fault is said by its kind alone: a customer never reads
a sentence that was written for whoever runs this, nor one in another language.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth.errors import Fault
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.frame import EntryNeeded, Visit, portal_page, visiting
from troth.surfaces.web.parts import PORTAL_PROBLEM, Hub, Problem

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "not_found": (
        N_("What you look for is not here."),
        N_("It was moved or is gone, or the address is not whole. Start from your own pages."),
    ),
    "invalid": (
        N_("This could not be used as it was sent."),
        N_("Go back, look at what you typed or chose, and send it once more."),
    ),
    "conflict": (
        N_("Something changed here meanwhile."),
        N_("Open the page again and look before you choose."),
    ),
    "unavailable": (
        N_("This does not work at the moment."),
        N_("Try again in a minute."),
    ),
    "evidence": (
        N_("Our own record does not agree with its proof, so we show none of it."),
        N_("This is for us to put right. Write to us and give the reference below."),
    ),
    "not_allowed": (
        N_("This is not open to you here."),
        N_("Open the page again, and send the form from there."),
    ),
    "quota": (
        N_("Too much was asked from your network."),
        N_("Wait a minute, then try again."),
    ),
}
"""Code of a fault → what happened, and what to do."""
ELSE: Final = (
    N_("Something went wrong here, not with you."),
    N_("Try again in a moment. If it stays so, write to us and give the reference below."),
)
OWN: Final[Mapping[str, tuple[str, str]]] = {
    "this is not open to you": (
        N_("You do not act for this person any more."),
        N_("Go back to your own pages."),
    ),
    "you act for nobody of this name": (
        N_("You act for nobody of this name."),
        N_("Choose from the list of those you act for."),
    ),
    "there is no such entry about you": (
        N_("There is no such entry about you."),
        N_("Choose one from the list."),
    ),
    "there is no such request": (
        N_("There is no such request of yours."),
        N_("Look at the list of your requests."),
    ),
    "this link is not known or has expired": (
        N_("This link is not known, or is over."),
        N_("Have a fresh one sent."),
    ),
    "a competent person agrees for somebody under 18": (
        N_("Somebody who may decide for you has to agree to this."),
        N_("Ask a parent or guardian to come in by their own address."),
    ),
    "a competent person asked this for somebody under 18": (
        N_("Somebody who decides for you asked for this."),
        N_("Ask them to take it back."),
    ),
    "who has a mandate says no for somebody, not yes": (
        N_("With a mandate you can say no for somebody, not yes."),
        N_("Let the person themselves come in and agree."),
    ),
    "what we tell you about this has changed": (
        N_("What we tell you about this has changed."),
        N_("Read it, then choose again."),
    ),
    "this was answered meanwhile": (
        N_("This was answered meanwhile."),
        N_("Look at the page again."),
    ),
    "you said no to this a moment ago": (
        N_("You said no to this a moment ago."),
        N_("Say yes again in a second."),
    ),
    "an order at law holds this data back": (
        N_("An order of law makes us keep this for now."),
        N_("Ask us about it under Requests."),
    ),
    "there is nothing of this any more, or it lies elsewhere now": (
        N_("There is nothing of this any more, or it lies elsewhere now."),
        N_("Load your activity again and choose again."),
    ),
    "this code has run out": (
        N_("This code has run out."),
        N_("Ask for a new one."),
    ),
    "others keep writing to this record": (
        N_("Your record is being written to at this very moment."),
        N_("Try again in a moment."),
    ),
}
"""A fault's own message → the same for customers, and what to do."""


def add_routes(_app: FastAPI, hub: Hub) -> None:
    """Let problems of this side wear its frame."""
    hub.kept[PORTAL_PROBLEM] = problem_page


def problem_page(hub: Hub, request: Request, status: int, told: Problem) -> Response:
    """Answer with a problem, with the reader's own frame where they are in."""
    visit: Visit | None = None
    if not request.url.path.startswith("/embed"):
        with suppress(EntryNeeded, Fault):
            visit = visiting(hub, request)
    what, remedy = OWN.get(told.message) or KINDS.get(told.code, ELSE)
    return portal_page(
        hub, request, visit, "my_problem.html", "", status, what=what, remedy=remedy, id=told.id
    )
