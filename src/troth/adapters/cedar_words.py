"""The words of a Cedar policy: what rules may name, what a use is called, what does not load."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

import cedarpy

from troth.errors import InvalidInput
from troth.kernel.masks import MASKS
from troth.kernel.purposes import within
from troth.terms import Action, Channel, Mask, Purpose, PurposeKind, Role, UseRequest, moment

ANSWERED_ELSEWHERE: Final = frozenset({Role.SYSTEM, Role.PERSON})
"""Roles that are no staff: a policy about staff neither grants nor takes their rights."""
REASONS: Final = frozenset({"case", "request", "campaign", "audience", "none"})
CONTEXT: Final = frozenset(
    {"purpose", "kind", "channel", "reason", "agreement", "hour", "weekday"}
)
"""What a rule finds in every use; the shipped schema says the same."""
_THE_USE: Final = {"Var": "context"}
_BY_ATTRIBUTE: Final = frozenset({".", "has"})
_UNASKED: Final[Mapping[str, Any]] = {
    "actor": "",
    "purpose": "",
    "channel": "none",
    "reason": "none",
    "agreement": "",
    "hour": 12,
    "weekday": 1,
}
ANNOTATIONS: Final = frozenset({"id", "mask", "why"})
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ACTOR = re.compile(r"[a-z_]{1,32}/[0-9a-f]{16}")
_AGREEMENT = re.compile(r"[a-z0-9_-]{1,64}(@[0-9]{1,6})?")
_FILE: Final = "access.cedar"


@dataclass(frozen=True, slots=True)
class Words:
    """What a rule may name, as published.

    Attributes:
        categories: Every data category known.
        zone: IANA zone in which a rule's hours are.
    """

    purposes: Mapping[str, Purpose]
    categories: frozenset[str]
    zone: str = "UTC"

    @property
    def with_heads(self) -> frozenset[str]:
        """The categories and all they lie in: `contact.email` lies in `contact`."""
        heads = set(self.categories)
        for category in self.categories:
            while category := category.rpartition(".")[0]:
                heads.add(category)
        return frozenset(heads)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as loaded.

    Attributes:
        permits: True for a permit, False for a forbid.
        mask: How a permit shows what it permits.
        why: The writer's own sentence about it, or "".
    """

    id: str
    line: int
    permits: bool
    mask: Mask = "full"
    why: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything Cedar is told about a use besides its category. Equal ones have equal answers."""

    role: str
    actor: str
    action: str
    purpose: str
    kind: str
    channel: str = "none"
    reason: str = "none"
    agreement: str = ""
    hour: int = 12
    weekday: int = 1


def asked_of(request: UseRequest, words: Words, actor: str) -> Asked | None:
    """Return what Cedar is told of a use, None where its purpose is unknown.

    The person, the id behind a reason and the brand are left out; an agreement that is not spelt
    like one is left out too, and the house refuses it anyway.
    """
    purpose = words.purposes.get(request.purpose)
    if purpose is None:
        return None
    local = moment(request.at).astimezone(ZoneInfo(words.zone))
    kind = request.reason.partition(":")[0]
    return Asked(
        role=request.actor.role.value,
        actor=actor,
        action=request.action.value,
        purpose=purpose.name,
        kind=purpose.kind.value,
        channel=request.channel.value if request.channel else "none",
        reason=kind if kind in REASONS else "none",
        agreement=request.agreement if _AGREEMENT.fullmatch(request.agreement) else "",
        hour=local.hour,
        weekday=local.isoweekday(),
    )


@dataclass(frozen=True, slots=True)
class Read:
    """A policy as read and found sound.

    Attributes:
        rules: By id.
        asks: What rules look at besides role, action, kind and category; the rest of a question
            cannot change their answer.
        categories: Every category a rule names.
    """

    rules: Mapping[str, Rule]
    asks: frozenset[str]
    categories: frozenset[str] = frozenset()

    def alike(self, categories: Iterable[str]) -> list[list[str]]:
        """Group categories no rule tells apart: unnamed ones that lie in the same named ones."""
        groups: dict[tuple[str, frozenset[str]], list[str]] = {}
        for each in sorted(categories):
            above = frozenset(name for name in self.categories if within(each, name))
            groups.setdefault((each if each in above else "", above), []).append(each)
        return list(groups.values())

    def plain(self, asked: Asked) -> Asked:
        """Return a question without what no rule looks at."""
        return replace(asked, **{n: v for n, v in _UNASKED.items() if n not in self.asks})


def read_rules(text: str, schema: str, words: Words) -> Read:
    """Read and check a policy's rules.

    Raises:
        InvalidInput: It does not parse, or a rule names an attribute, action, purpose, category,
            role, mask or annotation nobody knows, or has no id, or one that another has.
    """
    parsed = _parsed(text)
    asks = frozenset(_looked_at(parsed))
    named = frozenset(name for kind, name in _named(parsed) if kind == "Category")
    lines = _lines(text)
    rules: dict[str, Rule] = {}
    for place, (key, policy) in enumerate(sorted(parsed.items(), key=_number)):
        rule = _rule(policy, place, lines)
        if rule.id in rules:
            raise _wrong(rule.id, rule.line, "has the id of another rule", "give it its own")
        rules[rule.id] = rule
        for kind, name in _named(policy):
            _require_known(kind, name, words, rule)
        for attribute in _looked_for(policy):
            if attribute not in CONTEXT:
                raise _wrong(
                    rule.id,
                    rule.line,
                    f"looks for {attribute}, which no use has",
                    f"use one of {', '.join(sorted(CONTEXT))}",
                )
        parsed[key] = rule
    _validate(text, schema, parsed)
    return Read(rules, asks, named)


def _number(entry: tuple[str, Any]) -> int:
    return int(entry[0].removeprefix("policy"))


def _parsed(text: str) -> dict[str, Any]:
    try:
        whole = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as fault:
        said = " ".join(str(fault).split())
        raise InvalidInput(
            f"{_FILE}: {said}", "correct the rule; see docs/access-policy.md"
        ) from None
    if whole["templates"] or whole["templateLinks"]:
        raise InvalidInput(f"{_FILE} holds a template, which permits nothing", "write it out")
    policies: dict[str, Any] = whole["staticPolicies"]
    return policies


_ANNOTATED = re.compile(r'^[ \t]*@id\("([^"]*)"\)', re.MULTILINE)


def _lines(text: str) -> dict[str, int]:
    """Return rule id → line it begins at."""
    return {
        found[1]: text.count("\n", 0, found.start()) + 1 for found in _ANNOTATED.finditer(text)
    }


def _wrong(name: str, line: int, said: str, remedy: str) -> InvalidInput:
    place = f"{_FILE}:{line}" if line else _FILE
    return InvalidInput(f"{place}: rule {name} {said}", remedy)


def _rule(policy: Mapping[str, Any], place: int, lines: Mapping[str, int]) -> Rule:
    notes: Mapping[str, str] = policy.get("annotations", {})
    name = notes.get("id") or ""
    if not _ID.fullmatch(name):
        raise _wrong(f"number {place + 1}", 0, "has no id", 'put @id("name") above it')
    line, permits = lines.get(name, 0), policy["effect"] == "permit"
    unknown = notes.keys() - ANNOTATIONS
    if unknown:
        raise _wrong(name, line, f"has an unknown annotation @{min(unknown)}", "remove it")
    mask = notes.get("mask", "full")
    if mask not in MASKS:
        raise _wrong(name, line, "names an unknown mask", f"use one of {', '.join(sorted(MASKS))}")
    if "mask" in notes and not permits:
        raise _wrong(name, line, "forbids and has a mask", "mask in a permit, or forbid in full")
    return Rule(name, line, permits, mask, notes.get("why", ""))


def _named(node: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    """Yield every entity a rule names, wherever it stands in it."""
    if isinstance(node, Mapping):
        if node.keys() == {"type", "id"}:
            yield node["type"], node["id"]
        for value in node.values():
            yield from _named(value)
    elif isinstance(node, list):
        for value in node:
            yield from _named(value)


def _looked_for(node: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield every attribute a rule asks the presence of: `has` of an unknown one is just false."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "has" and isinstance(value, Mapping) and "attr" in value:
                yield value["attr"]
            yield from _looked_for(value)
    elif isinstance(node, list):
        for value in node:
            yield from _looked_for(value)


def _looked_at(node: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield what rules look at: attributes of a use, and the colleague where one is named."""
    if isinstance(node, list):
        for value in node:
            yield from _looked_at(value)
    elif isinstance(node, Mapping):
        if node == _THE_USE:  # as a whole, not by an attribute
            yield from CONTEXT
        for key, value in node.items():
            if key in _BY_ATTRIBUTE and isinstance(value, Mapping):
                if value.get("left") == _THE_USE:
                    yield value["attr"]
                    continue
            elif key == "type" and value == "Actor":
                yield "actor"
            yield from _looked_at(value)


def _require_known(kind: str, name: str, words: Words, rule: Rule) -> None:
    known: Mapping[str, frozenset[str]] = {
        "Role": frozenset(Role) - ANSWERED_ELSEWHERE,
        "Kind": frozenset(PurposeKind),
        "Action": frozenset(Action),
        "Channel": frozenset({*Channel, "none"}),
        "Reason": REASONS,
        "Purpose": frozenset(words.purposes),
        "Category": words.with_heads,
    }
    if kind == "Actor":
        if not _ACTOR.fullmatch(name):
            raise _wrong(rule.id, rule.line, "names an Actor not as role/digest", "name a Role")
        return
    if name not in known.get(kind, frozenset()):
        here = ", ".join(sorted(known.get(kind, frozenset()))) or "the types of the schema"
        raise _wrong(rule.id, rule.line, f"names an unknown {kind}", f"use one of {here}")


def _validate(text: str, schema: str, rules: Mapping[str, Rule]) -> None:
    """Let Cedar check types and attributes: what would never match is found here."""
    told = cedarpy.validate_policies(text, schema)
    for error in told.errors:
        rule = rules.get(error.policy_id)
        said = " ".join(error.error.replace(f"for policy `{error.policy_id}`, ", "").split())
        if rule is None:
            raise InvalidInput(f"{_FILE}: {said}", "correct the rule")
        raise _wrong(rule.id, rule.line, f"does not fit the schema: {said}", "correct the rule")
    if not told:
        raise InvalidInput(f"{_FILE} does not fit the schema", "correct the rules")
