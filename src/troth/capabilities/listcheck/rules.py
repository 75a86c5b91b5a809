"""One row before the gate: what it proves becomes a record, the gate says what may be done.

There is no rule here. A house is made of the shipped regimes and two purposes, a row becomes one
person's record, and `gate.decide` is asked: may we mail, and if not, may we ask once?
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from troth.capabilities.listcheck.model import (
    NO_ADDRESS,
    STATUS_UNKNOWN,
    UNREADABLE,
    Asked,
    Condition,
    Verdict,
)
from troth.engines import contact
from troth.engines.intake import ListRow
from troth.errors import InvalidInput
from troth.kernel import consent, gate
from troth.kernel.calendars import years_lived
from troth.kernel.facts import Facts, House
from troth.kernel.predicates import PREDICATES
from troth.kernel.regimes import load
from troth.terms import (
    NO_HEAD,
    SECOND,
    Act,
    Action,
    Actor,
    Block,
    Channel,
    Claim,
    ConsentStatus,
    ContactPoint,
    Gathered,
    Instant,
    PersonId,
    PersonRecord,
    Purpose,
    PurposeKind,
    Reason,
    ReasonCode,
    Refusal,
    Registry,
    Relation,
    Role,
    UseRequest,
)

MARKETING, ASKING = "marketing", "consent_request"
_NOTICE = "list"
_GOODS = "own"
_NOBODY = PersonId(bytes(16))
_ACTOR = Actor(Role.SYSTEM, "list-check")
_CLAIM = Claim({})
_ADDRESS = ContactPoint(Channel.EMAIL, b"", b"")
_NO_REGISTRY = "list-check:registry-to-be-applied"
_HOURS_AHEAD = 24 * 8
_HOUR = 3600 * SECOND
_KEPT = 65_536

BLOCKING: Final[Mapping[str, str]] = {
    "unsubscribe": "unsubscribe",
    "complaint": "complaint",
    "hard_bounce": "hard_bounce",
    "objection": "objection",
    "hold": "legal_hold",
    STATUS_UNKNOWN: "legal_hold",
}
"""What a status says → the suppression it is; an unknown word holds the row."""
SHARED: Final = frozenset({*BLOCKING, "refused", "asked"})
"""Signs that belong to the address, so that they bind every row that holds it."""


def house_of(regimes: Mapping[str, bytes], calendars: Mapping[str, bytes], asked: Asked) -> House:
    """Make the house a list is judged by: shipped rules, one marketing purpose, one request.

    Where no registry file is given the check goes on by a decision of its own, which the gate
    names in every permit that rests on it: those rows may be mailed once the file was applied.
    """
    channels = frozenset({Channel.EMAIL})
    purposes = (
        Purpose(
            MARKETING, 1, PurposeKind.MARKETING, "Marketing", channels, frozenset(),
            goods=frozenset({_GOODS}),
        ),
        Purpose(ASKING, 1, PurposeKind.CONSENT_REQUEST, "Request", channels, frozenset()),
    )  # fmt: skip
    ruleset = load(regimes, calendars, PREDICATES)
    names = {str(r.params["registry"]) for r in ruleset.rules if "registry" in r.params}
    return House(
        version=1,
        seat=asked.seat,
        zone=asked.zone,
        purposes={each.name: each for each in purposes},
        ruleset=ruleset,
        material={_NOTICE: 1},
        registries={name: _registry(asked) for name in names},
    )


def _registry(asked: Asked) -> Registry:
    told = asked.registry
    if told is None:
        until = asked.at + 30 * _HOURS_AHEAD * _HOUR
        return Registry(waived_from=1, waived_until=until, decision=_NO_REGISTRY)
    return Registry(told.as_of or 0, usable=told.scheme in contact.REGISTRY_SCHEMES)


class _Person(NamedTuple):
    """What the gate is asked about: one row's facts, and whether they were asked before."""

    gathered: Gathered
    asked: bool

    def known_as(self, record: PersonRecord) -> "_Person":
        """Return the same person with another record."""
        return _Person(replace(self.gathered, record=record), self.asked)


class Judge:
    """Asks the gate about rows; made once a list. About 25 µs a row."""

    def __init__(self, house: House, asked: Asked) -> None:
        """Prepare the two questions."""
        self._house, self._asked = house, asked
        self._questions: dict[tuple[str, Instant], UseRequest] = {}
        self._open: dict[tuple[str, str, str], Instant] = {}
        self._same: dict[ListRow, Verdict] = {}
        self._whole: dict[tuple[object, ...], tuple[str, ...]] = {}
        self._one: dict[Verdict, Verdict] = {}

    @property
    def ruleset(self) -> str:
        """Hash of the rules."""
        return self._house.ruleset.digest

    def places(self, row: ListRow) -> bool:
        """Tell whether it is known where the person lives."""
        return bool(row.residence or self._asked.country)

    def judge(self, row: ListRow, shared: frozenset[str] = frozenset()) -> Verdict:
        """Say what may be done about a row.

        Args:
            row: The row.
            shared: Signs that other rows carry for the same address.
        """
        if row.code:
            return self._kept(Verdict("not", UNREADABLE, "list.row"))
        plain = self._plain(row, shared)
        if plain.consent_at is not None or plain.dealings:
            return self._kept(self._judged(plain))
        found = self._same.get(plain)
        if found is None:
            if len(self._same) >= _KEPT:
                self._same.clear()
            found = self._same[plain] = self._kept(self._judged(plain))
        return found

    def _plain(self, row: ListRow, shared: frozenset[str]) -> ListRow:
        """Leave out whom a row is of: rows alike in every fact are one question."""
        listed = self._listed(row.email)
        signs = row.signs | shared
        return ListRow(
            0,
            email="x" if row.email else "",
            residence=row.residence or self._asked.country,
            zone=row.zone,
            born=row.born,
            age=row.age,
            subject=row.subject,
            signs=signs | {"registry"} if listed else signs,
            consent_at=row.consent_at,
            confirmed_at=row.confirmed_at,
            notice="x" if row.notice else "",
            method="x" if row.method else "",
            proof="x" if row.proof else "",
            dealings=row.dealings,
            bought=row.bought,
            details_from_sale=row.details_from_sale,
            objection_offered=row.objection_offered,
            own=row.own,
        )

    def _listed(self, email: str) -> bool:
        told = self._asked.registry
        if told is None or not email or not told.hashes:
            return False
        try:
            return contact.digest_for_registry(told.scheme, email) in told.hashes
        except InvalidInput:
            return False  # the registry counts as unusable: the gate refuses all it covers

    def _judged(self, row: ListRow) -> Verdict:
        person = self._person(row)
        mail, at = self._answer(MARKETING, person)
        if not isinstance(mail, Refusal):
            return Verdict("may_mail", mail.basis, waits=_waits(mail, at - self._asked.at))
        ask, at = self._answer(ASKING, person)
        missing = _missing(row)
        if isinstance(ask, Refusal):
            code, rule = self._why(row, ask)
            missing = () if code in _FINAL else missing
            return Verdict("not", code, rule, missing, self._helps(row, missing))
        first = _first(mail)
        waits, helps = _waits(ask, at - self._asked.at), self._helps(row, missing)
        return Verdict("ask_once", first.code, first.rule, missing, helps, waits)

    def _why(self, row: ListRow, refusal: Refusal) -> tuple[str, str]:
        first = _first(refusal)
        if first.code is ReasonCode.FACT_MISSING and not row.email:
            return NO_ADDRESS, first.rule
        if first.code is ReasonCode.RESTRICTED and "hold" not in row.signs:
            return STATUS_UNKNOWN, first.rule
        return first.code, first.rule

    def _answer(self, purpose: str, person: _Person) -> tuple["gate.Permit | Refusal", Instant]:
        """Ask now, and where only the hour objects, at the next hour that does not."""
        now, record = self._asked.at, person.gathered.record
        answer = self._decide(purpose, now, person)
        if not isinstance(answer, Refusal) or not _only_the_hour(answer):
            return answer, now
        place = (record.residence, record.zone, record.subject)
        at = self._open.get(place)
        for ahead in [at] if at else _hours(now):
            later = self._decide(purpose, ahead, person)
            if not (isinstance(later, Refusal) and _only_the_hour(later)):
                self._open[place] = ahead
                return later, ahead
        return answer, now

    def _decide(self, purpose: str, at: Instant, person: _Person) -> "gate.Permit | Refusal":
        request = self._questions.get((purpose, at))
        if request is None:
            request = self._questions[purpose, at] = _question(purpose, at)
        gathered, asked = person
        return gate.decide(request, Facts(_NOBODY, at, _CLAIM, self._house, gathered, asked))

    def _person(self, row: ListRow) -> _Person:
        blocks = [Block(BLOCKING[sign]) for sign in row.signs if sign in BLOCKING]
        if "registry" in row.signs:
            blocks.append(Block("registry_block"))
        address = _ADDRESS if row.email else None
        gathered = Gathered(_NOBODY, NO_HEAD, self._record(row), address, tuple(blocks))
        return _Person(gathered, "asked" in row.signs)

    def _record(self, row: ListRow) -> PersonRecord:
        """Fold what a row proves; a yes without all its proof is kept as imported: unknown."""
        record = PersonRecord(
            residence=row.residence,
            zone=row.zone,
            subject=row.subject or "natural",
            age=self._age(row),
            relations=_relations(row),
        )
        at = self._asked.at
        if "refused" in row.signs:
            no = Act(ConsentStatus.REFUSED, at, at, 2)
            record = _said(record, no, (consent.EVERY,))
        if row.consent_at is None or row.consent_at > at:
            return record
        lacking = _unproven(row) or not row.own
        status = ConsentStatus.IMPORTED if lacking else ConsentStatus.GIVEN
        act = Act(
            status, row.consent_at, at, 1,
            notice=f"{_NOTICE}@1", confirmed=row.confirmed_at is not None,
        )  # fmt: skip
        return _said(record, act, (Channel.EMAIL.value,))

    def _age(self, row: ListRow) -> str:
        """Tell adult from minor by the strictest rule; in doubt, a minor."""
        if row.born is None and row.age is None:
            return ""
        at = self._asked.at
        years = row.age if row.age is not None else years_lived(row.born or 0, at)
        return self._house.ruleset.age_class(years, row.residence, self._house.seat, at)

    def _helps(self, row: ListRow, missing: tuple[str, ...]) -> tuple[str, ...]:
        """Ask the gate what it would say, were the evidence there that the row lacks."""
        lacks = set(missing)
        wanted = [
            kind
            for kind, parts in _EVIDENCE.items()
            if lacks & parts and (kind == "sale" or _claims_yes(row))
        ]
        if not wanted:
            return ()
        place = (
            row.email, row.residence, row.zone, row.born, row.age, row.subject, row.signs, row.own
        )  # fmt: skip
        found = self._whole.get(place)
        if found is None:
            if len(self._whole) >= _KEPT:
                self._whole.clear()
            found = self._whole[place] = self._supposed(row)
        return tuple(kind for kind in wanted if kind in found)

    def _supposed(self, row: ListRow) -> tuple[str, ...]:
        before = Instant(self._asked.at - SECOND)
        bare = replace(row, consent_at=None, confirmed_at=None, dealings=())
        agreed = replace(bare, consent_at=before, notice="x", method="x", proof="x", own=True)
        sold = replace(self._record(bare), relations=(_sale(before),))
        person = self._person(bare)
        records = {"consent": self._record(agreed), "sale": sold}
        answers = {
            kind: self._answer(MARKETING, person.known_as(record))[0]
            for kind, record in records.items()
        }
        return tuple(k for k, answer in answers.items() if not isinstance(answer, Refusal))

    def _kept(self, verdict: Verdict) -> Verdict:
        return self._one.setdefault(verdict, verdict)


def _question(purpose: str, at: Instant) -> UseRequest:
    return UseRequest(_ACTOR, _NOBODY, purpose, Action.SEND, Channel.EMAIL, frozenset(), at)


def _first(refusal: Refusal) -> Reason:
    """Return the first reason that the hour of the check has no part in, if there is one."""
    lasting = (r for r in refusal.reasons if r.code is not ReasonCode.QUIET_HOURS)
    return next(lasting, refusal.first)


def _hours(at: Instant) -> list[Instant]:
    first = at - at % _HOUR
    return [Instant(first + ahead * _HOUR) for ahead in range(1, _HOURS_AHEAD)]


def _only_the_hour(refusal: Refusal) -> bool:
    return all(reason.code is ReasonCode.QUIET_HOURS for reason in refusal.reasons)


def _said(record: PersonRecord, act: Act, channels: tuple[str, ...]) -> PersonRecord:
    return consent.apply_consent(
        record, kind=act.status, purpose=MARKETING, channels=channels, act=act
    )


def _relations(row: ListRow) -> tuple[Relation, ...]:
    if not row.own:
        return ()
    return tuple(
        Relation(
            dealing.kind,
            dealing.at,
            goods=_GOODS,
            collected=row.details_from_sale,
            objection_offered=row.objection_offered,
            until=dealing.until,
        )
        for dealing in row.dealings
    )


def _sale(at: Instant) -> Relation:
    return Relation("sale", at, goods=_GOODS, collected=True, objection_offered=True)


def _claims_yes(row: ListRow) -> bool:
    return row.consent_at is not None or "claims" in row.signs


def _unproven(row: ListRow) -> tuple[str, ...]:
    """Name what an import would find missing; any notice the row names counts as published."""
    told = {
        "notice": row.notice,
        "time": "told" if row.consent_at is not None else "",
        "method": row.method,
        "proof": row.proof,
    }
    return consent.missing_proof(told, {row.notice})


def _missing(row: ListRow) -> tuple[str, ...]:
    """Name the evidence a row lacks: of the yes it claims, of the sale it tells; else of any."""
    lacking: list[str] = list(_unproven(row)) if _claims_yes(row) else []
    if row.bought or any(dealing.kind == "sale" for dealing in row.dealings):
        if not any(dealing.kind == "sale" for dealing in row.dealings):
            lacking.append("sale_date")
        if not row.details_from_sale:
            lacking.append("details_from_sale")
        if not row.objection_offered:
            lacking.append("objection_offered")
    return tuple(lacking) or ("consent",)


_EVIDENCE: Final[Mapping[str, frozenset[str]]] = {
    "consent": frozenset({"notice", "time", "method", "proof"}),
    "sale": frozenset({"sale_date", "details_from_sale", "objection_offered"}),
}


_FINAL = frozenset(
    {
        ReasonCode.OBJECTED, ReasonCode.SUPPRESSED_COMPLAINT, ReasonCode.SUPPRESSED_UNSUBSCRIBE,
        ReasonCode.SUPPRESSED_BOUNCE, ReasonCode.WITHDRAWN, ReasonCode.REFUSED, ReasonCode.MINOR,
        ReasonCode.REGISTRY_BLOCK, ReasonCode.RESTRICTED, NO_ADDRESS, STATUS_UNKNOWN,
    }
)  # fmt: skip
"""Reasons no evidence of the list's owner helps against."""


def _waits(permit: gate.Permit, later: int) -> tuple[Condition, ...]:
    waits: list[Condition] = []
    if _NO_REGISTRY in permit.waiver.split(","):
        waits.append("registry")
    if permit.basis == "consent":
        waits.append("wording")
    elif permit.purpose == MARKETING:
        waits.append("similar")
    if later:
        waits.append("hours")
    return tuple(waits)
