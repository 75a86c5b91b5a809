"""Deliver on the other channels: a file for people and printers, or HTTP to a provider.

Both take and give what the mail transport does, so that the same courier asks the gate once more
right before each message, keeps the same journal, and books the same outcomes.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth import crypto
from troth.adapters import outbound
from troth.engines import webhooks
from troth.errors import InvalidInput, Unavailable
from troth.ports import HandoverLog
from troth.terms import Instant, Outcome, Outgoing, zulu

HEADINGS: Final = ("to", "text", "ref", "until")
_TAKEN, _NOT_TAKEN = 250, 550
_REDIRECTS_FROM = 300
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRIES = 3
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _cell(text: str) -> str:
    """Keep a spreadsheet from running what a person typed; a number's + stays readable."""
    if text.startswith("+") and text[1:].replace(" ", "").isdigit():
        return text
    return f"'{text}" if text.startswith(_FORMULA) else text


class FileTransport:
    """Appends each message to one CSV file: a call list, a print run, an upload for a provider."""

    def __init__(self, path: Path) -> None:
        """Write to this file, its owner's alone; headings once."""
        self._path = path

    def hand_over(
        self,
        messages: Iterable[Outgoing],
        may_go: Callable[[str], bool],
        journal: HandoverLog,
    ) -> Iterator[Outcome]:
        """Yield one outcome a message; a row is on the disk before it counts as handed.

        Raises:
            Unavailable: The file cannot be written; messages without an outcome were not begun.
        """
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError:
            raise Unavailable("the list cannot be written", "check the folder") from None
        try:
            if os.fstat(fd).st_size == 0:
                os.write(fd, _row(HEADINGS))
            for message in messages:
                if not may_go(message.ref):
                    yield Outcome(message.ref, "withdrawn")
                    continue
                journal.start(message.ref)
                row = _row(_cells(message))
                if os.write(fd, row) != len(row):
                    raise Unavailable("the list cannot be written", "free some disk space")
                os.fsync(fd)
                journal.reply(message.ref, _TAKEN)
                yield Outcome(message.ref, "handed", _TAKEN)
        finally:
            os.close(fd)


def _cells(message: Outgoing) -> tuple[str, ...]:
    until = zulu(Instant(message.until)) if message.until else ""
    return (_cell(message.recipient), _cell(message.data.decode()), message.ref, until)


def listed_refs(path: Path) -> tuple[frozenset[str], str]:
    """Return the refs on a list that was written, and the SHA-256 of the file; none without it."""
    raw = path.read_bytes() if path.is_file() else b""
    rows = csv.DictReader(io.StringIO(raw.decode(), newline=""))
    return frozenset(row["ref"] for row in rows), crypto.sha256(raw).hex()


def write_rows(path: Path, headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Append rows to a CSV file of its owner's, headings once; no cell runs in a spreadsheet.

    Raises:
        Unavailable: It cannot be written.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(fd, "ab") as out:
            if os.fstat(fd).st_size == 0:
                out.write(_row(headings))
            out.writelines(_row([_cell(cell) for cell in row]) for row in rows)
            out.flush()
            os.fsync(fd)
    except OSError:
        raise Unavailable("the file cannot be written", "check the folder") from None


ROWS_MAX, CELL_MAX = 200_000, 4_096


def read_rows(path: Path) -> tuple[list[dict[str, str]], bytes]:
    """Return the rows of a CSV file by heading (lower case), and its bytes.

    Raises:
        InvalidInput: It is missing, no UTF-8, too long, or has no heading named status.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise InvalidInput("the file does not read", "save it as CSV in UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    heads = [head.strip().lower() for head in next(reader, [])]
    if "status" not in heads:
        raise InvalidInput("the file has no column status", "name its columns in the first line")
    try:
        rows = [dict(zip(heads, row, strict=False)) for row in reader if row]
    except csv.Error:
        raise InvalidInput("the file does not read", "save it as CSV in UTF-8") from None
    if len(rows) > ROWS_MAX or any(len(cell) > CELL_MAX for row in rows for cell in row.values()):
        raise InvalidInput("the file is too long", f"send at most {ROWS_MAX} rows at once")
    return rows, raw


def _row(cells: Iterable[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().encode()


@dataclass(frozen=True, slots=True)
class Provider:
    """Another system that delivers: where, signed with what, for which channel.

    Attributes:
        now_s: POSIX seconds, for the signature.
    """

    place: outbound.Place
    secret: bytes
    channel: str
    now_s: Callable[[], int]


class HttpTransport:
    """Posts each message as JSON, signed as Standard Webhooks says, under its ref as the id."""

    def __init__(self, provider: Provider) -> None:
        """Deliver through this provider."""
        self._provider = provider

    def hand_over(
        self,
        messages: Iterable[Outgoing],
        may_go: Callable[[str], bool],
        journal: HandoverLog,
    ) -> Iterator[Outcome]:
        """Yield one outcome a message; a retry keeps the id, so that it is delivered once.

        Without an answer the outcome is unknown, and the message is never sent again.

        Raises:
            Unavailable: The provider cannot be reached; messages without an outcome were not
                begun.
        """
        for message in messages:
            reached = outbound.Reached(self._provider.place)
            if may_go(message.ref):
                yield self._one(message, reached, journal)
            else:
                reached.close()
                yield Outcome(message.ref, "withdrawn")

    def _one(self, message: Outgoing, reached: outbound.Reached, journal: HandoverLog) -> Outcome:
        body = _body(self._provider.channel, message)
        journal.start(message.ref)
        for attempt in range(1, _TRIES + 1):
            answer = reached.post(body, self._headers(message.ref, body))
            if answer is None:
                return Outcome(message.ref, "unknown")
            if answer[0] < _REDIRECTS_FROM:
                journal.reply(message.ref, _TAKEN)
                return Outcome(message.ref, "handed", _TAKEN)
            if answer[0] not in _BUSY or attempt == _TRIES:
                break
            reached = outbound.Reached(self._provider.place)
        journal.reply(message.ref, _NOT_TAKEN)
        return Outcome(message.ref, "failed", _NOT_TAKEN)

    def _headers(self, ref: str, body: bytes) -> Mapping[str, str]:
        signed = webhooks.sign(self._provider.secret, ref, self._provider.now_s(), body)
        return {"content-type": "application/json", "idempotency-key": ref, **signed}


def _body(channel: str, message: Outgoing) -> bytes:
    told = {"channel": channel, "to": message.recipient, "text": message.data.decode()}
    if message.until:
        told["until"] = zulu(Instant(message.until))
    return json.dumps({"id": message.ref, **told}, sort_keys=True).encode()
