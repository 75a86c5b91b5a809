"""Take a person's package in: what they told and what was seen of them; it opens no use.

A package is a claim by whoever hands it in. Facts, values, addresses and activity come in as an
import brings them. Dealings were with the house that wrote it: only a house of the same ledger
takes them over. A yes to another house counts as unknown here, a no binds at once.
"""

import zipfile
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from troth import crypto
from troth.app.workspace import Workspace
from troth.capabilities import people, preferences
from troth.engines.intake import Batch, ConsentRow, CustomerRow, EventColumns
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel.desk import SYSTEM
from troth.terms import Channel, Instant, PersonId, address_field, from_zulu, instant

SOURCE: Final = "package"
LARGEST: Final = 256 << 20
"""The most bytes of `data.json` that are read: a package that unpacks to more is no package."""
DATA: Final = "data.json"
_KNOWN: Final = frozenset({
    "name.given", "name.family", "contact.email", "contact.sms", "contact.post", "contact.push",
    "external.id", "birth.year", "interests",
})  # fmt: skip
_MOVED: Final = (Channel.POST, Channel.PUSH)


class _Value(msgspec.Struct):
    field: str
    value: str | None = None


class _Person(msgspec.Struct):
    subject: str = ""
    residence: str = ""
    zone: str = ""
    language: str = ""


class _Controller(msgspec.Struct):
    ledger: str = ""


class _Deal(msgspec.Struct):
    kind: str
    occurred_at: str
    brand: str = ""
    goods: str = ""
    collected: bool = False
    objection_offered: bool = False
    until: str = ""


class _Yes(msgspec.Struct):
    purpose: str
    status: str
    at: str
    channels: tuple[str, ...] = ("*",)
    occurred_at: str = ""
    notice: str = ""
    method: str = ""
    proof: str = ""
    categories: tuple[str, ...] = ()
    level: int = -1
    given_by: str = ""
    confirmed_at: str = ""


class _Did(msgspec.Struct):
    at: str
    kind: str
    item: str
    group: str
    amount_minor: int
    currency: str
    units: int
    category: str


class _Package(msgspec.Struct):
    format: str
    version: int
    controller: _Controller
    person: _Person
    values: list[_Value]
    dealings: list[_Deal]
    consents: list[_Yes]
    activity: list[_Did]


_decode = msgspec.json.Decoder(_Package).decode


@dataclass(frozen=True, slots=True)
class Taken:
    """What came in.

    Attributes:
        unproven: Answers that are kept and open nothing.
        left: Values there is no place for here, by field.
    """

    person: PersonId
    values: int
    dealings: int
    activity: int
    consents: int
    unproven: int
    left: tuple[str, ...]


def import_package(
    opened: Workspace, path: Path, watch: Callable[[int], None] = lambda _done: None
) -> Taken:
    """Take a package in as somebody new; a package taken in before is refused, whole.

    Raises:
        NotFound: There is no such file.
        InvalidInput: It is no package, or names nothing by which somebody could be known.
        Conflict: Somebody is known here by its number or address; nothing was taken.
    """
    raw = _data_of(path)
    held = _read(raw)
    values: dict[str, str] = {}
    for each in held.values:
        if each.value:
            values.setdefault(each.field, each.value)  # the record that stayed goes first
    digest = crypto.sha256(raw)
    row, outside = _row(held, values)
    _refuse_known(opened, outside, values)
    batch = Batch(1, 1, [row], [])
    people.import_customers(opened.desk, [batch], digest, opened.settings.brand)
    with opened.store.look() as view:
        person = opened.desk.find(view, outside)
    if person is None:
        raise InvalidInput("the package's own number does not read", "ask for a new package")
    watch(1)
    _addresses(opened, person, values)
    unproven = _consents(opened, held, outside, digest)  # before what could open a use: a no binds
    ours = held.controller.ledger == opened.signer.origin
    dealings = held.dealings if ours else []
    for deal in dealings:
        people.relate(opened.desk, person, _dealing(deal), SOURCE, SYSTEM)
    done = _activity(opened, held, outside, digest)
    watch(done)
    left = tuple(sorted(values.keys() - _KNOWN))
    return Taken(
        person, len(values) - len(left), len(dealings), done, len(held.consents), unproven,
        left,
    )  # fmt: skip


def _data_of(path: Path) -> bytes:
    """Return the package's data, from the archive or the file itself."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if archive.getinfo(DATA).file_size > LARGEST:
                    raise InvalidInput("this package is too large", "ask for a smaller part")
                with archive.open(DATA) as file:
                    return _whole(file.read(LARGEST + 1))
        with path.open("rb") as file:
            return _whole(file.read(LARGEST + 1))
    except FileNotFoundError:
        raise NotFound("there is no such file", "check the path") from None
    except (KeyError, zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError):
        raise InvalidInput("this is no package", "hand in the ZIP file or its data.json") from None


def _whole(raw: bytes) -> bytes:
    if len(raw) > LARGEST:
        raise InvalidInput("this package is too large", "ask for a smaller part")
    return raw


def _read(raw: bytes) -> _Package:
    try:
        held = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput("this is no package", "hand in the ZIP file or its data.json") from None
    if (held.format, held.version) != ("troth.package", 1):
        raise InvalidInput("this package is of another version", "use a newer Troth")
    return held


def _row(held: _Package, values: dict[str, str]) -> tuple[CustomerRow, str]:
    """Return the customer as a file would tell them, and the number they are known by."""
    email, phone = values.get("contact.email", ""), values.get("contact.sms", "")
    outside = values.get("external.id", "")
    if not outside and (email or phone):
        outside = f"email:{email}" if email else f"sms:{phone}"
    if not outside:
        raise InvalidInput("the package names no number and no address", "ask for a whole one")
    born = values.get("birth.year", "")
    facts = held.person
    row = CustomerRow(
        line=1,
        external_id=values.get("external.id", ""),
        email=email,
        phone=phone,
        given_name=values.get("name.given", ""),
        family_name=values.get("name.family", ""),
        residence=facts.residence,
        zone=facts.zone,
        language=facts.language,
        birth_year=int(born) if born.isdecimal() else None,
        subject=facts.subject if facts.subject in ("natural", "juristic") else "natural",
        interests=tuple(values.get("interests", "").split(";")),
        source=SOURCE,
    )
    return row, outside


def _refuse_known(opened: Workspace, outside: str, values: Mapping[str, str]) -> None:
    """Refuse whoever may be somebody known: two records of one person would contradict."""
    desk = opened.desk
    with desk.store.look() as view:
        known = desk.find(view, outside) is not None
        for channel in (Channel.EMAIL, Channel.SMS):
            text = values.get(address_field(channel), "")
            known = known or bool(text and people.find_by_address(desk, view, channel, text))
    if known:
        raise Conflict(
            "somebody is known here by this number or address; nothing was taken",
            "correct their record instead",
        )


def _addresses(opened: Workspace, person: PersonId, values: dict[str, str]) -> None:
    for channel in _MOVED:
        text = values.get(f"contact.{channel}", "")
        if text:
            people.change_address(opened.desk, person, channel, text, SOURCE, SYSTEM)


def _dealing(each: _Deal) -> people.Dealing:
    return people.Dealing(
        each.kind, from_zulu(each.occurred_at), each.brand, each.goods, each.collected,
        each.objection_offered, from_zulu(each.until) if each.until else 0,
    )  # fmt: skip


def _activity(opened: Workspace, held: _Package, outside: str, digest: bytes) -> int:
    """Seal the activity; what lay apart as sensitive lies apart here."""
    rows = sorted(held.activity, key=lambda each: each.at)
    if not rows:
        return 0
    columns = EventColumns(
        line=array("q", range(1, len(rows) + 1)),
        external_id=[outside] * len(rows),
        at=array("q", [_instant(each.at) for each in rows]),
        kind=[each.kind for each in rows],
        item=[each.item for each in rows],
        group=[each.group for each in rows],
        amount_minor=array("q", [each.amount_minor for each in rows]),
        currency=[each.currency for each in rows],
        units=array("q", [each.units for each in rows]),
        store=[""] * len(rows),
    )
    apart = frozenset(each.item for each in rows if each.category.endswith(".sensitive"))
    batch = Batch(1, len(rows), columns, [])
    people.import_events(opened.desk, [batch], digest, apart, brand=None)
    return len(rows)


def _instant(text: str) -> Instant:
    """Read a time with or without microseconds."""
    if "." not in text:
        return from_zulu(text)
    try:
        return instant(datetime.fromisoformat(text))
    except ValueError:
        raise InvalidInput(
            "a time in the package does not read", "ask for a new package"
        ) from None


def _consents(opened: Workspace, held: _Package, outside: str, digest: bytes) -> int:
    """Carry the answers over; a yes to another house is kept without its notice: unknown here."""
    ours = held.controller.ledger == opened.signer.origin
    rows = [
        ConsentRow(
            line=n,
            external_id=outside,
            purpose=each.purpose,
            status=each.status,
            channels=each.channels,
            occurred_at=from_zulu(each.occurred_at or each.at),
            notice=each.notice if ours else "",
            method=each.method,
            proof=each.proof,
            categories=each.categories,
            level=each.level,
            given_by=each.given_by,
            confirmed_at=from_zulu(each.confirmed_at) if ours and each.confirmed_at else None,
        )
        for n, each in enumerate(held.consents, 1)
    ]
    if not rows:
        return 0
    report = preferences.import_consents(opened.desk, [Batch(1, len(rows), rows, [])], digest)
    return report.outcomes["unproven"]
