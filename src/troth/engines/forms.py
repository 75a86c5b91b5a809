"""Forms the law names: read from dated data, filled in by people, laid out as plain documents.

A form is "substantially similar" to its model, in our own words: the same facts, the same order.
Who made the data, from which source and whether that source was read itself stands on each form.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

from troth.errors import InvalidInput

Kind = Literal["line", "text", "choice", "ticks", "date", "sign"]
KINDS: Final = frozenset({"line", "text", "choice", "ticks", "date", "sign"})
RIGHTS: Final = frozenset({"objection", "correction", "deletion", "access", "consent"})
MARKS: Final = frozenset("PRSK")
TEXT_MAX: Final = 4_000
LINE_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Field:
    """One thing a form asks for.

    Attributes:
        options: What may be chosen, code → words; of `choice` one, of `ticks` any number.
        needed: Without it the form says too little to be acted on.
    """

    name: str
    label: str
    kind: Kind = "line"
    hint: str = ""
    needed: bool = False
    options: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form: a heading, words, and what it asks for."""

    heading: str
    text: str = ""
    fields: tuple[Field, ...] = ()
    office: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """A form as its data file says.

    Attributes:
        right: Which right a filled form asks for; "consent" answers the one request for consent.
        by: Field whose answer names another right, answer → right; "" where there is none.
        needs_check: The text of the law itself was not read: counsel looks at it first.
    """

    name: str
    law: str
    title: str
    lead: str
    version: str
    checked_on: date
    review_by: date
    source: str
    source_mark: str
    needs_check: bool
    right: str
    parts: tuple[Part, ...]
    by: str = ""
    rights: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()

    @property
    def fields(self) -> list[Field]:
        """Everything a person fills in, in order."""
        return [each for part in self.parts if not part.office for each in part.fields]

    @property
    def doubt(self) -> str:
        """What is said where the gazette's own text was not read; "" otherwise."""
        return _DOUBT if self.needs_check else ""

    def asks(self, answers: Mapping[str, str]) -> str:
        """Return the right that these answers ask for."""
        chosen = answers.get(self.by, "") if self.by else ""
        return (self.rights or {}).get(chosen, self.right)


_DOUBT = (
    "This form says in our own words what the law's own form asks. We have not read the printed"
    " text in the Gazette itself. If yours looks different, use yours: we take any form."
)
_KEYS = frozenset(
    {
        *("law", "title", "lead", "version", "checked_on", "review_by", "source", "source_mark"),
        *("needs_check", "right", "part", "by", "rights", "notes"),
    }
)
_PART = frozenset({"heading", "text", "field", "office"})
_FIELD = frozenset({"name", "label", "kind", "hint", "needed", "options"})


def read_form(name: str, raw: bytes) -> Form:
    """Read a form's data file.

    Raises:
        InvalidInput: It does not read, a key is unknown or missing, a field has no known kind, or
            two fields share a name; names the file.
    """
    values = _toml(name, raw)
    _only(name, values, _KEYS)
    try:
        form = Form(
            name=name,
            law=str(values["law"]),
            title=str(values["title"]),
            lead=str(values.get("lead", "")),
            version=str(values["version"]),
            checked_on=_day(name, values["checked_on"]),
            review_by=_day(name, values["review_by"]),
            source=str(values["source"]),
            source_mark=str(values["source_mark"]),
            needs_check=values["needs_check"] is True,
            right=str(values["right"]),
            parts=tuple(_part(name, each) for each in values["part"]),
            by=str(values.get("by", "")),
            rights=dict(values.get("rights", {})),
            notes=tuple(values.get("notes", ())),
        )
    except KeyError as key:
        raise _bad(name, f"{key.args[0]} is missing") from None
    _coherent(form)
    return form


def _toml(name: str, raw: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise _bad(name, str(fault)) from None


def _bad(name: str, said: str) -> InvalidInput:
    return InvalidInput(f"form {name}: {said}", "correct the data file")


def _only(name: str, values: Mapping[str, Any], known: frozenset[str]) -> None:
    if unknown := values.keys() - known:
        raise _bad(name, f"unknown key {min(unknown)}")


def _day(name: str, value: object) -> date:
    if not isinstance(value, date):
        raise _bad(name, "a date is no date")
    return value


def _part(name: str, values: Mapping[str, Any]) -> Part:
    _only(name, values, _PART)
    asked = tuple(_field(name, each) for each in values.get("field", ()))
    office = values.get("office") is True
    return Part(str(values["heading"]), str(values.get("text", "")), asked, office)


def _field(name: str, values: Mapping[str, Any]) -> Field:
    _only(name, values, _FIELD)
    kind = values.get("kind", "line")
    options = values.get("options")
    if kind not in KINDS or (kind in {"choice", "ticks"}) != bool(options):
        raise _bad(name, f"{values['name']} is of no known kind, or has no options")
    return Field(
        str(values["name"]),
        str(values["label"]),
        kind,
        str(values.get("hint", "")),
        values.get("needed") is True,
        options,
    )


def _coherent(form: Form) -> None:
    names = [each.name for part in form.parts for each in part.fields]
    if len(names) != len(set(names)):
        raise _bad(form.name, "two fields share a name")
    if not {form.right, *(form.rights or {}).values()} <= RIGHTS:
        raise _bad(form.name, f"a right is none of {', '.join(sorted(RIGHTS))}")
    if not form.source or not set(form.source_mark) <= MARKS or not form.source_mark:
        raise _bad(form.name, "source and source mark are missing")
    if form.needs_check < bool(set(form.source_mark) & {"S", "K"}):
        raise _bad(form.name, "a secondary source needs_check")
    if form.by and form.by not in names:
        raise _bad(form.name, f"there is no field {form.by}")


def read_consent_form(name: str, raw: bytes, ways: Mapping[str, str]) -> Form:
    """Read the request for consent (POPIA Form 4), whose data file is a letter with an answer.

    Args:
        name: As what the form is known.
        raw: The data file: parts of `field`, `heading` and `text`, and `answer`.
        ways: Channel → words, in the order in which they may be ticked.

    Raises:
        InvalidInput: It does not read, or a key is missing.
    """
    values = _toml(name, raw)
    try:
        answer = values["answer"]
        fields = (
            Field("answer", "Your answer", "choice", needed=True, options={
                "yes": "Yes, by the ways I tick", "no": str(answer["no"]).rstrip("."),
            }),
            Field("ways", "Ways", "ticks", "Only what you tick. It counts only with a yes.",
                  options=ways),
            Field("signature", "Signature or typed name", "sign", needed=True),
            Field("date", "Date", "date", needed=True),
        )  # fmt: skip
        letter = [Part(str(p["heading"]), str(p["text"])) for p in values["part"]]
        form = Form(
            name=name,
            law="POPIA s69(2), Form 4",
            title=str(values["title"]),
            lead="",
            version=str(values["version"]),
            checked_on=_day(name, values["checked_on"]),
            review_by=_day(name, values["review_by"]),
            source=str(values["source"]),
            source_mark=str(values["source_mark"]),
            needs_check=values["needs_check"] is True,
            right="consent",
            parts=(*letter, Part(str(answer["heading"]), str(answer["text"]), fields)),
        )
    except KeyError as key:
        raise _bad(name, f"{key.args[0]} is missing") from None
    _coherent(form)
    return form


def named(form: Form, party: Mapping[str, str]) -> Form:
    """Put the company's own facts in place of words in [SQUARE BRACKETS] that are known.

    Args:
        form: With placeholders in its words.
        party: Placeholder without brackets → what it stands for; "" leaves the bracket.
    """

    def put(text: str) -> str:
        for key, value in party.items():
            text = text.replace(f"[{key}]", value) if value else text
        return text

    parts = tuple(
        Part(part.heading, put(part.text), part.fields, part.office) for part in form.parts
    )
    return Form(
        **{
            **{slot: getattr(form, slot) for slot in Form.__slots__},
            "lead": put(form.lead),
            "title": put(form.title),
            "parts": parts,
        }
    )


def placeholders(form: Form) -> list[str]:
    """Name the words in [SQUARE BRACKETS] that nobody filled in yet, in order."""
    found: dict[str, None] = {}
    for text in (form.title, form.lead, *(part.text for part in form.parts)):
        for piece in text.split("[")[1:]:
            word, closed, _ = piece.partition("]")
            if closed and word.upper() == word:
                found[word] = None
    return list(found)


def taken(form: Form, given: Mapping[str, str]) -> dict[str, str]:
    """Return the answers to what the form asks, of what a browser sent; the rest is left out.

    Ticks arrive as `NAME-CODE`; they are returned as codes joined by a space. Long answers are
    cut at `LINE_MAX` or `TEXT_MAX` characters; an option the form does not have counts nothing.
    """
    out = {}
    for each in form.fields:
        options = each.options or {}
        if each.kind == "ticks":
            said = " ".join(code for code in options if given.get(f"{each.name}-{code}"))
        elif each.kind == "choice":
            said = given.get(each.name, "")
            said = said if said in options else ""
        else:
            most = TEXT_MAX if each.kind == "text" else LINE_MAX
            said = "\n".join(line.rstrip() for line in given.get(each.name, "").splitlines())
            said = said.strip()[:most]
        if said:
            out[each.name] = said
    return out


def missing(form: Form, answers: Mapping[str, str]) -> list[Field]:
    """Return what is needed and not answered, in order."""
    return [each for each in form.fields if each.needed and not answers.get(each.name)]


def told(form: Form, answers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the answers as label and words, in the form's order; what is empty is left out."""
    return [
        (each.label, _words(each, answers[each.name]))
        for each in form.fields
        if answers.get(each.name)
    ]


def _words(asked: Field, said: str) -> str:
    options = asked.options or {}
    if asked.kind == "ticks":
        return ", ".join(options[code] for code in said.split() if code in options)
    return options.get(said, said)
