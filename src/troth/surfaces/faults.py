"""What becomes of an error at the edge: one table of exit and HTTP statuses, one line of text.

| code        | exit | HTTP | who can put it right              |
|-------------|------|------|-----------------------------------|
| (none)      | 0    | 200  | nothing is wrong                  |
| refused     | 1    | 403  | an answer, not an error           |
| evidence    | 1    | 500  | the operator: it does not verify  |
| invalid     | 2    | 400  | the caller                        |
| not_found   | 2    | 404  | the caller                        |
| conflict    | 2    | 409  | the caller: look again            |
| unavailable | 3    | 503  | nobody: repeat later              |
| internal    | 3    | 500  | us: report the reference          |
| stopped     | 130  | -    | the person at the keyboard        |
"""

import hashlib
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from troth.errors import EvidenceBroken, Fault, Unavailable

OK, REFUSED, BAD_INPUT, UNAVAILABLE, STOPPED = 0, 1, 2, 3, 130
LINE_MAX = 400
REFERENCE_CHARS = 8
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class End:
    """How a code ends a command and a request."""

    exit: int
    http: int


ENDS: Mapping[str, End] = MappingProxyType(
    {
        "refused": End(REFUSED, 403),
        "evidence": End(REFUSED, 500),
        "invalid": End(BAD_INPUT, 400),
        "not_found": End(BAD_INPUT, 404),
        "conflict": End(BAD_INPUT, 409),
        "unavailable": End(UNAVAILABLE, 503),
        "internal": End(UNAVAILABLE, 500),
    }
)


class Internal(Fault):
    """Nobody foresaw this; the reference names its place in the program, never a value.

    Attributes:
        reference: The same for the same fault in the same version of the program.
        kind: Class of the error.
        places: Where it went through, innermost last: `kernel/gate.py:120 decide`.
    """

    code = "internal"

    def __init__(self, reference: str, kind: str, places: tuple[str, ...]) -> None:
        """Keep what may be logged; the error's own text is dropped, it may hold a value."""
        super().__init__(
            f"internal error, reference {reference}", "report it together with data/troth.log"
        )
        self.reference = reference
        self.kind = kind
        self.places = places


def fault_of(error: BaseException) -> Fault:
    """Return the fault an error amounts to; what nobody foresaw becomes `Internal`."""
    if isinstance(error, Fault):
        return error
    if type(error).__module__ == "sqlite3":
        return _store_fault(str(error))
    if isinstance(error, OSError):
        return Unavailable(
            "a file or connection does not answer", "check disk, owner, mode and network"
        )
    places = tuple(_place(frame) for frame in traceback.extract_tb(error.__traceback__))
    kind = type(error).__name__
    return Internal(_reference(kind, places), kind, places)


def _store_fault(text: str) -> Fault:
    if any(word in text for word in ("readonly", "unable to open", "locked", "full")):
        return Unavailable("the record cannot be written", "check disk, owner and mode of data/")
    return EvidenceBroken("the record is damaged", "restore the last backup")


def _place(frame: traceback.FrameSummary) -> str:
    parts = Path(frame.filename).parts
    inside = parts[parts.index("troth") + 1 :] if "troth" in parts else parts[-1:]
    return f"{'/'.join(inside)}:{frame.lineno} {frame.name}"


def _reference(kind: str, places: tuple[str, ...]) -> str:
    number = int.from_bytes(hashlib.sha256("\n".join((kind, *places)).encode()).digest()[:5])
    return "".join(_CROCKFORD[number >> 5 * i & 31] for i in reversed(range(REFERENCE_CHARS)))


def exit_of(code: str) -> int:
    """Return a command's exit status for a code; an unknown code counts as internal."""
    return ENDS.get(code, ENDS["internal"]).exit


def one_line(text: str) -> str:
    r"""Put a text on one line: control characters and line ends become spaces, its length ends.

    >>> one_line("a fault\nthat runs\x1b[31m on")
    'a fault that runs [31m on'
    """
    plain = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(plain.split())[:LINE_MAX]


def spoken(fault: Fault) -> str:
    """Return the one line a person reads: `troth: message; remedy`."""
    return f"troth: {one_line(str(fault))}"


def sentence(fault: Fault) -> str:
    """Return a fault as a page says it: what is the matter, then what helps.

    >>> sentence(Unavailable("the record is busy", "repeat in a moment"))
    'The record is busy. What helps: repeat in a moment.'
    """
    said = f"{fault.message[:1].upper()}{fault.message[1:]}."
    return f"{said} What helps: {fault.remedy}." if fault.remedy else said


def problem(fault: Fault) -> dict[str, str]:
    """Return the one shape in which a program reads a fault."""
    out = {
        "code": fault.code,
        "message": one_line(fault.message),
        "remedy": one_line(fault.remedy),
    }
    return {**out, "reference": fault.reference} if isinstance(fault, Internal) else out
