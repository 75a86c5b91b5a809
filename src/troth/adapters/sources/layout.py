"""How a file is laid out: encoding, delimiter, heading line, columns, statements before them."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from troth.adapters.sources import headings, parquet, sheet, text
from troth.adapters.sources.fields import Refused, parse_time
from troth.adapters.sources.headings import NO_COLUMNS, Columns
from troth.adapters.sources.text import Csv, Line, Record
from troth.engines.intake import Finding, Kind, RegistryFile
from troth.errors import InvalidInput

_DELIMITERS = ",;\t|"
_COLUMNS = 512
_FEWER = "leave out what is not used"


@dataclass(frozen=True, slots=True)
class Layout:
    """How to find the data rows: columns, delimiter, and the lines before them."""

    columns: Columns = NO_COLUMNS
    encoding: str = ""
    delimiter: str = ","
    head_line: int = 0
    keys: tuple[str, ...] = ()
    stated: dict[str, str] = field(default_factory=dict)


def lay_out(path: Path, kind: Kind, shape: str) -> tuple[bytes, Layout]:
    """Return the file's SHA-256 and layout; `InvalidInput` where no columns can be made out."""
    if shape == "parquet":
        names = parquet.headings(path)
        return text.digest(path), Layout(headings.guess(kind, names, 1))
    if shape == "xlsx":
        return text.digest(path), _lay_out_sheet(path, kind)
    seen = text.survey(path)
    text.refuse_unmarked_utf16(path, seen.encoding)
    of_lines = _lay_out_objects if shape == "jsonl" else _lay_out_csv
    with contextlib.closing(text.lines(path, seen.encoding)) as lines:
        return seen.digest, of_lines(kind, seen.encoding, lines)


def _lay_out_sheet(path: Path, kind: Kind) -> Layout:
    with contextlib.closing(sheet.records(path)) as rows:
        head = next(rows, None)
    if head is None:
        raise InvalidInput("the first sheet is empty", "put the rows on the first sheet")
    return Layout(headings.guess(kind, head.texts, head.line), head_line=head.line)


def _lay_out_objects(kind: Kind, encoding: str, lines: Iterator[Line]) -> Layout:
    keys: dict[str, None] = {}
    for line in lines:  # all of them: a key may first appear on the last line
        found = None if line.code else text.parse_object(line)
        keys.update(dict.fromkeys(found or ()))
        if len(keys) > _COLUMNS:
            raise InvalidInput(f"objects have more than {_COLUMNS} different keys", _FEWER)
    if not keys:
        raise InvalidInput("no line holds a JSON object", "write one JSON object per line")
    names = tuple(keys)
    return Layout(headings.guess(kind, names, 1), encoding, keys=names)


def _lay_out_csv(kind: Kind, encoding: str, lines: Iterator[Line]) -> Layout:
    stated: dict[str, str] = {}
    for line in lines:
        content = line.text.strip()
        if content.startswith("#") and kind == "registry":
            name, _, value = content.lstrip("# ").partition(":")
            stated[name.strip().lower()] = value.strip()
        elif content.lower().startswith("sep=") or (not content and not line.code):
            continue
        else:
            return _head(kind, encoding, line, stated)
    raise InvalidInput("the file holds no rows", "export it again")


def _head(kind: Kind, encoding: str, line: Line, stated: dict[str, str]) -> Layout:
    if line.code:
        raise InvalidInput(
            f"the heading line cannot be read ({line.code})",
            Finding(line.number, line.code).remedy,
        )
    bare = line.text.strip()
    if kind == "registry" and _looks_like_hash(bare):
        columns = Columns(("hash",), ("hash",), ())
        return Layout(columns, encoding, ",", line.number - 1, stated=stated)
    found = [(_split(kind, line, each), each) for each in _DELIMITERS]
    columns, delimiter = max(found, key=lambda pair: (pair[0].known, len(pair[0].fields)))
    if len(columns.fields) > _COLUMNS:
        raise InvalidInput(f"a file has at most {_COLUMNS} columns", _FEWER)
    return Layout(columns, encoding, delimiter, line.number, stated=stated)


def _looks_like_hash(content: str) -> bool:
    return len(content) >= 32 and all(char in "0123456789abcdefABCDEF" for char in content)  # noqa: PLR2004


def _split(kind: Kind, line: Line, delimiter: str) -> Columns:
    record = next(iter(Csv(iter((line,)), delimiter)), None)
    texts = record.texts if record else ()
    return headings.guess(kind, texts, line.number)


def notes(kind: Kind, layout: Layout, zone: str) -> tuple[Finding, ...]:
    """Return the findings about the file itself."""
    notes = list(layout.columns.notes)
    if layout.encoding == "cp1252":
        notes.append(Finding(1, "encoding_guessed", "", "kept"))
    if kind == "registry":
        notes += registry(layout, zone)[1]
    return tuple(notes)


def registry(layout: Layout, zone: str) -> tuple[RegistryFile, list[Finding]]:
    """Return what a registry file says of itself, with findings on what it leaves out."""
    scheme, notes = layout.stated.get("scheme", ""), list[Finding]()
    if not scheme:
        notes.append(Finding(1, "registry_scheme", "scheme", "kept"))
    try:
        return RegistryFile(scheme, parse_time(layout.stated.get("as-of", ""), zone)), notes
    except Refused:
        return RegistryFile(scheme), [*notes, Finding(1, "registry_as_of", "as-of", "kept")]


def records(path: Path, shape: str, layout: Layout) -> Iterator[Record]:
    """Yield the data rows of a text file or sheet."""
    if shape == "xlsx":
        return (each for each in sheet.records(path) if each.line != layout.head_line)
    lines = text.lines(path, layout.encoding)
    if shape == "jsonl":
        return text.objects(lines, layout.keys)
    return iter(Csv(itertools.islice(lines, layout.head_line, None), layout.delimiter))
