"""A file sent with a form, taken piece by piece: its bytes never stand in memory as a whole.

The form's small fields come before the file, so who sent it is believed before a byte is kept.
"""

import re
from collections.abc import Callable
from typing import Final, Protocol

from troth.errors import InvalidInput

FIELD_MAX: Final = 4_096
FIELDS_MAX: Final = 20
_HEAD_MAX = 4_096
_BOUNDARY = re.compile(
    r"multipart/form-data;\s*boundary=(?:\"([^\"\r\n]{1,70})\"|([^\s;\"]{1,70}))", re.IGNORECASE
)
_NAME = re.compile(rb"content-disposition:[^\r\n]*?[;\s]name=\"([^\"\r\n]{1,64})\"", re.IGNORECASE)
_FILE = re.compile(rb"content-disposition:[^\r\n]*?;\s*filename=\"([^\"\r\n]*)\"", re.IGNORECASE)


class Sink(Protocol):
    """What takes a file's bytes."""

    def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        ...


class Upload:
    """Reads a multipart form as it comes in; made for one request.

    Attributes:
        fields: The form's texts, as far as they came.
        name: The file's own name, "" while none came.
    """

    def __init__(self, kind: str, begin: Callable[[dict[str, str]], Sink]) -> None:
        """Prepare.

        Args:
            kind: The request's content type.
            begin: Called with the fields when the file begins; returns where it goes, or raises.

        Raises:
            InvalidInput: The request is no form with a file.
        """
        found = _BOUNDARY.match(kind)
        if found is None:
            raise InvalidInput("this is no form with a file", "choose a list and send it again")
        self.fields: dict[str, str] = {}
        self.name = ""
        self._mark = b"\r\n--" + (found[1] or found[2]).encode("latin-1", "replace")
        self._begin = begin
        self._rest = bytearray(b"\r\n")
        self._sink: Sink | None = None
        self._field = ""
        self._text = bytearray()
        self._step: Callable[[], bool] = self._before
        self._over = False

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body; where it is cut makes no difference.

        Raises:
            InvalidInput: It is malformed, or a small field is not small.
        """
        self._rest += piece
        while self._step():
            pass

    def end(self) -> None:
        """Say that nothing more comes.

        Raises:
            InvalidInput: The form broke off, or held no file.
        """
        if not self._over:
            raise InvalidInput("the upload broke off", "send the list again")
        if not self.name:
            raise InvalidInput("no list was chosen", "choose a file first")

    def _before(self) -> bool:
        """Find the first part."""
        return self._part_ends(lambda _piece: None)

    def _head(self) -> bool:
        """Read the lines above a part."""
        at = self._rest.find(b"\r\n\r\n")
        if at < 0 or at > _HEAD_MAX:
            if len(self._rest) > _HEAD_MAX:
                raise InvalidInput("the form is malformed", "send the list again")
            return False
        head = bytes(self._rest[:at])
        del self._rest[: at + 2]  # the empty line's end stays: an empty part's mark begins with it
        name, file = _NAME.search(head), _FILE.search(head)
        self._field = name[1].decode("utf-8", "replace") if name else ""
        self._text.clear()
        if file is not None:
            self._open(file[1].decode("utf-8", "replace"))
        self._step = self._first
        return True

    def _open(self, name: str) -> None:
        if self.name or self._sink is not None:
            raise InvalidInput("the form holds more than one file", "send one list at a time")
        self.name = name
        self._sink = self._begin(self.fields)

    def _first(self) -> bool:
        """See whether a part is empty; else drop the line end above it."""
        if len(self._rest) < len(self._mark):
            return False
        if not self._rest.startswith(self._mark):
            del self._rest[:2]
        self._step = self._body
        return True

    def _body(self) -> bool:
        return self._part_ends(self._take)

    def _take(self, piece: bytes) -> None:
        if self._sink is not None:
            self._sink.write(piece)
            return
        self._text += piece
        if len(self._text) > FIELD_MAX:
            raise InvalidInput("a field of the form is too long", "send the list again")

    def _part_ends(self, take: Callable[[bytes], None]) -> bool:
        """Hand on what lies before the next mark; where it stands, go to the next part."""
        at = self._rest.find(self._mark)
        if at < 0:
            sure = len(self._rest) - len(self._mark) + 1
            if sure > 0:
                take(bytes(self._rest[:sure]))
                del self._rest[:sure]
            return False
        after = at + len(self._mark)
        if len(self._rest) < after + 2:
            return False
        take(bytes(self._rest[:at]))
        ending = bytes(self._rest[after : after + 2])
        del self._rest[: after + 2]
        self._close()
        if ending == b"--":
            self._over = True
            self._step = self._done
        elif ending == b"\r\n":
            self._step = self._head
        else:
            raise InvalidInput("the form is malformed", "send the list again")
        return True

    def _close(self) -> None:
        """End a part: a text becomes a field."""
        if self._sink is None and self._field:
            if len(self.fields) >= FIELDS_MAX:
                raise InvalidInput("the form has too many fields", "send the list again")
            self.fields.setdefault(self._field, self._text.decode("utf-8", "replace"))
        self._sink, self._field = None, ""

    def _done(self) -> bool:
        self._rest.clear()
        return False
