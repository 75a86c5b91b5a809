"""A whole list: every row judged, every address counted once, every reason with an example.

Memory: about 120 bytes a row, whatever the file's width; rows themselves are not kept. A second
pass is made only where an address stands twice and one of its rows says stop.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Container, Iterator
from typing import Protocol

from troth.capabilities.listcheck.model import (
    DUPLICATE,
    GROUPS,
    Condition,
    Example,
    Group,
    Outcome,
    Tally,
    Verdict,
)
from troth.capabilities.listcheck.rules import SHARED, Judge
from troth.engines.intake import ListRow


class Listed(Protocol):
    """A list that can be read from its start as often as wanted."""

    def rows(self) -> Iterator[ListRow]:
        """Yield what each row says."""
        ...

    def chosen(self, places: Container[int]) -> Iterator[tuple[int, ListRow]]:
        """Yield what the rows at these places say, each with its place."""
        ...


_STEP = 1_000
_EXAMPLES = 40
_RANK = {group: place for place, group in enumerate(GROUPS)}
_TWICE = Verdict("not", DUPLICATE, "list.address")


def check(
    judge: Judge, listed: Listed, progress: Callable[[int], None] = lambda _done: None
) -> Outcome:
    """Judge a list. Deterministic; keeps nothing but what it returns.

    Args:
        judge: Asks the gate.
        listed: The list; read once, and once more where an address stands twice.
        progress: Told the number of rows done.

    Raises:
        InvalidInput: The list cannot be read to its end; nothing came of it.
    """
    run = _Run(judge)
    for row in listed.rows():
        run.take(row)
        if not run.rows % _STEP:
            progress(run.rows)
    if mixed := run.mixed():
        for place, row in listed.chosen(mixed):
            run.again(place, row)
    run.settle()
    progress(run.rows)
    return run.outcome()


class _Run:
    """One check while it runs."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.rows = 0
        self._verdicts: dict[Verdict, int] = {}
        self._of_row = array("I")
        self._keys = array("q")
        self._first: dict[int, int] = {}
        self._places: dict[int, list[int]] = {}
        self._stops: dict[int, frozenset[str]] = {}
        self._who: dict[int, int] = {}
        self._shared: set[int] = set()
        self._findings: Counter[str] = Counter()
        self._seen: dict[int, list[tuple[int, Example]]] = {}
        self._repeats: list[tuple[int, Example]] = []

    def take(self, row: ListRow) -> None:
        """Judge one row by itself, and remember its address."""
        place, self.rows = self.rows, self.rows + 1
        verdict = self._judge.judge(row)
        self._give(place, verdict, row)
        self._findings.update(row.findings)
        if row.code:
            self._findings["unreadable"] += 1
        elif not self._judge.places(row):
            self._findings["country_missing"] += 1
        key = hash(row.email) if row.email else 0
        self._keys.append(key)
        if not key:
            return
        if stops := row.signs & SHARED:
            self._stops[key] = self._stops.get(key, frozenset()) | stops
        if key not in self._first:
            self._first[key] = place
        else:
            self._places.setdefault(key, [self._first[key]]).append(place)
            if len(self._repeats) < _EXAMPLES:
                self._repeats.append((place, _example(row)))
        self._notice(key, row)

    def _notice(self, key: int, row: ListRow) -> None:
        """Count an address that stands beside two different people."""
        if row.who and self._who.setdefault(key, hash(row.who)) != hash(row.who):
            self._shared.add(key)

    def _give(self, place: int, verdict: Verdict, row: ListRow) -> None:
        number = self._verdicts.setdefault(verdict, len(self._verdicts))
        if place < len(self._of_row):
            self._of_row[place] = number
        else:
            self._of_row.append(number)
        shown = self._seen.setdefault(number, [])
        if len(shown) < _EXAMPLES:
            shown.append((place, _example(row)))

    def mixed(self) -> frozenset[int]:
        """Return the rows whose address stands twice and of which one says stop."""
        keys = self._stops.keys() & self._places.keys()
        return frozenset(place for key in keys for place in self._places[key])

    def again(self, place: int, row: ListRow) -> None:
        """Judge a row once more, with what all rows of its address say."""
        self._give(place, self._judge.judge(row, self._stops[self._keys[place]]), row)

    def settle(self) -> None:
        """Count every address once: by its best row, the first of equals."""
        verdicts = tuple(self._verdicts)
        twice = self._verdicts.setdefault(_TWICE, len(self._verdicts))
        for places in self._places.values():
            best = min(places, key=lambda p: (_RANK[verdicts[self._of_row[p]].group], p))
            for place in places:
                if place != best:
                    self._of_row[place] = twice
        self._findings["duplicates"] += sum(len(p) - 1 for p in self._places.values())
        self._findings["shared"] += len(self._shared)
        self._seen[twice] = self._repeats

    def outcome(self) -> Outcome:
        """Add everything up."""
        verdicts = tuple(self._verdicts)
        counts = Counter(self._of_row)
        groups: dict[Group, int] = dict.fromkeys(GROUPS, 0)
        tallies: dict[tuple[Group, str], Tally] = {}
        waits: Counter[Condition] = Counter()
        grounds: Counter[str] = Counter()
        for number, count in sorted(counts.items()):
            verdict = verdicts[number]
            groups[verdict.group] += count
            tally = tallies.setdefault(verdict.reason, Tally(verdict.group, verdict.code))
            tally.count += count
            tally.rules[verdict.rule] += count
            tally.missing.update(dict.fromkeys(verdict.missing, count))
            tally.helps.update(dict.fromkeys(verdict.helps, count))
            tally.example = tally.example or self._example(number)
            waits.update(dict.fromkeys(verdict.waits, count))
            if verdict.group == "may_mail":
                grounds[verdict.code] += count
        ordered = sorted(tallies.values(), key=lambda t: (_RANK[t.group], -t.count, t.code))
        return Outcome(
            self.rows,
            groups,
            tuple(ordered),
            {name: n for name, n in sorted(self._findings.items()) if n},
            dict(waits),
            dict(grounds),
            self._judge.ruleset,
            verdicts,
            self._of_row,
        )

    def _example(self, number: int) -> Example | None:
        """Return a row that still has this verdict."""
        for place, example in self._seen.get(number, ()):
            if self._of_row[place] == number:
                return example
        return None


def _example(row: ListRow) -> Example:
    return Example(row.line, masked(row.email))


def masked(address: str) -> str:
    """Hide all of an address but two letters; "" stays.

    >>> masked("thandi@post.example")
    't•••@p•••'
    """
    name, _, domain = address.partition("@")
    return f"{name[:1]}•••@{domain[:1]}•••" if address else ""
