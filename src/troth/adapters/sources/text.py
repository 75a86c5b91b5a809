"""Lines of a text file, and records of CSV and JSON Lines, in bounded memory.

A broken record never ends the reading: it comes out as a code with the line where it began, and
reading goes on at the next line.
"""

import codecs
import csv
import hashlib
import json
import re
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from troth.adapters.sources.held import Openable
from troth.errors import InvalidInput

LINE_CHARS = 65_536
_LINES_A_RECORD = 100
_CHUNK = 1 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MANY_NULS = 0.2
_SURROGATE = re.compile("[\ud800-\udfff]")


class Line(NamedTuple):
    """A physical line with its end; `code` says why it cannot be used."""

    number: int
    text: str
    code: str = ""


class Record(NamedTuple):
    """One data row as texts; `code` says why there are none."""

    line: int
    texts: Sequence[str]
    code: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over the bytes tells.

    Attributes:
        digest: SHA-256 of the file.
        encoding: Python's name; cp1252 is a guess, taken when the file is mostly not UTF-8.
    """

    digest: bytes
    encoding: str


def digest(path: Path) -> bytes:
    """Return SHA-256 of the file in 1 MB of memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def survey(path: Openable) -> Survey:
    """Digest a text file and find its encoding; about 0.3 s for 64 MB, 1 MB of memory."""
    digest, decoder = hashlib.sha256(), _Utf8Check()
    first = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            first = first or chunk[:4_096]
            digest.update(chunk)
            decoder.feed(chunk)
        decoder.feed(b"", final=True)
    return Survey(digest.digest(), _encoding(first, decoder))


def refuse_unmarked_utf16(path: Openable, encoding: str) -> None:
    """Raise `InvalidInput` where every other byte is NUL and no mark says UTF-16."""
    with path.open("rb") as file:
        first = file.read(4_096)
    if encoding != "utf-16" and first.count(0) > _MANY_NULS * len(first):
        raise InvalidInput(
            "the file holds NUL bytes: it is binary, or UTF-16 without its mark",
            "save it as UTF-8",
        )


class _Utf8Check:
    """Counts, over chunks, what decodes as UTF-8 beyond ASCII and what does not."""

    def __init__(self) -> None:
        self.good = self.bad = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, chunk: bytes, *, final: bool = False) -> None:
        if chunk.isascii() and not final and not self._decoder.getstate()[0]:
            return
        text = self._decoder.decode(chunk, final)
        self.bad += text.count("\ufffd")
        self.good += max(len(chunk) - len(text), 0)  # continuation bytes of well-formed letters


def _encoding(first: bytes, check: _Utf8Check) -> str:
    for mark, name in _MARKS:
        if first.startswith(mark):
            return name
    return "cp1252" if check.bad > check.good else "utf-8"


def lines(path: Openable, encoding: str) -> Generator[Line, None, None]:
    """Yield lines ending in LF, CRLF or CR, each at most 64 KB; longer ones come without text."""
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        number = 0
        while text := file.readline(LINE_CHARS):
            number += 1
            code = ""
            if len(text) == LINE_CHARS and not text.endswith(("\n", "\r")):
                code, text = "line_too_long", ""
                while (rest := file.readline(LINE_CHARS)) and not rest.endswith(("\n", "\r")):
                    pass
            elif "\0" in text:
                code = "nul_byte"
            elif "\ufffd" in text:
                code = "undecodable"
            yield Line(number, text, code)


class Csv:
    """Records of a CSV file (RFC 4180, with the delimiter given)."""

    def __init__(self, source: Iterator[Line], delimiter: str) -> None:
        """Start at the next line of `source`."""
        self._source = source
        self._waiting: deque[Line] = deque()
        self._delimiter = delimiter

    def __iter__(self) -> Iterator[Record]:
        """Yield records; blank lines are none."""
        while (line := self._next()) is not None:
            if line.code:
                yield Record(line.number, (), line.code)
            elif '"' in line.text:
                yield self._quoted(line)
            else:
                texts = line.text.rstrip("\r\n").split(self._delimiter)
                if any(texts):
                    yield Record(line.number, texts)

    def _next(self) -> Line | None:
        return self._waiting.popleft() if self._waiting else next(self._source, None)

    def _quoted(self, first: Line) -> Record:
        """Read on until the quotes close; if they do not, give all lines but the first back."""
        taken = [first]
        feed = _Feed(self._next, taken)
        try:
            texts = next(csv.reader(feed, delimiter=self._delimiter, strict=True))
        except csv.Error:
            self._waiting.extendleft(reversed(taken[1:]))
            return Record(first.number, (), "unclosed_quote" if feed.ended else "bad_quote")
        return Record(first.number, texts)


class _Feed:
    """Hands lines to the csv module, at most 100 and 64 KB a record, and remembers them."""

    def __init__(self, more: Any, taken: list[Line]) -> None:  # noqa: ANN401 - a bound method
        self._more = more
        self._taken = taken
        self._chars = 0
        self._given = 0
        self.ended = False

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        if self._given == len(self._taken):
            line = self._more()
            if line is not None:
                self._taken.append(line)
        if self._given == len(self._taken) or self._given >= _LINES_A_RECORD:
            return self._end()
        line = self._taken[self._given]
        self._chars += len(line.text)
        if line.code or self._chars > LINE_CHARS:
            return self._end()
        self._given += 1
        return str(line.text)

    def _end(self) -> str:
        self.ended = True
        raise StopIteration


def parse_object(line: Line) -> dict[str, str] | None:
    """Read one JSON Lines object as texts; None where it is not one of plain values."""
    try:
        pairs = _OBJECTS.decode(line.text)
        if not isinstance(pairs, dict):
            return None
        return {key: _plain_value(value) for key, value in pairs.items()}
    except (ValueError, RecursionError):
        return None


def objects(source: Iterator[Line], keys: Sequence[str]) -> Iterator[Record]:
    """Yield JSON Lines objects as records with these keys; blank lines are none."""
    for line in source:
        if line.code:
            yield Record(line.number, (), line.code)
        elif line.text.strip():
            found = parse_object(line)
            if found is None:
                yield Record(line.number, (), "bad_json")
            else:
                yield Record(line.number, [found.get(key, "") for key in keys])


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_constant(_: str) -> None:
    raise ValueError


def _plain_value(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if not value.isascii() and _SURROGATE.search(value):
            raise ValueError
        if "\0" in value:
            raise ValueError
        return value
    if isinstance(value, list):
        return "|".join(_plain_value(each) for each in value)
    raise ValueError


# Numbers keep their spelling, so that 12.50 is seen to be no whole number of cents.
_OBJECTS = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=str, parse_float=str, parse_constant=_no_constant
)
