"""What banner tools hand to their callbacks, read into purpose and answer.

Only a person's own choice counts: a default, a replay of what was chosen before without its marks,
or a script's act is refused. What a callback does not name is not decided by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from troth.errors import InvalidInput

MOST = 40


@dataclass(frozen=True, slots=True)
class Tool:
    """How one tool's callback is read.

    Attributes:
        answers: Key of a table from name to true or false; "" where there are two lists.
        accepted: Key of the list of what was accepted; `rejected` of what was refused.
        needs: Keys whose value must be one of these.
        beside: Of these keys one must be there.
        names: The tool's name → our purpose; () as they are.
    """

    name: str
    answers: str = ""
    accepted: str = ""
    rejected: str = ""
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    beside: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)


def read_tools(values: Mapping[str, Any]) -> dict[str, Tool]:
    """Read the tools of a data file.

    Raises:
        InvalidInput: A key is not known, or a tool says in no way where its answers are.
    """
    try:
        found = {name: Tool(name, **row) for name, row in values["tool"].items()}
    except (KeyError, TypeError, AttributeError):
        raise InvalidInput("the banners do not read", "compare with data/banners.toml") from None
    if not all(each.answers or (each.accepted and each.rejected) for each in found.values()):
        raise InvalidInput("a banner does not say where its answers are", "name the key")
    return found


def choices(tool: Tool, told: Mapping[str, Any]) -> dict[str, bool]:
    """Return what a person chose, by our purposes where the tool's names are known.

    >>> choices(Tool("t", answers="a"), {"a": {"site": True, "other": False}})
    {'site': True, 'other': False}

    Raises:
        InvalidInput: It is not what this tool hands on when a person chooses.
    """
    for key, allowed in tool.needs.items():
        if told.get(key) not in allowed:
            raise _strange()
    if tool.beside and not any(key in told for key in tool.beside):
        raise _strange()
    found = _table(told.get(tool.answers)) if tool.answers else _lists(tool, told)
    if tool.names:
        return {tool.names[name]: yes for name, yes in found.items() if name in tool.names}
    return found


def _strange() -> InvalidInput:
    return InvalidInput("this is no choice a person made with this banner", "see docs/site.md")


def _table(held: object) -> dict[str, bool]:
    if not isinstance(held, dict) or len(held) > MOST:
        raise _strange()
    if not all(isinstance(k, str) and isinstance(v, bool) for k, v in held.items()):
        raise _strange()
    return dict(held)


def _lists(tool: Tool, told: Mapping[str, Any]) -> dict[str, bool]:
    out: dict[str, bool] = {}
    for key, yes in ((tool.accepted, True), (tool.rejected, False)):
        held = told.get(key)
        if not isinstance(held, list) or len(held) > MOST:
            raise _strange()
        for name in held:
            if not isinstance(name, str) or out.get(name, yes) is not yes:
                raise _strange()
            out[name] = yes
    return out
