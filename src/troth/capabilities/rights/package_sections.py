"""The parts of a package as rows of words, most personal first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.capabilities.rights import amounts
from troth.capabilities.rights.package_story import Line, Row
from troth.capabilities.rights.package_words import FIELDS, GROUNDS, Reader
from troth.terms import from_zulu

SHOWN: Final = 200
"""How many entries of activity and events the page shows; the files hold all."""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page.

    Attributes:
        lead: One sentence of what it is; `empty` stands where there is no row.
        left: How many rows only the files hold.
    """

    key: str
    title: str
    lead: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str
    left: int = 0
    file: str = ""


def sections(data: Mapping[str, Any], story: Sequence[Line], reader: Reader) -> list[Section]:
    """Put the package into words, most personal first."""
    return [
        _values(data, reader),
        _contacts(data, reader),
        _consents(data, reader),
        _purposes(data, reader),
        _messages(data, reader),
        _activity(data, reader),
        _readings(data, story, reader),
        _shared(data, reader),
        _requests(data, reader),
        _storage(data, reader),
        _events(story, reader),
    ]


def _day(text: str | None, reader: Reader) -> str:
    return reader.tongue.day(from_zulu(f"{text[:19]}Z")) if text else ""


_STANDING: Final = frozenset({"consent", "dealings"})


def _values(data: Mapping[str, Any], reader: Reader) -> Section:
    _ = reader.tongue.gettext
    titles = {row["name"]: row["title"] for row in data["purposes"]}
    rows = []
    for row in data["values"]:
        used = [_(titles[p["purpose"]]) for p in row["purposes"] if p["ground"] in _STANDING]
        shown = row["value"] if row["value"] is not None else _("left out: it is somebody else's")
        rows.append([
            _(FIELDS.get(row["field"], row["field"])),
            shown if "statement" not in row
            else _("%(value)s. You say: %(statement)s", value=shown, statement=row["statement"]),
            row["source"],
            _day(row["since"], reader),
            "; ".join(used) or _("your own rights, and nothing else now"),
            ", ".join(row["recipients"]) or _("nobody"),
            _until(row.get("until"), reader),
        ])  # fmt: skip
    heads = [_("What"), _("We hold"), _("Where it came from"), _("Since"), _("Used for"),
             _("Who got it"), _("Until")]  # fmt: skip
    return Section(
        "values", _("What we hold about you"),
        _("Each value, where it came from and why we keep it."),
        heads, rows, _("We hold no value about you."), file="values.csv",
    )  # fmt: skip


def _until(until: Row | None, reader: Reader) -> str:
    _ = reader.tongue.gettext
    if until is None:
        return _("as long as anything else of you is kept")
    if until["at"] is None:
        return _("as long as its ground stands (rule %(rule)s)", rule=until["rule"])
    day = _day(until["at"], reader)
    return _("%(day)s (rule %(rule)s)", day=day, rule=until["rule"])


def _contacts(data: Mapping[str, Any], reader: Reader) -> Section:
    _ = reader.tongue.gettext
    rows = [
        [
            _(FIELDS.get(f"contact.{row['channel']}", row["channel"])),
            row["address"],
            row["source"],
            "; ".join(
                _("not written to: %(why)s", why=each["reason"].replace("_", " "))
                for each in row["not_written_to"]
            ) or _("may be used where a purpose allows it"),
        ]
        for row in data["contacts"]
    ]  # fmt: skip
    heads = [_("Way"), _("Address"), _("Where it came from"), _("State")]
    return Section(
        "contacts", _("How we can reach you"), _("Your addresses, and where none may be used."),
        heads, rows, _("We hold no address of yours."), file="contacts.csv",
    )  # fmt: skip


def _consents(data: Mapping[str, Any], reader: Reader) -> Section:
    _ = reader.tongue.gettext
    titles = {row["name"]: row["title"] for row in data["purposes"]}
    rows = [
        [
            _day(row.get("occurred_at") or row["at"], reader),
            _(titles.get(row["purpose"], row["purpose"])),
            _(row["status"].replace("_", " ")),
            ", ".join(_(c) if c != "*" else _("every channel") for c in row["channels"]),
            row.get("notice", ""),
        ]
        for row in reversed(data["consents"])
    ]
    heads = [_("When"), _("What for"), _("Your answer"), _("Ways"), _("Notice shown")]
    return Section(
        "consents", _("What you agreed to and refused"), _("Every answer of yours, newest first."),
        heads, rows, _("You have not answered anything yet."), file="consents.csv",
    )  # fmt: skip


def _purposes(data: Mapping[str, Any], reader: Reader) -> Section:
    _ = reader.tongue.gettext
    rows = [
        [_(row["title"]), _(GROUNDS[row["ground"]]),
         _("%(n)s days", n=reader.tongue.number(row["days"])) if row["days"] else ""]
        for row in data["purposes"]
    ]  # fmt: skip
    heads = [_("Purpose"), _("It rests on"), _("Data is kept for it at most")]
    return Section(
        "purposes", _("What data is used for"),
        _("Every purpose of ours, and how it stands for you."),
        heads, rows, _("No purpose is published."),
    )  # fmt: skip


def _messages(data: Mapping[str, Any], reader: Reader) -> Section:
    _ = reader.tongue.gettext
    titles = {row["name"]: row["title"] for row in data["purposes"]}
    rows = [
        [
            _day(row["at"], reader),
            _(titles.get(row.get("purpose", ""), row.get("purpose", ""))),
            _(row.get("channel", "")),
            ", ".join(_(each["state"]) for each in row["became"]),
        ]
        for row in reversed(data["messages"])
    ]
    heads = [_("When"), _("What for"), _("Way"), _("What became of it")]
    return Section(
        "messages", _("Messages to you"), _("Every message decided on, newest first."),
        heads, rows[:SHOWN], _("No message to you was written."),
        max(0, len(rows) - SHOWN), "messages.csv",
    )  # fmt: skip


def _activity(data: Mapping[str, Any], reader: Reader) -> Section:
    _ = reader.tongue.gettext
    rows = [
        [_day(row["at"], reader), _(row["kind"]), row["item"], row["group"],
         str(row["units"]), _money(row)]
        for row in data["activity"][: -SHOWN - 1 : -1]
    ]  # fmt: skip
    heads = [_("When"), _("What"), _("Item"), _("Kind of goods"), _("How many"), _("Amount")]
    return Section(
        "activity", _("What you bought and looked at"), _("Newest first."), heads, rows,
        _("We hold no activity of yours."), max(0, len(data["activity"]) - SHOWN), "activity.csv",
    )  # fmt: skip


def _money(row: Row) -> str:
    if not row["currency"]:
        return ""
    whole, rest = amounts.parts(row["amount_minor"], row["currency"])
    sign = "-" * (row["amount_minor"] < 0)
    return f"{sign}{row['currency']} {whole}{'.' * bool(rest)}{rest}"


def _readings(data: Mapping[str, Any], story: Sequence[Line], reader: Reader) -> Section:
    _ = reader.tongue.gettext
    kinds = {row["type"] for row in data["readings"]}
    found = [each for each in story if each.recorded.event.type in kinds]
    rows = [
        [
            reader.tongue.moment(each.recorded.event.at),
            reader.tell(each.recorded.event),
            ", ".join(
                map(reader.name, each.said.get("fields") or each.said.get("categories") or ())
            ),
            _(each.row["by"].replace("_", " ")),
            each.said.get("reason") or "",
        ]
        for each in reversed(found)
    ]
    heads = [_("When"), _("What"), _("Of what"), _("Who"), _("Reason given")]
    return Section(
        "readings", _("Who used your data"),
        _("Every look and every decision about a use of your data; this package is one of them."),
        heads, rows[:SHOWN], _("Nobody looked."), max(0, len(rows) - SHOWN), "readings.csv",
    )  # fmt: skip


def _of_what(each: Line) -> Sequence[str]:
    return each.said.get("fields") or each.said.get("categories") or ()


def _shared(data: Mapping[str, Any], reader: Reader) -> Section:
    _ = reader.tongue.gettext
    rows = [
        [_day(row["at"], reader), row["to"],
         ", ".join(row.get("categories") or ()) or _(row.get("channel") or "")]
        for row in reversed(data["shared"])
    ]  # fmt: skip
    heads = [_("When"), _("Who got it"), _("What")]
    return Section(
        "shared", _("Who else had access"), _("What left this house, newest first."),
        heads, rows[:SHOWN], _("Nothing of you left this house."),
        max(0, len(rows) - SHOWN), "shared.csv",
    )  # fmt: skip


def _requests(data: Mapping[str, Any], reader: Reader) -> Section:
    _ = reader.tongue.gettext
    rows = [
        [_day(row["at"], reader), _(row["right"]), _(row["act"]), _day(row.get("due"), reader),
         row.get("text", "")]
        for row in data["requests"]
    ]  # fmt: skip
    heads = [_("When"), _("Right"), _("Step"), _("Due"), _("What was said")]
    return Section(
        "requests", _("Your requests"), _("Each step of each request."), heads, rows,
        _("You have made no request."), file="requests.csv",
    )  # fmt: skip


def _storage(data: Mapping[str, Any], reader: Reader) -> Section:
    _ = reader.tongue.gettext
    rows = []
    for row in data["storage"]:
        days = row["backups_days"]
        shown = _("unknown: the company has not said")
        rows.append([
            _(row["system"]),
            row["country"] if row["country"] != "unknown" else shown,
            _(row["protection"]),
            _("%(n)s days", n=reader.tongue.number(days)) if isinstance(days, int) else shown,
        ])  # fmt: skip
    rows += [
        [_("not in this package"), row["category"], _(row["why"]), ""] for row in data["closed"]
    ]
    heads = [_("Where"), _("Country"), _("How it is protected"), _("Backups are kept")]
    return Section(
        "storage", _("Where it lies and how it is protected"), "", heads, rows, _("Unknown.")
    )


def _events(story: Sequence[Line], reader: Reader) -> Section:
    _ = reader.tongue.gettext
    newest = list(reversed(story))[:SHOWN]
    rows = [
        [
            reader.tongue.moment(each.recorded.event.at),
            reader.tell(each.recorded.event),
            _(each.row["by"].replace("_", " ")),
            str(each.recorded.seq),
        ]
        for each in newest
    ]
    heads = [_("When"), _("What happened"), _("Who"), _("Entry in the ledger")]
    return Section(
        "events", _("Your whole record"), _("Every event about you, newest first."), heads, rows,
        _("Nothing is recorded."), max(0, len(story) - SHOWN), "events.jsonl",
    )  # fmt: skip
