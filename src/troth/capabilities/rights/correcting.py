"""Correct what is held of a person: every copy, with the old value kept only as a keyed digest.

What a person corrected themselves is theirs: no import overwrites it. Addresses by which somebody
is reached are not corrected here but moved, once the new one is proven.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from troth.engines.mail.headers import UNSAFE
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import events
from troth.kernel.calendars import years_lived
from troth.kernel.desk import Desk, everybody
from troth.kernel.facts import House
from troth.ports import Transaction, View
from troth.terms import (
    Actor,
    Gathered,
    Instant,
    PersonId,
    Prepared,
    Role,
    Sealed,
    moment,
    nfc,
)

MAY_CORRECT: Final = frozenset({Role.PERSON, Role.SUPPORT, Role.OFFICER, Role.SYSTEM})
NAME_MAX: Final = 100
INTERESTS_MAX, INTEREST_MAX = 20, 40
STATEMENT_MAX: Final = 2_000
OLDEST: Final = 1900
BIRTH: Final = "birth.year"
FACTS: Final[Mapping[str, str]] = {"fact.language": "language", "fact.residence": "residence"}
"""Field of a correction → the fact the gate decides from."""
_TRIES: Final = 20
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_RESIDENCE = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?")
_YEAR = re.compile(r"[12][0-9]{3}")
_APART = re.compile(r"[;,\n]")
Why = Literal["copies_differ", "age_class"]


@dataclass(frozen=True, slots=True)
class How:
    """What goes with a correction.

    Attributes:
        given_by: As of a consent act.
        answered: Questions that were put and answered: go on.
        told: How many recipients are going to be told.
        born: The year of birth where it is known, so that the age class follows a new country.
    """

    given_by: str = "self"
    answered: frozenset[Why] = frozenset()
    told: int = 0
    born: str = ""


@dataclass(frozen=True, slots=True)
class Corrected:
    """What was done.

    Attributes:
        n: Number of the event in the chain of the id that stayed, 0 where it held no copy.
        copies: How many copies were changed.
        age: The age class that followed, "" where none changed.
    """

    field: str
    n: int
    copies: int
    age: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Why nothing was changed yet: copies differ, or the desk has to look at a change of age."""

    field: str
    why: Why


def correct(  # noqa: PLR0913 - whose, what, how it came
    desk: Desk,
    person: PersonId,
    field: str,
    text: str,
    source: str,
    actor: Actor,
    how: How = How(),
) -> Corrected | Question:
    """Change a value or a fact in every copy under every id of a person, in one commit.

    Binds the next decision: a birth year brings its age class along, a country its law. Who is
    recorded as a child is not made an adult by their own word: that is a question for the desk.

    Args:
        desk: The workspace.
        person: Whom it is about.
        field: One of `fields()`.
        text: The right value; "" takes a name or the interests back.
        source: How it came, such as `portal`.
        actor: Who corrects; a person themselves or by mandate, which was checked before.
        how: What goes with it.

    Raises:
        InvalidInput: No such field, no such value, or this role may not.
        NotFound: Nothing is held under this id.
        Conflict: It is what is held already, or they are being erased.
        Shredded: The person was erased.
    """
    if actor.role not in MAY_CORRECT:
        raise InvalidInput("this role may not correct this", "ask the privacy officer")
    for _ in range(_TRIES):
        with desk.store.look() as view:
            asked = _Asked(field, cleaned(field, text, view.now), source, actor, how)
            work = _planned(desk, view, person, asked)
        if isinstance(work, Question):
            return work
        with desk.store.book(work.house) as tx:
            if _booked(tx, work):
                return work.done
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def fields() -> tuple[str, ...]:
    """Return what can be corrected here."""
    return (*_CLEAN, *FACTS)


def cleaned(field: str, text: str, now: Instant) -> str:
    """Return a value as it is kept.

    Raises:
        InvalidInput: No such field, or no value of it; says what one looks like.
    """
    plain = " ".join(nfc(UNSAFE.sub(" ", text.replace("\n", ";"))).split())
    if field in _CLEAN:
        return _CLEAN[field](plain, now)
    if field == "fact.language":
        return _matched(_LANGUAGE, plain.lower(), "this is no language", "write a code such as en")
    if field == "fact.residence":
        code = plain.upper()
        return _matched(_RESIDENCE, code, "this is no country", "write its code, such as ZA")
    raise InvalidInput("this cannot be corrected here", "ask for a correction")


def _matched(form: re.Pattern[str], text: str, no: str, remedy: str) -> str:
    if not form.fullmatch(text):
        raise InvalidInput(no, remedy)
    return text


def _name(text: str, _now: Instant) -> str:
    if len(text) > NAME_MAX or ";" in text:
        raise InvalidInput("this is no name", f"write one line of at most {NAME_MAX} letters")
    return text


def _interests(text: str, _now: Instant) -> str:
    words = list(dict.fromkeys(w for part in _APART.split(text) if (w := part.strip())))
    if len(words) > INTERESTS_MAX or any(len(word) > INTEREST_MAX for word in words):
        raise InvalidInput(
            f"these are more than {INTERESTS_MAX} interests, or one is too long",
            f"write at most {INTERESTS_MAX}, each of at most {INTEREST_MAX} letters",
        )
    return ";".join(words)


def _birth(text: str, now: Instant) -> str:
    if not _YEAR.fullmatch(text) or not OLDEST <= int(text) <= moment(now).year:
        raise InvalidInput("this is no year of birth", "write four digits, such as 1987")
    return text


_CLEAN: Final[Mapping[str, Callable[[str, Instant], str]]] = {
    "name.given": _name,
    "name.family": _name,
    "interests": _interests,
    BIRTH: _birth,
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """One correction, its value cleaned."""

    field: str
    text: str
    source: str
    actor: Actor
    how: How

    def event(self, version: int, before: bytes | None) -> events.ValueCorrected:
        """Return what is recorded of one copy."""
        return events.ValueCorrected(
            field=self.field,
            version=version,
            source=self.source,
            before=before.hex() if before else None,
            told=self.how.told,
            given_by=self.how.given_by,
        )


@dataclass(frozen=True, slots=True)
class _Work:
    """A correction ready to be booked."""

    prepared: Sequence[Prepared]
    sealed: Mapping[PersonId, Sequence[Sealed]]
    house: int
    done: Corrected


def _planned(desk: Desk, view: View, person: PersonId, asked: _Asked) -> _Work | Question:
    """Look, compare, ask or prepare."""
    ids = everybody(view, person)
    found = {each.person: each for each in view.gather(ids, None)}
    if ids[0] not in found:
        raise NotFound("nothing is held under this id")
    if any(each.record.erasing for each in found.values()):
        raise Conflict("this person is being erased")
    house = desk.house(view)
    age = _age(asked, found[ids[0]], house, view.now)
    if age == "adult" and found[ids[0]].record.age == "minor" and _own_word(asked):
        return Question(asked.field, "age_class")
    if asked.field in FACTS:
        return _fact(desk, view, found[ids[0]], asked, age)
    return _value(desk, view, [found[each] for each in ids if each in found], asked, age)


def _own_word(asked: _Asked) -> bool:
    return asked.actor.role is Role.PERSON and "age_class" not in asked.how.answered


def _age(asked: _Asked, found: Gathered, house: House, now: Instant) -> str:
    """Return the age class a correction brings along, "" where none changes."""
    born, residence = asked.how.born, found.record.residence
    if asked.field == BIRTH:
        born = asked.text
    elif asked.field == "fact.residence":
        residence = asked.text
    else:
        return ""
    if not born:
        return ""
    made = house.ruleset.age_class(years_lived(int(born), now), residence, house.seat, now)
    return made if made != found.record.age else ""


def _fact(desk: Desk, view: View, found: Gathered, asked: _Asked, age: str) -> _Work:
    name = FACTS[asked.field]
    held = str(getattr(found.record, name))
    if held == asked.text:
        raise Conflict("this is what we hold already")
    before = desk.vault.text_mac(asked.field, held) if held else None
    told = events.FactsRecorded(asked.source, **{name: asked.text}, age=age or None)  # type: ignore[arg-type] # one of two names
    said = [asked.event(0, before), told]
    prepared = desk.scribe.prepare(found.person, found.head, said, asked.actor, view.now)
    done = Corrected(asked.field, prepared[0].n, 1, age)
    return _Work(prepared, {}, view.house_version, done)


def _value(
    desk: Desk, view: View, found: Sequence[Gathered], asked: _Asked, age: str
) -> _Work | Question:
    field, vault = asked.field, desk.vault
    rows = view.sealed([each.person for each in found], [field])
    held = {person: row for person, each in rows.items() for row in each if not row.row}
    macs = {who: vault.value_mac(who, row, view.now) for who, row in held.items()}
    new = vault.text_mac(field, asked.text)
    if len(set(macs.values())) > 1 and "copies_differ" not in asked.how.answered:
        return Question(field, "copies_differ")
    if macs and set(macs.values()) == {new}:
        raise Conflict("this is what we hold already")
    if not macs and not asked.text:
        raise Conflict("we hold none")
    prepared: list[Prepared] = []
    sealed: dict[PersonId, Sequence[Sealed]] = {}
    for place, each in enumerate(found):
        copy = each.person in held or not held
        said: list[events.Payload] = []
        if copy and (held or not place):
            version = held[each.person].version + 1 if held else 1
            said.append(asked.event(version, macs.get(each.person)))
            sealed[each.person] = vault.seal_values(
                each.person, {field: asked.text}, {field: version}, view.now
            )
        if age and not place:
            said.append(events.FactsRecorded(asked.source, age=age))
        prepared += desk.scribe.prepare(each.person, each.head, said, asked.actor, view.now)
    n = next((p.n for p in prepared if p.person == found[0].person), 0)
    return _Work(prepared, sealed, view.house_version, Corrected(field, n, len(sealed), age))


def _booked(tx: Transaction, work: _Work) -> bool:
    """Book every copy, or none where a head moved meanwhile."""
    first = {p.person: p for p in reversed(work.prepared)}
    heads = {each.person: each.head for each in tx.gather(list(first), None)}
    for person, each in first.items():
        if (heads[person].n, heads[person].c) != (each.n - 1, each.prev):
            return False
    tx.append(work.prepared)
    for person, rows in work.sealed.items():
        tx.put_sealed(person, rows)
    return True


# A correction that was refused: what the person says stays beside the value


def attach_statement(  # noqa: PLR0913 - whose, of what, and where it belongs
    desk: Desk, person: PersonId, field: str, text: str, request: str, actor: Actor
) -> Prepared:
    """Attach what a person says of a value that was not corrected (POPIA s24(2)(d)).

    It is shown wherever the value is: on their pages, to the desk, in their package.

    Raises:
        InvalidInput: It is empty or too long, or nobody but the person or the desk says it.
        Shredded: The person was erased.
    """
    if actor.role not in MAY_CORRECT:
        raise InvalidInput("this role may not attach this", "ask the privacy officer")
    said = nfc(UNSAFE.sub(" ", text)).strip()
    if not 0 < len(said) <= STATEMENT_MAX:
        raise InvalidInput("this is no statement", f"write at most {STATEMENT_MAX} letters")
    told = events.RequestActed(request, "noted", "correction", text=said, scope=(field,))
    return desk.record(person, [told], actor)[0]


def statements(chain: Iterable[events.Event]) -> dict[str, str]:
    """Return what a person says of values, field → text; a correction ends it."""
    out: dict[str, str] = {}
    for event in chain:
        said = event.payload
        if isinstance(said, events.ValueCorrected):
            out.pop(said.field, None)
        elif isinstance(said, events.RequestActed) and said.act == "noted":
            own = said.right == "correction" and said.scope and said.text
            if own and event.actor.startswith(f"{Role.PERSON}/"):
                out |= dict.fromkeys(said.scope or (), said.text or "")
    return out


def own_fields(chain: Iterable[events.Event]) -> frozenset[str]:
    """Return the fields whose newest word is the person's own: no import overwrites them."""
    out: set[str] = set()
    for event in chain:
        said = event.payload
        if isinstance(said, events.ValueCorrected):
            by_desk = said.given_by == "staff"
            out.discard(said.field) if by_desk else out.add(said.field)
    return frozenset(out)
