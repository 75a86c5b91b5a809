"""What came of a list in words: for a terminal, a program, a page and a download."""

import html
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from troth.app import Checked
from troth.capabilities.listcheck import GROUPS, Group, Tally, Verdict
from troth.surfaces.words import catalogue

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


@dataclass(frozen=True, slots=True)
class Said:
    """One reason in words."""

    title: str
    why: str
    change: str


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
