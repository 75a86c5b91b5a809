"""Every error Troth raises on purpose.

    Fault              code          who can put it right
    ├── InvalidInput   invalid       the caller: correct the input
    ├── NotFound       not_found     the caller: no such thing, or none they may know of
    ├── Conflict       conflict      the caller: read again, decide again, retry
    ├── Unavailable    unavailable   nobody: wait `retry_after_s`, then repeat the call
    └── EvidenceBroken evidence      the operator, now: stop writing, evidence does not verify

A refusal by the gate is not here: it is an answer (`Refusal`), not a fault.
Surfaces turn `code` into HTTP status, exit status and page text in one table.
A message may be logged and shown: it names rules, requests and numbers, never a person's id.
"""


class Fault(Exception):  # noqa: N818 - the field's word for an error with an owner
    """Something went wrong that somebody named can put right; never raised itself.

    Attributes:
        code: The permanent word surfaces map to a status.
        message: One line for people, free of personal data.
        remedy: What to do about it, or "" where the message says it.
    """

    code = "internal"

    def __init__(self, message: str, remedy: str = "") -> None:
        """Keep the sentence and its remedy apart, so that surfaces can set them apart."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class InvalidInput(Fault):
    """The caller's input is malformed; nothing was done."""

    code = "invalid"


class NotFound(Fault):
    """There is no such thing, or none the caller may know of; nothing was done."""

    code = "not_found"


class Conflict(Fault):
    """Another writer was first; nothing of this call was kept: look again, then retry."""

    code = "conflict"


class Unavailable(Fault):
    """A part did not answer; repeating the same call later is right and harmless.

    Attributes:
        retry_after_s: Seconds after which a repeat is worthwhile.
    """

    code = "unavailable"

    def __init__(self, message: str, remedy: str = "", retry_after_s: int = 5) -> None:
        """Carry the time after which a repeat is worthwhile."""
        super().__init__(message, remedy)
        self.retry_after_s = retry_after_s


class EvidenceBroken(Fault):
    """Evidence does not verify: stop writing and call the operator."""

    code = "evidence"
