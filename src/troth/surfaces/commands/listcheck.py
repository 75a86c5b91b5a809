"""`troth list check`: a list read, judged, and told at a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from troth import app
from troth.app import ListTold
from troth.capabilities.access.exports import Export
from troth.capabilities.listcheck import GROUPS
from troth.errors import InvalidInput
from troth.surfaces import list_words as told
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call, export_data, export_lines, refused
from troth.terms import Instant, Refusal

SHOWN = 3
GUESSED = "cp1252"
KEPT = "Nothing was kept: no row, no address, no event."
BOOKED = "No row and no address was kept. That these files were taken out is in the record."
HOUSE = "troth.toml"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command is told besides the file."""

    zone: str = ""
    country: str = ""
    sender_country: str = ""
    registry: str = ""
    out: str = ""
    map: tuple[str, ...] = ()


def check(call: Call, file: Path, options: Options) -> Answer:
    """Check a list; needs no workspace and leaves nothing but what `--out` names.

    In a workspace, files written are booked as an export first.
    """
    said = ListTold(
        columns=read_map(options.map),
        zone=options.zone,
        country=options.country,
        sender=options.sender_country,
        registry=Path(options.registry) if options.registry else None,
    )
    at = call.standing()
    source = app.look_at_list(file, file.name, said)
    now = at if at is not None else Instant(app.real_micros())
    checked = app.check_list(source, said, now, call.watch("check the list"))
    data = told.report(checked)
    left = _taken(call, checked) if options.out else None
    if isinstance(left, Refusal):
        return refused(left, "No file was written.")
    written: list[str] = []
    if options.out:
        form = {"form4.txt": told.form4_text(), "form4.html": told.form4_html()}
        written = app.write_groups(checked, Path(options.out), told.row_words, form, left)
    data = {**data, "written": written, **export_data(left)}
    return Answer(data, [*_lines(data, options.out), *export_lines(left)])


def _taken(call: Call, checked: app.Checked) -> Export | Refusal | None:
    """Book that the rows are taken out, where there is a house to book it; None where is none."""
    if not (call.folder / HOUSE).is_file():
        return None
    with call.opened() as ws:
        left = app.take_groups(ws, checked, GROUPS, call.actor(ws))
        ws.sign()
        return left


def read_map(given: Iterable[str]) -> dict[str, str]:
    """Read `HEADING=FIELD`; an empty FIELD leaves the column out.

    Raises:
        InvalidInput: There is no `=`.
    """
    out: dict[str, str] = {}
    for each in given:
        name, sign, field = each.rpartition("=")
        if not sign or not name.strip():
            raise InvalidInput(
                "--map is not HEADING=FIELD", 'write --map "Signup date=consent_at"'
            )
        out[name.strip()] = field.strip()
    return out


# For a terminal


def _lines(data: Mapping[str, Any], out: str) -> list[str]:
    groups = data["groups"]
    width = max(len(f"{n:,}") for n in groups.values())
    whose = f", an export of {data['tool']}" if data["tool"] else ""
    lines = [
        f"{data['rows']:,} rows{whose}.",
        "",
        f"  {groups['may_mail']:>{width},}  you may mail",
        f"  {groups['ask_once']:>{width},}  you may ask once (Form 4 text ready)",
        f"  {groups['not']:>{width},}  not, and why",
    ]
    for group in GROUPS:
        found = [each for each in data["reasons"] if each["group"] == group]
        if found:
            lines += ["", told.TITLES[group]]
        for each in found:
            lines += _reason_lines(each)
    if data["before"]:
        lines += ["", "First", *_before_lines(data["before"])]
    return [*lines, *_findings_lines(data), *_column_lines(data), *_end_lines(data, out)]


def _reason_lines(reason: Mapping[str, Any]) -> list[str]:
    cited = [rule for rule in reason["rules"] if rule not in told.OWN_RULES]
    rules = f" ({', '.join(cited)})" if cited else ""
    lines = [f"  {reason['rows']:,}  {reason['title']}{rules}", f"      {reason['why']}"]
    if reason["missing"]:
        shown = [f"{name}: {n:,}" for name, n in list(reason["missing"].items())[:SHOWN]]
        lines.append(f"      Missing: {'; '.join(shown)}")
    if text := f"{told.helped(reason['helps'])} {reason['change']}".strip():
        lines.append(f"      {text}")
    if reason["example"]:
        lines.append(f"      For example line {reason['example']['line']:,}, {_address(reason)}")
    return lines


def _address(reason: Mapping[str, Any]) -> str:
    return reason["example"]["address"] or "no address"


def _before_lines(before: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for each in before:
        lines.append(f"  Before you write to {each['rows']:,}: {each['title'].lower()}")
        lines.append(f"      {each['text']}")
    return lines


def _findings_lines(data: Mapping[str, Any]) -> list[str]:
    found = [f"  {each['rows']:,} {each['text']}" for each in data["findings"]]
    if any(each["id"] == "country_missing" for each in data["findings"]):
        found.append("      --country ZA says where they live; it is kinder than not knowing")
    note = [f"  {data['note']}"] if data["note"] else []
    if data["encoding"] == GUESSED:
        found.append(f"  {told.words()['finding']['encoding']}")
    said = [*found, *note]
    return ["", "To look at in the list", *said] if said else []


def _column_lines(data: Mapping[str, Any]) -> list[str]:
    used = [each for each in data["columns"] if each["field"]]
    rows = [
        (each["heading"], each["field"], each["sure"], ", ".join(each["samples"])) for each in used
    ]
    unused = [each["heading"] for each in data["columns"] if not each["field"]]
    left = [f"  not used: {', '.join(unused)}"] if unused else []
    return ["", f"How the columns were read (times in {data['zone']})", *columns(rows), *left]


def _end_lines(data: Mapping[str, Any], out: str) -> list[str]:
    lines = [
        "",
        BOOKED if "export" in data else KEPT,
        "Another meaning: --map HEADING=FIELD. To take the list in: troth import customers FILE",
    ]
    if data["written"]:
        lines.append(f"Written to {out}: {', '.join(data['written'])}")
    else:
        lines.append("--out DIR writes a file a group, and the Form 4 text.")
    return lines
