"""The time-line's words for what a person does on the customer's side."""

from troth.kernel import events
from troth.kernel.facts import House
from troth.surfaces.said import N_, Said, counted
from troth.surfaces.timeline_words import (
    ACTIVITY,
    BY,
    DELETED,
    FIELDS,
    KINDS_OF_LINK,
    METHODS,
    REQUEST_ACTS,
    RIGHTS,
    Told,
    pairs,
    said_of,
)


def wished(told: events.PreferenceSet, _house: House) -> Told:
    """Say what a person wishes."""
    quiet = told.quiet or ("", "")
    return Told(
        "choice",
        Said("You set how often and when we may write to you"),
        pairs(
            (N_("Nothing before"), told.pause_until),
            (
                N_("At most"),
                counted("%(n)s message in 30 days", "%(n)s messages in 30 days", told.most)
                if told.most is not None
                else "",
            ),
            (
                N_("Quiet"),
                Said("from %(first)s to %(last)s", {"first": quiet[0], "last": quiet[1]})
                if told.quiet
                else "",
            ),
            (N_("Acted"), Said(BY.get(told.given_by, ""))),
            (N_("Source"), told.source),
        ),
    )


def keeps(told: events.RetentionChosen, _house: House) -> Told:
    """Say how long activity is kept."""
    months = told.months
    return Told(
        "choice",
        Said("You chose how long we keep your activity"),
        pairs(
            (N_("What"), said_of(ACTIVITY, told.scope)),
            (
                N_("At most"),
                Said("as long as the rules say")
                if months is None
                else counted("%(n)s month", "%(n)s months", months),
            ),
            (N_("Acted"), Said(BY.get(told.given_by, ""))),
        ),
    )


def forgot(told: events.BehaviourDeleted, _house: House) -> Told:
    """Say what was deleted."""
    return Told(
        "house",
        counted(
            "%(n)s entry of your activity was deleted, as you wished",
            "%(n)s entries of your activity were deleted, as you wished",
            told.count,
        ),
        pairs(
            (N_("What"), said_of(DELETED, told.what)),
            (N_("Acted"), Said(BY.get(told.given_by, ""))),
        ),
    )


def corrected(told: events.ValueCorrected, _house: House) -> Told:
    """Say what was corrected."""
    return Told(
        "held",
        Said("Something we hold about you was corrected"),
        pairs(
            (N_("What"), said_of(FIELDS, told.field)),
            (N_("Recipients told"), told.told),
            (N_("Acted"), Said(BY.get(told.given_by, ""))),
            (N_("Source"), told.source),
        ),
    )


def requested(told: events.RequestActed, _house: House) -> Told:
    """Say a step of a request."""
    sentence = REQUEST_ACTS.get(told.act, N_("A step was taken in your request: %(right)s"))
    return Told(
        "choice",
        Said(sentence, {"right": said_of(RIGHTS, told.right)}),
        pairs(
            (N_("Answer due"), (told.due or "")[:10]),
            (N_("Rule"), told.rule),
            (N_("Ground"), told.ground),
            (N_("Said"), told.text),
            (N_("Request"), told.request),
            (N_("Acted"), Said(BY.get(told.given_by, ""))),
        ),
    )


def came(told: events.VisitBegan, _house: House) -> Told:
    """Say that somebody came in."""
    sentence = (
        Said("You came in to see and steer your data")
        if told.relation == "self"
        else Said("Somebody who acts for you came in to see and steer your data")
    )
    return Told(
        "reading",
        sentence,
        pairs(
            (N_("As"), said_of(KINDS_OF_LINK, told.relation) if told.relation != "self" else ""),
            (N_("By"), said_of(METHODS, told.method)),
        ),
    )
