"""Quoted-printable whose bytes are already relaxed in the sense of DKIM (RFC 2045, 6376).

Decodes to exactly the text given, but never holds two blanks in a row, a TAB or a blank before
CRLF, so that a body made of it needs no canonicalising. Lines stay within `WIDTH`.
"""

import re
from binascii import b2a_qp
from functools import lru_cache

WIDTH = 76
SOFT = "=\r\n"

_BAD_START = re.compile(rb"^(?:\.|From )", re.MULTILINE)


@lru_cache(maxsize=4096)
def _quoted(char: str) -> str:
    if "!" <= char <= "~" and char != "=":
        return char
    return "".join(f"={byte:02X}" for byte in char.encode())


def text_block(text: str) -> str:
    """Encode constant text that starts at the beginning of a line; CRLF, LF and CR all end lines.

    Ends where the text ends: at the beginning of a line only if the text ends with one.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    last = lines.pop()
    return "".join(f"{_line(line, ends=True)}\r\n" for line in lines) + _line(last, ends=False)


def value_line(value: str) -> bytes:
    """Encode a value that starts at the beginning of a line and ends in a soft break.

    Nothing at all for an empty value. The value is one line: its caller refuses CR and LF.
    """
    if not value:
        return b""
    if (
        len(value) < WIDTH
        and value.isascii()
        and value.isprintable()
        and "=" not in value
        and "  " not in value
        and value != " "
        and not value.startswith((".", "From "))
    ):
        return value.encode("ascii") + b"=\r\n"
    if "  " not in value and "\t" not in value:
        quick = b2a_qp(value.encode(), istext=False).replace(b"\n", b"\r\n")
        if len(quick) - quick.rfind(b"\n") <= WIDTH and not _BAD_START.search(quick):
            return quick + b"=\r\n"
    return (_line(value, ends=False) + SOFT).encode("ascii")


def _line(text: str, *, ends: bool) -> str:
    """Encode one line, broken softly; `ends` says that a hard break follows."""
    rows: list[str] = []
    row, blank = "", False
    last = len(text) - 1
    for place, char in enumerate(text):
        if char == " " and not blank and not (ends and place == last):
            piece, blank = " ", True
        else:
            piece, blank = _quoted(char), False
        if len(row) + len(piece) > WIDTH - 1:
            rows.append(row)
            row = ""
        row = _guard(row + piece)
    rows.append(row)
    return SOFT.join(rows)


def _guard(row: str) -> str:
    """Keep a line from starting like a dot-stuffed or an mbox line."""
    if row == ".":
        return "=2E"
    return "=46rom " if row == "From " else row
