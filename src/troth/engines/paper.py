"""Plain documents on A4 as PDF: headings, text, rows, page numbers; the reader's own fonts.

The fourteen standard fonts need no font file; what they cannot write is spelled with its nearest
letter, and `spelled` tells where that happened. Widths: Adobe's core metrics for Helvetica.
"""

import io
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pydyf

Style = Literal["title", "heading", "text", "small", "strong"]
WIDTH, HEIGHT, MARGIN = 595, 842, 56
SIZES: Final[dict[Style, tuple[str, int, int]]] = {
    "title": ("F2", 22, 28),
    "heading": ("F2", 13, 18),
    "strong": ("F2", 10, 14),
    "text": ("F1", 10, 14),
    "small": ("F1", 8, 11),
}
"""Style → font, size and line height in points."""
_PRINTABLE = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"  # noqa: E501
_PLAIN = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    *(556,) * 10, 278, 278, 584, 584, 584, 556, 1015,
    667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667,
    611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333,
    556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500,
    278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
_BOLD = (
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278,
    *(556,) * 10, 333, 333, 584, 584, 584, 611, 975,
    722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778, 667, 778, 722, 667,
    611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556, 333,
    556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611, 611, 611, 389, 556,
    333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
)  # fmt: skip
_WIDTHS = {
    "F1": dict(zip(_PRINTABLE, _PLAIN, strict=True)),
    "F2": dict(zip(_PRINTABLE, _BOLD, strict=True)),
}
_UNKNOWN_WIDTH = 611


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a document, from top to bottom.

    Attributes:
        label: Text in a narrow column at the left; "" gives the whole width to `text`.
        space: Points of white above.
        keep: Stays on one page with the block below it.
    """

    text: str
    style: Style = "text"
    label: str = ""
    space: int = 4
    keep: bool = False


def spelled(text: str) -> str:
    """Return `text` as the standard fonts can write it, letter by nearest letter.

    >>> spelled("Mbalenhle “Ngcobo” ž")
    'Mbalenhle “Ngcobo” ž'
    >>> spelled("Đorđe ș 中")
    '?or?e s ?'
    """
    return "".join(map(_letter, text))


def _letter(sign: str) -> str:
    for form in (
        sign,
        unicodedata.normalize("NFC", sign),
        unicodedata.normalize("NFKD", sign)[:1],
    ):
        try:
            form.encode("cp1252")
        except UnicodeEncodeError:
            continue
        return form
    return "" if unicodedata.combining(sign) else "?"


def measure(text: str, font: str, size: int) -> float:
    """Return how wide a line is, in points."""
    widths = _WIDTHS[font]
    return sum(widths.get(_base(sign), _UNKNOWN_WIDTH) for sign in text) * size / 1000


def _base(sign: str) -> str:
    return sign if sign.isascii() else unicodedata.normalize("NFD", sign)[0]


def wrapped(text: str, font: str, size: int, room: float) -> list[str]:
    """Break a text into lines that fit; a word longer than a line is cut."""
    lines = [""]
    for word in text.split():
        trial = f"{lines[-1]} {word}".strip()
        if measure(trial, font, size) <= room:
            lines[-1] = trial
            continue
        pieces = list(_pieces(word, font, size, room))
        if not lines[-1]:
            lines.pop()
        lines += pieces
    return lines


def _pieces(word: str, font: str, size: int, room: float) -> Iterator[str]:
    piece = ""
    for sign in word:
        if piece and measure(piece + sign, font, size) > room:
            yield piece
            piece = ""
        piece += sign
    yield piece


@dataclass(frozen=True, slots=True)
class _Line:
    x: float
    y: float
    font: str
    size: int
    text: str


LABEL = 112


class _Pages:
    """Lays lines out from top to bottom; begins a page where one is full."""

    def __init__(self) -> None:
        """Begin with one empty page."""
        self.pages: list[list[_Line]] = [[]]
        self._y = float(HEIGHT - MARGIN)

    def place(self, block: Block, following: int) -> None:
        """Set one block; `following` is the height that must fit below it on the same page."""
        font, size, leading = SIZES[block.style]
        indent = LABEL if block.label else 0
        lines = wrapped(spelled(block.text), font, size, WIDTH - 2 * MARGIN - indent)
        labels = wrapped(spelled(block.label), "F1", size, LABEL - 12) if block.label else []
        if self._y - block.space - leading * min(len(lines), 3) - following < MARGIN + 24:
            self._turn()
        self._y -= block.space
        for number in range(max(len(lines), len(labels))):
            if self._y - leading < MARGIN + 24:
                self._turn()
            self._y -= leading
            if number < len(labels):
                self._set(MARGIN, "F1", size, labels[number])
            if number < len(lines):
                self._set(MARGIN + indent, font, size, lines[number])

    def _set(self, x: float, font: str, size: int, text: str) -> None:
        self.pages[-1].append(_Line(x, self._y, font, size, text))

    def _turn(self) -> None:
        self.pages.append([])
        self._y = float(HEIGHT - MARGIN)


def pdf(title: str, blocks: Sequence[Block], foot: str) -> bytes:
    """Write a document; the same input gives the same bytes.

    Args:
        title: The document's name, in its properties.
        blocks: From top to bottom.
        foot: One line under every page, before "page n of m".
    """
    laid = _Pages()
    for block, below in zip(blocks, [*blocks[1:], None], strict=True):
        following = SIZES[below.style][2] * 2 + below.space if block.keep and below else 0
        laid.place(block, following)
    document = pydyf.PDF()
    fonts = pydyf.Dictionary({"F1": _font("Helvetica"), "F2": _font("Helvetica-Bold")})
    count = len(laid.pages)
    for number, lines in enumerate(laid.pages, 1):
        under = _Line(MARGIN, MARGIN - 16, "F1", 8, spelled(f"{foot} · page {number} of {count}"))
        stream = pydyf.Stream(compress=True)
        for line in (*lines, under):
            stream.begin_text()
            stream.set_font_size(line.font, line.size)
            stream.set_text_matrix(1, 0, 0, 1, round(line.x, 2), round(line.y, 2))
            stream.show_text(pydyf.String(line.text.encode("cp1252")))
            stream.end_text()
        document.add_object(stream)
        document.add_page(
            pydyf.Dictionary(
                {
                    "Type": "/Page",
                    "Parent": document.pages.reference,
                    "MediaBox": pydyf.Array([0, 0, WIDTH, HEIGHT]),
                    "Resources": pydyf.Dictionary({"Font": fonts}),
                    "Contents": stream.reference,
                }
            )
        )
    document.info["Title"] = pydyf.String(title)
    document.info["Producer"] = pydyf.String("Troth")
    document.catalog["Lang"] = pydyf.String("en")
    out = io.BytesIO()
    document.write(out)
    return out.getvalue()


def _font(name: str) -> pydyf.Dictionary:
    return pydyf.Dictionary(
        {
            "Type": "/Font",
            "Subtype": "/Type1",
            "BaseFont": f"/{name}",
            "Encoding": "/WinAnsiEncoding",
        }
    )
