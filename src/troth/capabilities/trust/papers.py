"""Documents made of facts: parts, lines, what is missing; as table, data and paper.

Each line names the published version it was made from and its hash, so that a reader can hold it
against the ledger's public leaf. What is not known is named with the file and key to fill.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from troth.engines.intake import csv_cell
from troth.engines.paper import Block, pdf
from troth.terms import Instant, zulu

COLUMNS = ("part", "line", "what", "said", "published", "sha256", "missing_in", "missing_key")


@dataclass(frozen=True, slots=True)
class Source:
    """What a line was made from.

    Attributes:
        label: `name@version` as published, or the program's own name and version.
        digest: SHA-256 of the published bytes, hex; "" where the source is no published file.
    """

    label: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """A fact nobody wrote down yet: what, and which key of which file to fill."""

    what: str
    file: str
    key: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a document: a title and pairs of what and said.

    Attributes:
        gaps: What is missing of it.
    """

    title: str
    pairs: tuple[tuple[str, str], ...]
    source: Source
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A heading the law asks for, words of ours, and the lines made from facts."""

    heading: str
    law: str
    text: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Paper:
    """A document as of one moment.

    Attributes:
        name: By which it is asked for.
        doubt: What is said where the law's own text was not read; "" otherwise.
    """

    name: str
    title: str
    law: str
    lead: str
    company: str
    at: Instant
    version: str
    source: str
    doubt: str
    parts: tuple[Part, ...]

    @property
    def gaps(self) -> list[Gap]:
        """What is missing, each key once, in the order of the document."""
        found: dict[tuple[str, str], Gap] = {}
        for part in self.parts:
            for line in part.lines:
                for gap in line.gaps:
                    found.setdefault((gap.file, gap.key), gap)
        return list(found.values())


def as_data(paper: Paper) -> dict[str, Any]:
    """Return a document for programs; keys are stable."""
    return {
        "name": paper.name,
        "title": paper.title,
        "law": paper.law,
        "lead": paper.lead,
        "company": paper.company,
        "at": zulu(paper.at),
        "version": paper.version,
        "source": paper.source,
        "needs_check": bool(paper.doubt),
        "doubt": paper.doubt,
        "parts": [
            {
                "heading": part.heading,
                "law": part.law,
                "text": part.text,
                "lines": [_line_data(line) for line in part.lines],
            }
            for part in paper.parts
        ],
        "missing": [_gap_data(gap) for gap in paper.gaps],
    }


def _line_data(line: Line) -> dict[str, Any]:
    return {
        "title": line.title,
        "said": [list(pair) for pair in line.pairs],
        "published": line.source.label,
        "sha256": line.source.digest,
        "missing": [_gap_data(gap) for gap in line.gaps],
    }


def _gap_data(gap: Gap) -> dict[str, str]:
    return {"what": gap.what, "file": gap.file, "key": gap.key}


def from_data(data: Mapping[str, Any], at: Instant) -> Paper:
    """Read back what `as_data` wrote; `at` is its moment, which the data says in words."""
    parts = tuple(
        Part(each["heading"], each["law"], each["text"], tuple(map(_read_line, each["lines"])))
        for each in data["parts"]
    )
    return Paper(
        data["name"],
        data["title"],
        data["law"],
        data["lead"],
        data["company"],
        at,
        data["version"],
        data["source"],
        data["doubt"],
        parts,
    )


def _read_line(each: Mapping[str, Any]) -> Line:
    pairs = tuple((str(what), str(said)) for what, said in each["said"])
    gaps = tuple(Gap(gap["what"], gap["file"], gap["key"]) for gap in each["missing"])
    return Line(each["title"], pairs, Source(each["published"], each["sha256"]), gaps)


def as_json(paper: Paper) -> bytes:
    """Write a document as JSON; the same document gives the same bytes."""
    return (json.dumps(as_data(paper), ensure_ascii=False, indent=1) + "\n").encode()


def as_csv(paper: Paper) -> bytes:
    """Write a document as a table, one row a statement; a spreadsheet's formulas are harmless."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for part in paper.parts:
        for line in part.lines:
            for row in _rows(part.heading, line):
                writer.writerow(map(csv_cell, row))
    return out.getvalue().encode()


def _rows(heading: str, line: Line) -> Iterator[Sequence[str]]:
    made = (line.source.label, line.source.digest)
    for what, said in line.pairs:
        yield (heading, line.title, what, said, *made, "", "")
    for gap in line.gaps:
        yield (heading, line.title, gap.what, "", *made, gap.file, gap.key)


def as_pdf(paper: Paper, when: str) -> bytes:
    """Lay a document out on paper; `when` says its moment in words."""
    foot = f"{paper.company} · {paper.title} · as of {when}"
    return pdf(paper.title, list(_blocks(paper, when)), foot)


def _blocks(paper: Paper, when: str) -> Iterator[Block]:
    yield Block(paper.title, "title")
    yield Block(f"{paper.company}, as of {when}. {paper.law}.", space=6)
    if paper.lead:
        yield Block(paper.lead, space=6)
    if paper.gaps:
        yield Block(f"Not complete: {len(paper.gaps)} facts are missing.", "strong", space=10)
    for part in paper.parts:
        yield Block(part.heading, "heading", space=18, keep=True)
        if part.law:
            yield Block(part.law, "small", space=2, keep=True)
        if part.text:
            yield Block(part.text, space=4)
        for line in part.lines:
            yield from _line_blocks(line)
    if paper.doubt:
        yield Block(paper.doubt, "small", space=18)
    yield Block(f"Headings: version {paper.version}; {paper.source}.", "small", space=4)


def _line_blocks(line: Line) -> Iterator[Block]:
    yield Block(line.title, "strong", space=10, keep=True)
    for what, said in line.pairs:
        yield Block(said, label=what or " ", space=2)
    for gap in line.gaps:
        said = f"MISSING: {gap.what}. Fill {gap.key} in {gap.file}."
        yield Block(said, "strong", label=" ", space=2)
    digest = f", SHA-256 {line.source.digest}" if line.source.digest else ""
    yield Block(f"From {line.source.label}{digest}", "small", label=" ", space=2)
