"""The staff policy as Cedar text: who may claim what, judged by rules a company writes itself.

Cedar is asked about an actor, a purpose, an action and one category at a time; a person is never
in what it is told, nor is the house's own machinery: their rights are not the staff policy's. An
answer depends on nothing but what is asked, so equal questions are asked of Cedar once.

What Cedar would leave open is closed here: a rule that fails to evaluate is skipped by Cedar,
even a forbid, so that any error denies; a word nobody knows would never match, so that it does
not load; a request that cannot be read is denied.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import cedarpy

from troth import crypto
from troth.adapters.cedar_words import (
    ANSWERED_ELSEWHERE,
    Asked,
    Rule,
    Words,
    asked_of,
    read_rules,
)
from troth.errors import InvalidInput
from troth.kernel.masks import more_shown
from troth.kernel.reasons import house_reason, refusal
from troth.ports import StaffPolicy
from troth.terms import Actor, Claim, Mask, Reason, ReasonCode, Refusal, UseRequest

DEFAULT: Final = "access.default"
"""Rule of a denial that no rule made: nothing permits it."""
FAILED: Final = "access.error"
"""Rule of a denial because Cedar could not judge."""
_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class Verdict:
    """Cedar's word on one category.

    Attributes:
        mask: How it is shown, None where it is denied.
        rules: Ids of the rules that decided; none where nothing permits it.
        failed: Cedar could not judge: a rule failed, or the question could not be read.
    """

    mask: Mask | None
    rules: tuple[str, ...]
    failed: bool = False


@cache
def schema() -> str:
    """Return the words a policy may use, as shipped."""
    return (files("troth") / "data/access.cedarschema").read_text("utf-8")


def digest(text: str) -> str:
    """Return what a policy is known by in events: SHA-256, hex, of schema and rules."""
    return crypto.sha256(schema().encode() + b"\0" + text.encode()).hex()


def uid(kind: str, name: str) -> dict[str, str]:
    """Name an entity; the only place that does. As a pair no sign in a name has a meaning."""
    return {"type": kind, "id": name}


class CedarPolicy:
    """A `StaffPolicy` over Cedar rules; persons and the house's machinery are asked elsewhere."""

    def __init__(
        self,
        text: str,
        words: Words,
        known: Callable[[Actor], bool],
        name_of: Callable[[Actor], str],
        own: StaffPolicy,
    ) -> None:
        """Load a policy; takes some milliseconds.

        Args:
            text: The rules, `access.cedar`.
            words: Purposes and categories as published, and the zone of the house.
            known: Whether an actor is one of the house right now.
            name_of: An actor's keyed name, `role/digest`.
            own: Answers for persons and for the house's own machinery.

        Raises:
            InvalidInput: A rule does not parse, has no id of its own, or uses a word nobody
                knows; names the rule and its line.
        """
        self.digest = digest(text)
        self._read = read_rules(text, schema(), words)
        self._groups = self._read.alike(words.categories)
        self._policies = cedarpy.PolicySet.from_str(text)
        self._words = words
        self._entities = _tree(words)
        self._known, self._name_of, self._own = known, name_of, own
        self._acting = lru_cache(maxsize=1_024)(self._with_actor)
        self._judged = lru_cache(maxsize=_KEPT)(self._judge_all)

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules by their id."""
        return self._read.rules

    def claim(self, request: UseRequest) -> Claim | Refusal:
        """Say what this actor may use for this, or why not; 2 ms the first time, then none."""
        if request.actor.role in ANSWERED_ELSEWHERE:
            return self._own.claim(request)
        if not self._known(request.actor):
            return Refusal((house_reason(ReasonCode.UNKNOWN_ACTOR, "access.staff"),))
        asked = self._asked(request)
        if asked is None:
            return Refusal((house_reason(ReasonCode.PURPOSE_NOT_PERMITTED, "access.purpose"),))
        return self._answer(self._judged(self._read.plain(asked)), request)

    def verdict(self, asked: Asked, category: str) -> Verdict:
        """Return Cedar's word on one category, with the rules that decided it."""
        found = self._judged(self._read.plain(asked)).get(category)
        return found if found is not None else self._ask(asked, (category,))[category]

    def why(self, request: UseRequest, category: str) -> Verdict:
        """Return Cedar's word on one category of a use of a known colleague."""
        asked = self._asked(request)
        if asked is None:
            return Verdict(None, ("access.purpose",))
        return self.verdict(asked, category)

    def _asked(self, request: UseRequest) -> Asked | None:
        """Put a use into words; who asks is told only where a rule names a colleague."""
        name = self._name_of(request.actor) if "actor" in self._read.asks else ""
        return asked_of(request, self._words, name)

    def _answer(self, told: Mapping[str, Verdict], request: UseRequest) -> Claim | Refusal:
        failed = [rule for each in told.values() if each.failed for rule in each.rules]
        if failed:
            return Refusal((house_reason(ReasonCode.RULE_ERROR, min(failed)),))
        masks = {name: each.mask for name, each in told.items() if each.mask is not None}
        if masks:
            return Claim(masks, self.digest)
        return refusal(_objections(told, request.categories or told))

    def _judge_all(self, asked: Asked) -> Mapping[str, Verdict]:
        told = self._ask(asked, tuple(group[0] for group in self._groups))
        return {name: told[group[0]] for group in self._groups for name in group}

    def _ask(self, asked: Asked, categories: tuple[str, ...]) -> Mapping[str, Verdict]:
        try:
            requests = [request_of(asked, each) for each in categories]
            entities = self._acting(asked.role, asked.actor)
            told = cedarpy.is_authorized_batch(requests, self._policies, entities)
        except (ValueError, TypeError, RuntimeError):
            return dict.fromkeys(categories, Verdict(None, (FAILED,), failed=True))
        return {name: self._verdict(each) for name, each in zip(categories, told, strict=True)}

    def _with_actor(self, role: str, actor: str) -> cedarpy.Entities:
        added = {"uid": uid("Actor", actor), "attrs": {}, "parents": [uid("Role", role)]}
        return self._entities.with_added_json_str(json.dumps([added]))

    def _verdict(self, told: cedarpy.AuthzResult) -> Verdict:
        """Read an answer: an error of any rule, or no decision at all, denies."""
        names = tuple(sorted(f"access.{n}" for n in self._ids(told)))
        if told.diagnostics.errors or told.decision is cedarpy.Decision.NoDecision:
            return Verdict(None, (FAILED,), failed=True)
        if not told.allowed:
            return Verdict(None, names)
        mask: Mask = "null"
        for name in self._ids(told):
            mask = more_shown(mask, self.rules[name].mask)
        return Verdict(mask, names)

    @staticmethod
    def _ids(told: cedarpy.AuthzResult) -> list[str]:
        ids: Mapping[str, str] = told.diagnostics.id_annotations_by_reason
        return [ids[each] for each in told.diagnostics.reasons]


def request_of(asked: Asked, category: str) -> dict[str, Any]:
    """Return a question as Cedar reads it: all it is ever told."""
    context: dict[str, Any] = {
        name: {"__entity": uid(kind, value)}
        for name, kind, value in (
            ("purpose", "Purpose", asked.purpose),
            ("kind", "Kind", asked.kind),
            ("channel", "Channel", asked.channel),
            ("reason", "Reason", asked.reason),
        )
    }
    context |= {"agreement": asked.agreement, "hour": asked.hour, "weekday": asked.weekday}
    return {
        "principal": uid("Actor", asked.actor),
        "action": uid("Action", asked.action),
        "resource": uid("Category", category),
        "context": context,
    }


def _tree(words: Words) -> cedarpy.Entities:
    try:
        ZoneInfo(words.zone)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise InvalidInput("the zone of the house is unknown", "correct [house] zone") from None
    try:
        return cedarpy.Entities.from_json_str(json.dumps(list(_entities(words))))
    except ValueError:
        raise InvalidInput("a purpose lies above itself", "correct its parent") from None


def _entities(words: Words) -> Iterator[dict[str, Any]]:
    """Yield what lies below what: purposes below parents, categories below their dotted heads."""
    for purpose in words.purposes.values():
        above = [uid("Purpose", purpose.parent)] if purpose.parent in words.purposes else []
        yield {"uid": uid("Purpose", purpose.name), "attrs": {}, "parents": above}
    for category in sorted(words.with_heads):
        head = category.rpartition(".")[0]
        above = [uid("Category", head)] if head else []
        yield {"uid": uid("Category", category), "attrs": {}, "parents": above}


def _objections(told: Mapping[str, Verdict], categories: Iterable[str]) -> list[Reason]:
    """Name the rules that forbid what is asked for; the default where none does."""
    rules = {rule for name in categories if name in told for rule in told[name].rules}
    return [house_reason(ReasonCode.PURPOSE_NOT_PERMITTED, rule) for rule in rules or {DEFAULT}]


def read_text(text: bytes) -> str:
    """Read the bytes of a policy.

    Raises:
        InvalidInput: They are not UTF-8.
    """
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise InvalidInput("access.cedar is not UTF-8", "save it as UTF-8") from None
