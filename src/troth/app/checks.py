"""One thing looked at and what was found: how a measure that protects data stands right now."""

from dataclasses import dataclass
from typing import Literal

Step = Literal["acquired", "used", "stored", "shared", "deleted"]
State = Literal["good", "bad", "unknown", "off"]


@dataclass(frozen=True, slots=True)
class Check:
    """A measure, and whether it holds: good only when it was looked at and held.

    Attributes:
        id: Stable word, such as `keys.mode`.
        step: Which step of a datum's way through the house it protects.
        title: What is protected, in a few words.
        state: good; bad; unknown, it could not be looked at; off, nobody asked for it.
        said: What was found, in one line; never a value, a path of the machine or a person.
        remedy: Who must do what, where it is not good.
    """

    id: str
    step: Step
    title: str
    state: State
    said: str
    remedy: str = ""
