"""Decisions asked for from outside the house, in the words of the pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from troth.capabilities.access import decisions
from troth.capabilities.access.decisions import Ask, narrowed
from troth.kernel.desk import Desk
from troth.surfaces import words
from troth.terms import Reason

__all__ = ["Answer", "Ask", "Why", "decide", "narrowed", "refuse"]


@dataclass(frozen=True, slots=True)
class Why:
    """One objection in words."""

    code: str
    rule: str
    title: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gate said about one person; `until` is "" on a refusal."""

    agreed: bool
    reasons: tuple[Why, ...] = ()
    until: str = ""
    categories: Mapping[str, str] = field(default_factory=dict)
    obligations: tuple[str, ...] = ()
    basis: str = ""


def decide(desk: Desk, ask: Ask, outside: Sequence[str]) -> list[Answer]:
    """Decide for each outside id, in the order given; see `access.decisions.decide`.

    Raises:
        Conflict: Something published changed meanwhile: ask again.
    """
    return [_said(answer) for answer in decisions.decide(desk, ask, outside)]


def refuse(
    desk: Desk, ask: Ask, reasons: Sequence[Reason], outside: Sequence[str]
) -> list[Answer]:
    """Refuse a claim before the gate is asked; recorded when this returns."""
    return [_said(answer) for answer in decisions.refuse(desk, ask, reasons, outside)]


def _said(answer: decisions.Answer) -> Answer:
    why = [Why(str(r.code), r.rule, words.title(r.code), words.remedy(r)) for r in answer.reasons]
    return Answer(
        answer.agreed,
        tuple(why),
        answer.until,
        answer.categories,
        answer.obligations,
        answer.basis,
    )
