"""Why a use is allowed or refused, and the nearest change that would allow it.

The search tries single changes, the smallest first, and asks policy and gate again about each: a
change that is named was judged, not guessed. Nothing is changed and nothing is recorded here; who
asks about a person records that first.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from troth.kernel import gate, looking
from troth.kernel.claims import judge_claim
from troth.kernel.desk import Desk
from troth.kernel.facts import House
from troth.kernel.purposes import banned_categories
from troth.ports import View
from troth.terms import (
    Action,
    Actor,
    Channel,
    Claim,
    Gathered,
    Purpose,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
)

Kind = Literal["reason", "categories", "channel", "purpose", "action", "grant", "role"]
Answer = Claim | gate.Permit | Refusal
STAFF_POLICY: Final = "house.staff_policy"
"""Rule that stands for the staff policy where it gives less than was asked for."""
_CLOSENESS: Final = (
    Action.READ,
    Action.EXPORT,
    Action.SHARE,
    Action.SEND,
    Action.PERSONALISE,
    Action.PROFILE,
)
"""Actions beside those most alike: the first half discloses, the second half uses."""
_EMPTY_HANDED: Final = frozenset({Action.SEND, Action.PERSONALISE})
"""Actions that make sense with no category at all: a message keeps its fallback words."""
_NOT_STAFF: Final = frozenset({Role.SYSTEM, Role.PERSON})
_BEYOND_GRANTS: Final = frozenset({ReasonCode.UNKNOWN_ACTOR, ReasonCode.RULE_ERROR})


def _no_rule(_request: UseRequest, _category: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Change:
    """One change that was judged and would allow the use.

    Attributes:
        kind: What changes; everything else stays as asked.
        to: What it becomes: a reason, categories, a channel, purpose, action or role; the
            categories a temporary right would have to cover.
        request: The use as it would be asked then; of a grant, as it is asked now.
    """

    kind: Kind
    to: tuple[str, ...]
    request: UseRequest


@dataclass(frozen=True, slots=True)
class Explained:
    """An answer with what decided it.

    Attributes:
        answer: As policy or gate gave it.
        rules: Ids of the rules that decided, sorted.
        denied: Categories asked for that the staff policy does not give.
        nearest: The smallest single change that would allow it, None where none does.
    """

    answer: Answer
    rules: tuple[str, ...]
    denied: tuple[str, ...]
    nearest: Change | None


@dataclass(slots=True)
class Question:
    """What a search may look at and try; made for one view, asks as often as it needs.

    Attributes:
        deciding: Names the rules of the staff policy that decide about one category.
        forbids: Whether a rule of the staff policy forbids a category: no right overcomes that.
        colleagues: One colleague of each role, to ask whether that role may.
        reasons: Open reasons that may be named instead.
    """

    desk: Desk
    view: View
    deciding: Callable[[UseRequest, str], Sequence[str]] = _no_rule
    forbids: Callable[[UseRequest, str], bool] = lambda _use, _category: False
    colleagues: Sequence[Actor] = ()
    reasons: Sequence[str] = ()
    _known: dict[Channel | None, Gathered | None] = field(default_factory=dict)

    @property
    def house(self) -> House:
        """The house as published."""
        return self.desk.house(self.view)

    def judge(self, request: UseRequest) -> Answer:
        """Ask policy and gate as any use is asked; nobody is looked at where the claim fails."""
        return self._with(request, self.desk.claim(request, self.house))

    def granted(self, request: UseRequest) -> Answer:
        """Ask what the answer were if a temporary right gave every category asked for."""
        given = Claim(dict.fromkeys(sorted(request.categories), "full"))
        return self._with(request, judge_claim(request, self.house, given))

    def allowed(self, request: UseRequest) -> frozenset[str]:
        """Name the categories asked for that may be used as things stand."""
        plain = replace(request, categories=frozenset())
        claim = self.desk.claim(plain, self.house)
        purpose = self.house.purposes.get(request.purpose)
        if isinstance(claim, Refusal) or purpose is None:
            return frozenset()
        if request.person is None:
            may = (purpose.categories & self.house.labels) - self.house.special
            return (request.categories & may & claim.categories.keys()) - banned_categories(
                purpose, self.house
            )
        facts = self.desk.facts(self.view, plain, claim, self._gathered(plain))
        return request.categories & gate.allowed_categories(plain, facts)

    def _with(self, request: UseRequest, claim: Claim | Refusal) -> Answer:
        if isinstance(claim, Refusal) or request.person is None:
            return claim
        facts = self.desk.facts(self.view, request, claim, self._gathered(request))
        return gate.decide(request, facts)

    def _gathered(self, request: UseRequest) -> Gathered | None:
        if request.channel not in self._known and request.person is not None:
            found = self.view.gather([request.person], request.channel)
            self._known[request.channel] = found[0] if found else None
        return self._known[request.channel]


def explain(question: Question, request: UseRequest) -> Explained:
    """Judge a use, name what decided, and search the nearest change where it is refused.

    Asks policy and gate once, and once for each change tried until one would allow: at most as
    often as there are purposes, actions, channels, reasons and roles together.
    """
    answer = question.judge(request)
    denied = _denied(question, request, answer)
    if not isinstance(answer, Refusal):
        return Explained(answer, _rules(question, request, sorted(request.categories)), (), None)
    named = {reason.rule for reason in answer.reasons}
    if STAFF_POLICY in named and denied:
        named = named - {STAFF_POLICY} | set(_rules(question, request, denied))
    return Explained(answer, tuple(sorted(named)), denied, _nearest(question, request, answer))


def _denied(question: Question, request: UseRequest, answer: Answer) -> tuple[str, ...]:
    """Name what the policy itself does not give; asked only where it gave less than wanted."""
    if not isinstance(answer, Refusal):
        return ()
    if STAFF_POLICY not in {reason.rule for reason in answer.reasons}:
        return ()
    told = question.desk.policy.claim(request)
    given = told.categories.keys() if isinstance(told, Claim) else frozenset()
    return tuple(sorted(request.categories - given))


def _rules(question: Question, request: UseRequest, categories: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({r for each in categories for r in question.deciding(request, each)}))


def _nearest(question: Question, request: UseRequest, answer: Refusal) -> Change | None:
    for change in _changes(question, request, answer):
        ask = question.granted if change.kind == "grant" else question.judge
        if not isinstance(ask(change.request), Refusal):
            return change
    return None


def _changes(question: Question, request: UseRequest, answer: Refusal) -> Iterator[Change]:
    """Yield single changes, the smallest first: what is added, taken away, replaced, given."""
    for ref in question.reasons:
        if ref != request.reason:
            yield Change("reason", (ref,), replace(request, reason=ref))
    kept = question.allowed(request)
    if kept != request.categories and (kept or request.action in _EMPTY_HANDED):
        yield Change("categories", tuple(sorted(kept)), replace(request, categories=kept))
    yield from _elsewhere(question.house, request)
    for action in sorted(_CLOSENESS, key=lambda a: _far(a, request.action)):
        if action is not request.action:
            yield Change("action", (action.value,), replace(request, action=action))
    if _grantable(question, request, answer):
        yield Change("grant", tuple(sorted(request.categories)), request)
    for colleague in question.colleagues:
        if colleague.role is not request.actor.role:
            yield Change("role", (colleague.role.value,), replace(request, actor=colleague))


def _elsewhere(house: House, request: UseRequest) -> Iterator[Change]:
    """Yield the same use over another channel, then for another purpose, one alike first."""
    asked = house.purposes.get(request.purpose)
    if asked is not None and request.channel is not None:
        for channel in sorted(asked.channels - {request.channel}):
            yield Change("channel", (channel.value,), replace(request, channel=channel))

    def far(purpose: Purpose) -> tuple[bool, str]:
        return (asked is None or purpose.kind is not asked.kind, purpose.name)

    for purpose in sorted(house.purposes.values(), key=far):
        if purpose.name != request.purpose:
            yield Change("purpose", (purpose.name,), replace(request, purpose=purpose.name))


def _far(one: Action, other: Action) -> tuple[bool, int]:
    half = len(_CLOSENESS) // 2
    place, asked = _CLOSENESS.index(one), _CLOSENESS.index(other)
    return (place // half != asked // half, abs(place - asked))


def _grantable(question: Question, request: UseRequest, answer: Refusal) -> bool:
    """Say whether a temporary right is worth trying: it gives categories, never a reason."""
    if request.actor.role in _NOT_STAFF or not request.categories:
        return False
    if {reason.code for reason in answer.reasons} & _BEYOND_GRANTS:
        return False
    if looking.is_look(request) and not request.reason:
        return False
    return not any(question.forbids(request, each) for each in request.categories)
