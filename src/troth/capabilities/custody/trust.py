"""Which outside witnesses the house asks, and how many of them a receipt must carry.

A quorum counts operators, not witnesses: two witnesses of one operator are one voice, and one
that the house runs itself counts for nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.errors import InvalidInput
from troth.kernel import proof

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_OPERATOR: Final = 120
OWN: Final = "self"
"""The operator of a witness the house runs itself."""
QUORUM: Final = "outside"
"""Name of the group the quorum of our policies is."""
NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Witness:
    """One witness the house asks.

    Attributes:
        name: How `troth.toml` calls it.
        operator: Who runs it, in words; `OWN` for one of the house's own.
        key: Its cosignature key, which names it in signatures.
        url: Where it is asked.
    """

    name: str
    operator: str
    key: proof.Key
    url: str

    @property
    def outside(self) -> bool:
        """Tell whether somebody else runs it."""
        return self.operator != OWN


@dataclass(frozen=True, slots=True)
class Trust:
    """The witnesses asked, and how many operators must have cosigned; 0 asks for none."""

    witnesses: tuple[Witness, ...] = ()
    needed: int = 0

    @property
    def operators(self) -> tuple[str, ...]:
        """Every outside operator once, in order of the names."""
        return tuple(dict.fromkeys(each.operator for each in self.witnesses if each.outside))

    def lines(self, *, asked: bool) -> list[str]:
        """Write the witnesses, groups and quorum of a policy (c2sp.org/tlog-policy).

        Args:
            asked: Whether the quorum is asked for; without it, witnesses are named and checked
                but need not have cosigned.
        """
        out = [f"witness {w.name} {w.key.vkey} {w.url}" for w in self.witnesses]
        if not asked or not self.needed:
            return [*out, "quorum none"]
        groups = []
        for number, operator in enumerate(self.operators, 1):
            theirs = [w.name for w in self.witnesses if w.operator == operator]
            groups.append(f"operator/{number}")
            out.append(f"group operator/{number} any {' '.join(theirs)}")
        out.append(f"group {QUORUM} {self.needed} {' '.join(groups)}")
        return [*out, f"quorum {QUORUM}"]


def read_trust(tables: Mapping[str, Mapping[str, Any]], rule: object = NONE) -> Trust:
    """Read `[witnesses.NAME]` tables and the quorum of `[ledger]`.

    Args:
        tables: Name → `vkey`, `url`, and `operator` (the name itself where it is missing).
        rule: `none`, `any`, `all`, or how many operators.

    Raises:
        InvalidInput: Names table and key.
    """
    found = tuple(_witness(name, said) for name, said in sorted(tables.items()))
    keys = [each.key.public for each in found]
    if len(set(keys)) != len(keys) or len({each.key.name for each in found}) != len(keys):
        raise _wrong("witnesses", "names one key, or one key name, twice")
    trust = Trust(found)
    return Trust(found, _needed(rule, len(trust.operators)))


def _witness(name: str, said: Mapping[str, Any]) -> Witness:
    place = f"witnesses.{name}"
    if not _NAME.fullmatch(name) or name in (NONE, QUORUM):
        raise _wrong("witnesses", "a name has small letters, digits, dots and hyphens")
    operator = said.get("operator", name)
    if not isinstance(operator, str) or not operator.strip() or len(operator) > _OPERATOR:
        raise _wrong(place, "operator says who runs it, in a few words")
    vkey, url = said.get("vkey"), said.get("url")
    if not isinstance(vkey, str) or not isinstance(url, str) or re.search(r"\s", url) or not url:
        raise _wrong(place, "needs vkey and url, as texts")
    try:
        key = proof.parse_vkey(vkey)
    except InvalidInput as fault:
        raise _wrong(place, f"vkey: {fault.message}") from None
    if key.kind != proof.ED25519_COSIGNATURE:
        raise _wrong(place, "vkey is no key of a witness")
    return Witness(name, operator.strip(), key, url.rstrip("/"))


def _needed(rule: object, operators: int) -> int:
    if rule == NONE:
        return 0
    k = {"any": 1, "all": operators}.get(rule) if isinstance(rule, str) else rule
    if type(k) is not int or not 1 <= k <= operators:
        raise _wrong(
            "ledger", "quorum is none, any, all, or a number of the outside operators named"
        )
    return k


def _wrong(section: str, said: str) -> InvalidInput:
    return InvalidInput(f"troth.toml: [{section}] {said}", "compare with docs/witness.md")
