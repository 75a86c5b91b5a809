"""The innermost word of the staff policy: the company's own Cedar rules, or the roles as shipped.

A workspace that holds `access.cedar` and `access.tests.toml` publishes them as `access` and
`access.tests`; from then on they judge every claim of the staff. Where they cannot be loaded,
every such claim is refused: a policy nobody can read permits nothing.
"""

import threading
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from troth.adapters.roles import RolePolicy
from troth.app.checks import Check, State
from troth.errors import Fault, InvalidInput, Unavailable
from troth.kernel.desk import Desk
from troth.kernel.house import newest_purposes, parse_toml, read_purpose
from troth.kernel.masks import imported
from troth.kernel.reasons import house_reason
from troth.ports import StaffPolicy, View
from troth.settings import Settings
from troth.terms import (
    Actor,
    Claim,
    Mask,
    Purpose,
    PurposeKind,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
)

if TYPE_CHECKING:
    from troth.adapters.cedar import CedarPolicy
    from troth.adapters.cedar_words import Words
    from troth.app.workspace import Workspace

POLICY: Final = "access"
"""Published name of the rules, `access.cedar`."""
TESTS: Final = "access.tests"
"""Published name of the tests beside them."""
DEFAULT: Final = "access.default"
"""Rule of a denial that no written rule made."""
_NOT_STAFF: Final = frozenset({Role.SYSTEM, Role.PERSON})


def base_policy(
    roles: Sequence[Mapping[str, Any]],
    settings: Settings,
    desk: Callable[[], Desk],
    known: Callable[[Actor], bool],
) -> "Base":
    """Return the policy claims of the staff are asked of first; see `staff_policy`."""

    def kind_of(purpose: str) -> PurposeKind | None:
        with desk().store.look() as view:
            return _kind_of(desk(), view, purpose)

    return Base(RolePolicy(list(map(dict, roles)), settings.staff, kind_of, known), desk, known)


def _kind_of(desk: Desk, view: View, purpose: str) -> PurposeKind | None:
    try:
        found = desk.house(view).purposes.get(purpose)
    except InvalidInput:
        return None
    return found.kind if found else None


@dataclass(slots=True)
class Base:
    """Asks the roles, or the published rules for the staff; loads them once per house version."""

    roles: StaffPolicy
    desk: Callable[[], Desk]
    known: Callable[[Actor], bool]
    _held: "tuple[int, CedarPolicy | _Refusing | None]" = (-1, None)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def claim(self, request: UseRequest) -> Claim | Refusal:
        """Ask whoever judges this actor now."""
        return (self._staff(request) or self.roles).claim(request)

    def deciding(self, request: UseRequest, category: str) -> tuple[str, ...]:
        """Name the rules that decide about one category of a use."""
        policy = self._staff(request)
        if policy is None:
            return (f"staff.{request.actor.role}",)
        if isinstance(policy, _Refusing):
            return (policy.rule,)
        return policy.why(request, category).rules or (DEFAULT,)

    def forbids(self, request: UseRequest, category: str) -> bool:
        """Tell whether a rule forbids a category, rather than none permitting it."""
        policy = self._staff(request)
        if policy is None or isinstance(policy, _Refusing):
            return policy is not None
        told = policy.why(request, category)
        return told.mask is None and bool(told.rules)

    def _staff(self, request: UseRequest) -> "CedarPolicy | _Refusing | None":
        return None if request.actor.role in _NOT_STAFF else self.current()

    def current(self) -> "CedarPolicy | _Refusing | None":
        """Return the published rules as loaded, None where there are none."""
        desk = self.desk()
        with desk.store.look() as view:
            version, policy = self._held
            if version != view.house_version:
                with self._lock:
                    policy = self._loaded(desk, view)
                    self._held = (view.house_version, policy)
            return policy

    def _loaded(self, desk: Desk, view: View) -> "CedarPolicy | _Refusing | None":
        try:
            found = _published(view)
            return None if found is None else load(found, self.known, _named(desk), self.roles)
        except Unavailable:
            return _Refusing("access.not_installed")
        except Fault:
            return _Refusing("access.not_loaded")


def _named(desk: Desk) -> Callable[[Actor], str]:
    """Return how rules know a colleague: as the house chain does."""
    return lambda actor: desk.scribe.actor(actor, desk.scribe.house)


@dataclass(frozen=True, slots=True)
class _Refusing:
    """Refuses everybody: the rules are there and cannot be asked."""

    rule: str

    def claim(self, _request: UseRequest) -> Claim | Refusal:
        """Refuse, naming why the rules cannot be asked."""
        return Refusal((house_reason(ReasonCode.RULE_ERROR, self.rule),))


@dataclass(frozen=True, slots=True)
class Written:
    """A policy as bytes, with what it may speak of."""

    rules: bytes
    tests: bytes
    purposes: Mapping[str, Purpose]
    zone: str


def _published(view: View) -> Written | None:
    """Return what is published as of this view.

    Raises:
        InvalidInput: A published purpose does not read.
    """
    rules, tests, house = (view.published(name) for name in (POLICY, TESTS, "house"))
    if rules is None or house is None:
        return None
    zone = parse_toml("troth.toml", house.data).get("house", {}).get("zone", "UTC")
    purposes = newest_purposes(view.published_all("purpose:"), view.now)
    return Written(rules.data, tests.data if tests else b"", purposes, zone)


def load(
    written: Written,
    known: Callable[[Actor], bool],
    name_of: Callable[[Actor], str],
    own: StaffPolicy,
) -> "CedarPolicy":
    """Load rules and try the tests beside them.

    Raises:
        Unavailable: The extra `[cedar]` is not installed.
        InvalidInput: They do not read, use a word nobody knows, or a test fails or is missing.
    """
    require_cedar()
    from troth.adapters.cedar import CedarPolicy, read_text
    from troth.adapters.cedar_tests import read_cases, require_tested

    words = words_of(written.purposes, written.zone)
    policy = CedarPolicy(read_text(written.rules), words, known, name_of, own)
    require_tested(policy, read_cases(written.tests, words))
    return policy


def require_cedar() -> None:
    """Make sure that rules can be judged here at all.

    Raises:
        Unavailable: The extra `[cedar]` is not installed.
    """
    if find_spec("cedarpy") is None:
        raise Unavailable(
            "access.cedar is there, and what judges it is not installed",
            "install the extra: troth[cedar]",
        )


def words_of(purposes: Mapping[str, Purpose], zone: str) -> "Words":
    """Return what a policy of this house may name."""
    from troth.adapters.cedar_words import Words

    listed = frozenset(c for purpose in purposes.values() for c in purpose.categories)
    return Words(dict(purposes), _shipped_categories() | listed, zone)


@cache
def _shipped_categories() -> frozenset[str]:
    """Return every category that a field or a role of the shipped taxonomy has."""
    read = tomllib.loads((files("troth") / "data/taxonomy.toml").read_text("utf-8"))
    tables = [t for r in read["role"] for t in (r["categories"], *r.get("masks", {}).values())]
    return frozenset({*read["fields"].values(), *(name for table in tables for name in table)})


def shipped() -> tuple[bytes, bytes]:
    """Return the rules that say what the shipped roles say, and their tests, to begin from."""
    data = files("troth") / "data"
    return (data / "access.cedar").read_bytes(), (data / "access.tests.toml").read_bytes()


def ranger_mask(name: str) -> Mask:
    """Return our mask for a mask type of Apache Ranger.

    Raises:
        InvalidInput: Nobody here knows it, or it is an expression.
    """
    table = tomllib.loads((files("troth") / "data/masks.toml").read_text("utf-8"))["ranger"]
    return imported(name, table)


def policy_faults(drafts: Mapping[str, bytes]) -> list[tuple[str, Fault]]:
    """Name what keeps the drafts' policy from loading; nothing where there is none."""
    if POLICY not in drafts:
        if TESTS in drafts:
            lost = InvalidInput("access.tests.toml lies here without access.cedar", "add it")
            return [(TESTS, lost)]
        return []
    try:
        load(_drafted(drafts), lambda _: True, str, _Refusing("access.not_loaded"))
    except Fault as fault:
        return [(POLICY, fault)]
    return []


def require_policy(drafts: Mapping[str, bytes]) -> None:
    """Refuse drafts whose policy does not load.

    Raises:
        InvalidInput: It does not read, or a test beside it fails.
        Unavailable: The extra `[cedar]` is not installed.
    """
    for _name, fault in policy_faults(drafts):
        raise fault


def _drafted(drafts: Mapping[str, bytes]) -> Written:
    purposes = {}
    for name, raw in drafts.items():
        if name.startswith("purpose:"):
            title = name.removeprefix("purpose:")
            purposes[title] = read_purpose(title, raw)
    zone = parse_toml("troth.toml", drafts.get("house", b"")).get("house", {}).get("zone", "UTC")
    return Written(drafts[POLICY], drafts.get(TESTS, b""), purposes, zone)


def published_rules(opened: "Workspace") -> "CedarPolicy | None":
    """Return the published rules as loaded, to ask which of them decided; None where none judge.

    Raises:
        Unavailable, InvalidInput: They are published and cannot be loaded.
    """
    desk = opened.desk
    with desk.store.look() as view:
        found = _published(view)
    if found is None:
        return None
    return load(found, lambda _: True, _named(desk), _Refusing("access.not_loaded"))


def policy_checks(opened: "Workspace") -> list[Check]:
    """Say by what the claims of the staff are judged, and whether it can be asked."""
    state: State = "off"
    said, remedy = "the roles as shipped judge claims; no rules of the house's own", ""
    try:
        rules = published_rules(opened)
        if rules is not None:
            state, said = "good", f"{len(rules.rules)} rules judge claims; their tests hold"
    except Fault as fault:
        state, said = "bad", "the rules cannot be asked: every claim of the staff is refused"
        remedy = fault.remedy or "run: troth check"
    return [Check("access.policy", "used", "Who may claim what", state, said, remedy)]
