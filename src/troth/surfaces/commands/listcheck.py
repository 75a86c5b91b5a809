"""`troth list check`: what came of a list, in words, for a terminal, a program and a page."""

import html
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from troth import app
from troth.app import Checked, ListTold
from troth.capabilities.listcheck import GROUPS, Group, Tally, Verdict
from troth.errors import InvalidInput
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call
from troth.surfaces.words import catalogue
from troth.terms import Instant

TITLES: Mapping[Group, str] = {
    "may_mail": "You may mail",
    "ask_once": "You may ask once",
    "not": "Not, and why",
}
GROUNDS = {
    "consent": ("They agreed", "The row names when, how, what proves it and the wording shown."),
    "customer_exception": (
        "They bought from you",
        "The address was taken at a sale of your own, with an easy way to say no.",
    ),
    "implied_consent": (
        "A recent dealing implies it",
        "Where they live a sale, a contract or an inquiry of late counts for a time.",
    ),
}
OWN_RULES = frozenset(
    {
        "house.suppression",
        "house.address",
        "house.state",
        "house.level",
        "list.address",
        "list.row",
    }
)
"""Rules of the house and of the check itself, which say nothing a reader could look up."""
SHOWN = 3
GUESSED = "cp1252"
KEPT = "Nothing was kept: no row, no address, no event."


@dataclass(frozen=True, slots=True)
class Options:
    """What the command is told besides the file."""

    zone: str = ""
    country: str = ""
    sender_country: str = ""
    registry: str = ""
    out: str = ""
    map: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """One reason in words."""

    title: str
    why: str
    change: str


def check(call: Call, file: Path, options: Options) -> Answer:
    """Check a list; needs no workspace and leaves nothing but what `--out` names."""
    told = ListTold(
        columns=read_map(options.map),
        zone=options.zone,
        country=options.country,
        sender=options.sender_country,
        registry=Path(options.registry) if options.registry else None,
    )
    at = call.standing()
    source = app.look_at_list(file, file.name, told)
    now = at if at is not None else Instant(app.real_micros())
    checked = app.check_list(source, told, now, call.watch("check the list"))
    written: list[str] = []
    if options.out:
        form = {"form4.txt": form4_text(), "form4.html": form4_html()}
        written = app.write_groups(checked, Path(options.out), row_words, form)
    data = {**report(checked), "written": written}
    return Answer(data, _lines(data, options.out))


def read_map(told: Iterable[str]) -> dict[str, str]:
    """Read `HEADING=FIELD`; an empty FIELD leaves the column out.

    Raises:
        InvalidInput: There is no `=`.
    """
    out: dict[str, str] = {}
    for each in told:
        name, sign, field = each.rpartition("=")
        if not sign or not name.strip():
            raise InvalidInput(
                "--map is not HEADING=FIELD", 'write --map "Signup date=consent_at"'
            )
        out[name.strip()] = field.strip()
    return out


@cache
def words() -> dict[str, Any]:
    """Return the words of `data/listcheck.toml`."""
    return tomllib.loads((files("troth") / "data" / "listcheck.toml").read_text("utf-8"))


def say(group: str, code: str) -> Said:
    """Say a verdict: a ground where it is mailed, else the reason, in the list's words first."""
    if group == "may_mail":
        title, why = GROUNDS.get(code, (code, ""))
        return Said(title, why, "")
    own = words()["say"].get(f"{group}_{code}") or words()["say"].get(code)
    if own:
        return Said(**own)
    found = catalogue().reason(code)
    return Said(found.title, found.why, found.change)


def evidence(name: str) -> str:
    """Name a piece of evidence in words."""
    return str(words()["evidence"].get(name, name))


def row_words(verdict: Verdict) -> tuple[str, str]:
    """Say a row's verdict and what it lacks, as a download does."""
    said = say(verdict.group, verdict.code)
    waits = [words()["before"][name]["title"] for name in verdict.waits]
    lacks = "; ".join(map(evidence, verdict.missing))
    return f"{said.title}. {said.why}".strip(), lacks or "; ".join(waits)


def report(checked: Checked) -> dict[str, Any]:
    """Return what came of a list; keys are stable. No address but masked ones."""
    outcome, source = checked.outcome, checked.source
    return {
        "rows": outcome.rows,
        "groups": {group: outcome.groups[group] for group in GROUPS},
        "reasons": [_reason(tally) for tally in outcome.tallies],
        "before": [
            {"id": name, "rows": count, **words()["before"][name]}
            for name, count in outcome.waits.items()
        ],
        "findings": [
            {"id": name, "rows": count, "text": words()["finding"][name]}
            for name, count in outcome.findings.items()
        ],
        "columns": column_data(source.columns),
        "tool": tool_name(source.tool),
        "note": words()["tool"].get(source.tool, {}).get("note", ""),
        "zone": source.zone,
        "encoding": source.encoding,
        "ruleset": outcome.ruleset,
    }


def tool_name(tool: str) -> str:
    """Return the name of a mail tool by its key, "" for none."""
    return str(words()["tool"][tool]["name"]) if tool else ""


def column_data(found: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the columns and what they were taken for."""
    return [
        {
            "number": column.number,
            "heading": column.heading,
            "field": column.field,
            "sure": column.sure,
            "samples": list(column.samples),
        }
        for column in found
    ]


def _reason(tally: Tally) -> dict[str, Any]:
    said = say(tally.group, tally.code)
    example = tally.example
    return {
        "group": tally.group,
        "code": str(tally.code),
        "rows": tally.count,
        "rules": sorted(rule for rule in tally.rules if rule),
        "title": said.title,
        "why": said.why,
        "change": said.change,
        "missing": {evidence(name): n for name, n in tally.missing.most_common()},
        "helps": dict(sorted(tally.helps.items())),
        "example": {"line": example.line, "address": example.address} if example else None,
    }


def helped(helps: Mapping[str, int]) -> str:
    """Say how many rows the gate would let through, were the missing evidence there."""
    if "consent" in helps and "sale" in helps:
        most = max(helps.values())
        return f"With it, up to {most:,} of them could be mailed."
    return "".join(f"With it, {n:,} of them could be mailed." for n in helps.values())


# The request for consent


@cache
def form4() -> dict[str, Any]:
    """Return `data/form4.toml`."""
    return tomllib.loads((files("troth") / "data" / "form4.toml").read_text("utf-8"))


def form4_text() -> str:
    """Return the request for consent as plain text, its blanks in square brackets."""
    form = form4()
    answer = form["answer"]
    parts = [f"{each['heading'].upper()}\n{each['text']}" for each in form["part"]]
    ticks = "\n".join(f"[ ] {tick}" for tick in answer["ticks"])
    choice = f"{answer['heading'].upper()}\n{answer['text']}\n{ticks}\n\n[ ] {answer['no']}"
    whole = [f"Subject: {form['subject']}", form["title"], *parts, choice, answer["signature"]]
    return "\n\n".join(whole) + "\n"


def form4_html() -> str:
    """Return the request for consent as a page of its own, nothing ticked beforehand."""
    form = form4()
    answer = form["answer"]
    out = [
        f"<h2>{html.escape(each['heading'])}</h2>\n<p>{html.escape(each['text'])}</p>"
        for each in form["part"]
    ]
    ticks = "".join(
        f'<li><label><input type="checkbox" name="channel"> {html.escape(tick)}</label></li>'
        for tick in answer["ticks"]
    )
    out.append(
        f"<h2>{html.escape(answer['heading'])}</h2>\n<p>{html.escape(answer['text'])}</p>\n"
        f'<ul>{ticks}</ul>\n<p><label><input type="checkbox" name="no"> '
        f"{html.escape(answer['no'])}</label></p>\n<p>{html.escape(answer['signature'])}</p>"
    )
    title = html.escape(form["title"])
    body = "\n".join(out)
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
        f"</head>\n<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )


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
            lines += ["", TITLES[group]]
        for each in found:
            lines += _reason_lines(each)
    if data["before"]:
        lines += ["", "First", *_before_lines(data["before"])]
    return [*lines, *_findings_lines(data), *_column_lines(data), *_end_lines(data, out)]


def _reason_lines(reason: Mapping[str, Any]) -> list[str]:
    cited = [rule for rule in reason["rules"] if rule not in OWN_RULES]
    rules = f" ({', '.join(cited)})" if cited else ""
    lines = [f"  {reason['rows']:,}  {reason['title']}{rules}", f"      {reason['why']}"]
    if reason["missing"]:
        shown = [f"{name}: {n:,}" for name, n in list(reason["missing"].items())[:SHOWN]]
        lines.append(f"      Missing: {'; '.join(shown)}")
    if text := f"{helped(reason['helps'])} {reason['change']}".strip():
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
        found.append(f"  {words()['finding']['encoding']}")
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
        KEPT,
        "Another meaning: --map HEADING=FIELD. To take the list in: troth import customers FILE",
    ]
    if data["written"]:
        lines.append(f"Written to {out}: {', '.join(data['written'])}")
    else:
        lines.append("--out DIR writes a file a group, and the Form 4 text.")
    return lines
