"""Why somebody is not among those an audience selects: the condition that keeps them out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from troth.kernel.audience.meaning import FACTS, Known, category, holds, predicates, today
from troth.kernel.audience.words import Audience, Every, Expression
from troth.terms import Instant

State = Literal["no", "unagreed", "untold"]
STATES: tuple[State, ...] = ("no", "unagreed", "untold")
"""It does not hold · unknown: they did not agree that it is looked at · unknown: never told."""


class Outside(NamedTuple):
    """The condition, by its place in `musts`, that keeps a person out, and how."""

    place: int
    state: State


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many people share these facts and stand so; texts are "" and level is -1 if unknown.

    Attributes:
        why: What keeps them out; None: the audience is true of them.
        agreed: Categories they agreed to.
    """

    why: Outside | None
    residence: str
    age: str
    language: str
    subject: str
    level: int
    agreed: frozenset[str]
    people: int


def musts(where: Expression) -> tuple[Expression, ...]:
    """Return what must all hold, in the order it is asked: plain facts before behaviour.

    Who is out by a plain fact is counted there, and no purchase of theirs is added up.
    """
    every = list(_flat(where))
    plain = [each for each in every if is_plain(each)]
    return (*plain, *(each for each in every if each not in plain))


def _flat(where: Expression) -> Iterator[Expression]:
    if isinstance(where, Every):
        for part in where.parts:
            yield from _flat(part)
    else:
        yield where


def needs(where: Expression) -> frozenset[str]:
    """Return the categories a person must have agreed to before it is answered at all."""
    return frozenset(map(category, predicates(where))) - FACTS


def is_plain(where: Expression) -> bool:
    """Say whether facts of the relation alone answer it."""
    return not needs(where)


def outside(audience: Audience, known: Known, at: Instant) -> Outside | None:
    """Say what keeps a person out at `at`; None: nothing does, `evaluate` is True.

    A plain no goes before what is unknown, so that the state is "no" exactly where `evaluate`
    is False. An unknown is `unagreed` if the condition reads anything they did not agree to.
    """
    asked = musts(audience.where)
    answers = [holds(each, known, today(at)) for each in asked]
    if False in answers:
        return Outside(answers.index(False), "no")
    if None not in answers:
        return None
    place = answers.index(None)
    agreed = needs(asked[place]) <= known.agreed
    return Outside(place, "untold" if agreed else "unagreed")
