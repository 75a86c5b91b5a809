"""The files of a package: tables, events, receipts, schema, notes; and the one archive of all."""

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as shipped
from typing import Any, Final

import msgspec

from troth.capabilities.rights.package_story import Line, Row
from troth.engines.intake import csv_cell
from troth.kernel import events

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_BLOCK: Final = 64 * 1024
TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "values": ("field", "value", "category", "iri", "source", "since", "version", "purposes",
               "recipients", "stored", "until", "path", "statement", "left_out"),
    "contacts": ("channel", "address", "source", "since", "not_written_to", "chain"),
    "dealings": ("occurred_at", "kind", "brand", "goods", "collected", "objection_offered",
                 "until", "source", "at"),
    "consents": ("at", "purpose", "channels", "status", "notice", "method", "proof",
                 "occurred_at", "until", "categories", "level", "given_by", "confirmed_at",
                 "source", "missing", "by", "chain", "n"),
    "preferences": ("what", "value", "at"),
    "messages": ("at", "purpose", "channel", "campaign", "level", "categories", "basis",
                 "message_id", "ref", "became"),
    "activity": ("at", "kind", "item", "group", "amount_minor", "currency", "units", "category",
                 "source"),
    "readings": ("at", "type", "by", "purpose", "action", "fields", "categories", "reason",
                 "basis", "reasons", "channel", "campaign", "n"),
    "requests": ("at", "request", "act", "right", "how", "due", "rule", "ground", "text",
                 "scope", "by"),
    "shared": ("at", "to", "action", "purpose", "categories", "channel", "ref", "basis"),
}  # fmt: skip
"""Table → its columns; lists and objects stand in a cell as JSON."""
_json = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Package:
    """A person's package.

    Attributes:
        files: Name → content, in the order of the archive.
        counts: What is in it, for the page that offers it.
    """

    files: Mapping[str, bytes]
    counts: Mapping[str, int]

    @property
    def size(self) -> int:
        """Bytes before packing."""
        return sum(map(len, self.files.values()))

    def only(self, kind: str) -> "Package":
        """Return the part of one kind, `csv` or `json`, with the notes that explain it."""
        keep = {"csv": (".csv", ".txt"), "json": (".json", ".txt")}[kind]
        return Package(
            {name: raw for name, raw in self.files.items() if name.endswith(keep)}, self.counts
        )


def tables(data: Mapping[str, Any]) -> dict[str, bytes]:
    """Return every table of the data as CSV: UTF-8, RFC 4180, harmless in a spreadsheet."""
    return {f"{name}.csv": _table(data[name], columns) for name, columns in TABLES.items()}


def data_file(data: Mapping[str, Any]) -> bytes:
    """Return `data.json`: canonical JSON, as events are written.

    Activity comes first in it and is canonical already, as it was shaped; so it is written as it
    is, which takes a tenth of the time.
    """
    rest = events.canonical({name: part for name, part in data.items() if name != "activity"})
    return b'{"activity":' + _json.encode(data["activity"]) + b"," + rest[1:]


def _table(rows: Iterable[Row], columns: Sequence[str]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    cell = _Cells()
    writer.writerows([cell[row.get(name)] for name in columns] for row in rows)
    return out.getvalue().encode()


class _Cells(dict[Any, Any]):
    """Cells by value: most of a table's texts stand in it more than once."""

    def __getitem__(self, value: Any) -> str | int:  # noqa: ANN401 - a table holds anything
        if type(value) is not str:
            return _cell(value)
        found: str | None = self.get(value)
        if found is None:
            found = self[value] = csv_cell(value)
        return found


def _cell(value: Any) -> str | int:  # noqa: ANN401
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return value
    return csv_cell(str(value)) if isinstance(value, str) else _json.encode(value).decode()


def event_lines(story: Iterable[Line]) -> bytes:
    """Return every event, a JSON object a line, in the canonical spelling."""
    return b"".join(events.canonical(each.row) + b"\n" for each in story)


def receipt_name(each: Line) -> str:
    """Name the receipt of an event; `-1` and up mark records merged into the person's."""
    event = each.recorded.event
    chain = f"-{each.chain}" if each.chain else ""
    return f"receipts/{event.n:06}{chain}-{event.type}.tlog-proof"


def schema() -> bytes:
    """Return the JSON Schema of `data.json`."""
    return (shipped("troth") / "data" / "package.schema.json").read_bytes()


def stream(package: Package) -> Iterator[bytes]:
    """Yield the package as a ZIP archive, block by block; equal packages give equal bytes."""
    held = _Blocks()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, raw in package.files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            entry.create_system = 3
            with archive.open(entry, "w") as file:
                for start in range(0, len(raw), _BLOCK):
                    file.write(raw[start : start + _BLOCK])
                    yield from held.taken()
            yield from held.taken()
    yield from held.taken()


class _Blocks(io.RawIOBase):
    """A file nobody can seek in, emptied as it is written."""

    def __init__(self) -> None:
        """Begin empty."""
        self._waiting: list[bytes] = []

    def writable(self) -> bool:
        """Say that it is."""
        return True

    def write(self, given: Any) -> int:  # noqa: ANN401 - any buffer
        """Take bytes."""
        raw = bytes(given)
        self._waiting.append(raw)
        return len(raw)

    def taken(self) -> Iterator[bytes]:
        """Yield what was written since."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            yield b"".join(waiting)
