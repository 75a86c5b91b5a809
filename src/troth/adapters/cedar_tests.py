"""The tests beside a Cedar policy: what its writers promise, tried at every load.

    [[test]]
    given = { role = "support", kind = "service", action = "read", category = "contact.email" }
    expect = "allow"            # or "deny"
    mask = "last4"              # of an allow; "full" unless told
    rule = "support.email"      # the rule that decides; of a deny "default" where none permits

`given` may also name purpose, channel, reason, agreement, hour and weekday.
"""

import tomllib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.adapters.cedar import CedarPolicy, Verdict
from troth.adapters.cedar_words import ANSWERED_ELSEWHERE, REASONS, Asked, Words
from troth.errors import InvalidInput
from troth.kernel.masks import MASKS
from troth.terms import Action, Channel, PurposeKind, Role

_FILE: Final = "access.tests.toml"
_NOBODY: Final = "0" * 16
_KEYS: Final = frozenset({"given", "expect", "mask", "rule", "why"})
_NEEDED: Final = frozenset({"role", "action", "category"})
_BESIDES: Final = ("channel", "reason", "agreement", "hour", "weekday")


@dataclass(frozen=True, slots=True)
class Case:
    """One promise about a policy.

    Attributes:
        place: Which test of the file, from 1.
        mask: How it is shown, "" of a deny.
        rule: Id of the rule that decides, "default" where none permits.
    """

    place: int
    asked: Asked
    category: str
    mask: str
    rule: str


def read_cases(raw: bytes, words: Words) -> list[Case]:
    """Read the tests beside a policy.

    Raises:
        InvalidInput: The file does not read, holds no test, or a test uses a word nobody knows.
    """
    try:
        read = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise InvalidInput(f"{_FILE}: {fault}", "correct the file") from None
    tests = read.get("test")
    if read.keys() != {"test"} or not isinstance(tests, list) or not tests:
        raise InvalidInput(f"{_FILE} holds no test", "write [[test]], then given, expect and rule")
    return [_case(place, test, words) for place, test in enumerate(tests, 1)]


def failures(policy: CedarPolicy, cases: Sequence[Case]) -> list[str]:
    """Try every test; each sentence names one that does not hold, and what was found."""
    out = []
    for case in cases:
        told = policy.verdict(case.asked, case.category)
        found = _said(told)
        wanted = (f"allow {case.mask}" if case.mask else "deny", case.rule)
        if found[0] != wanted[0] or wanted[1] not in found[1]:
            by = ", ".join(found[1])
            out.append(
                f"{_FILE}: test {case.place} expects {wanted[0]} by {wanted[1]}, "
                f"the policy says {found[0]} by {by}"
            )
    return out


def untested(policy: CedarPolicy, cases: Sequence[Case]) -> list[str]:
    """Name the rules no test is about: nobody would notice if they went."""
    return sorted(policy.rules.keys() - {case.rule for case in cases})


def require_tested(policy: CedarPolicy, cases: Sequence[Case]) -> None:
    """Refuse a policy that does not do what is written beside it.

    Raises:
        InvalidInput: A test fails, or a rule has none.
    """
    wrong = failures(policy, cases)
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise InvalidInput(wrong[0] + more, "correct the rule or the test")
    bare = untested(policy, cases)
    if bare:
        line = policy.rules[bare[0]].line
        raise InvalidInput(
            f"access.cedar:{line}: no test is about rule {bare[0]}", f"write one in {_FILE}"
        )


def _said(told: Verdict) -> tuple[str, tuple[str, ...]]:
    if told.failed:
        return "error", told.rules
    names = tuple(rule.removeprefix("access.") for rule in told.rules)
    return (f"allow {told.mask}" if told.mask else "deny"), names or ("default",)


def _case(place: int, test: Mapping[str, Any], words: Words) -> Case:
    given = test.get("given")
    if not isinstance(given, Mapping) or test.keys() - _KEYS or not given.keys() >= _NEEDED:
        raise _wrong(place, "needs given (role, action, category), expect and rule")
    expect, rule = test.get("expect"), test.get("rule")
    if expect not in ("allow", "deny") or not isinstance(rule, str):
        raise _wrong(place, "needs expect = allow or deny, and the rule that decides")
    mask = test.get("mask", "full") if expect == "allow" else ""
    if mask and mask not in MASKS:
        raise _wrong(place, "names an unknown mask")
    if expect == "deny" and "mask" in test:
        raise _wrong(place, "denies and has a mask")
    return Case(place, _asked(place, given, words), given["category"], mask, rule)


def _asked(place: int, given: Mapping[str, Any], words: Words) -> Asked:
    """Put what a test gives into a question; a purpose not named is one of that kind alone."""
    name = given.get("purpose", "")
    if name and name not in words.purposes:
        raise _wrong(place, "names an unknown purpose")
    kind = words.purposes[name].kind if name else given.get("kind", "")
    told = {key: given[key] for key in _BESIDES if key in given}
    if given.keys() - {*_NEEDED, "purpose", "kind", *told}:
        raise _wrong(place, "gives something no rule can ask about")
    allowed: Mapping[str, Container[object]] = {
        "role": frozenset(Role) - ANSWERED_ELSEWHERE,
        "action": frozenset(Action),
        "category": words.categories,
        "kind": frozenset(PurposeKind),
        "channel": frozenset({*Channel, "none"}),
        "reason": REASONS,
        "hour": range(24),
        "weekday": range(1, 8),
    }
    for key, value in ({**given, "kind": kind}).items():
        sound = isinstance(value, (str, int)) and not isinstance(value, bool)
        if key in allowed and not (sound and value in allowed[key]):
            raise _wrong(place, f"gives an unknown {key}")
    if not isinstance(told.get("agreement", ""), str):
        raise _wrong(place, "gives an unknown agreement")
    actor = f"{given['role']}/{_NOBODY}"
    return Asked(given["role"], actor, given["action"], name, str(kind), **told)


def _wrong(place: int, said: str) -> InvalidInput:
    return InvalidInput(f"{_FILE}: test {place} {said}", "see docs/access-policy.md")
