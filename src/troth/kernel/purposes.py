"""The tree of purposes: which of them a datum may serve, and the dot boundary of keys.

After Byun, Bertino and Li (2005): a datum carries intended and prohibited purposes. The intended
ones cover what lies below them; the prohibited ones cover what lies below and above, since who
may use it for a wide purpose could use it for the narrow one. Prohibition always wins.
"""

from collections.abc import Collection, Iterable, Mapping

from troth.kernel.facts import House
from troth.terms import Purpose


def within(key: str, above: str) -> bool:
    """Tell whether a dotted key is another or lies below it; an empty key matches nothing.

    >>> within("user.name", "user"), within("user_data", "user"), within("user", "")
    (True, False, False)
    """
    return bool(key and above) and (key == above or key.startswith(f"{above}."))


def lineage(name: str, tree: Mapping[str, str]) -> tuple[str, ...]:
    """Return a purpose and everything above it, nearest first.

    Args:
        name: A purpose.
        tree: Purpose → its parent, "" for a root.

    Returns:
        () where the purpose, or one above it, is unknown or its own ancestor: such a purpose
        complies with nothing.
    """
    line: list[str] = []
    while name:
        if name in line or name not in tree:
            return ()
        line.append(name)
        name = tree[name]
    return tuple(line)


def compliant(
    stated: str, intended: Collection[str], prohibited: Collection[str], tree: Mapping[str, str]
) -> bool:
    """Say whether data may be used for the purpose stated.

    Args:
        stated: The purpose of this very access.
        intended: Purposes the data is meant for; those below them are meant too.
        prohibited: Purposes it must not serve; those below and above them are prohibited too.
        tree: Purpose → its parent, "" for a root.

    Returns:
        False for everything unknown: a stated or a prohibited purpose that is not in the tree.
    """
    line = lineage(stated, tree)
    if not line:
        return False
    for each in prohibited:
        banned = lineage(each, tree)
        if not banned or each in line or stated in banned:
            return False
    return any(each in line for each in intended)


def tree_of(purposes: Iterable[Purpose]) -> dict[str, str]:
    """Return purpose → parent of published purposes."""
    return {each.name: each.parent for each in purposes}


def banned_categories(purpose: Purpose, house: House) -> frozenset[str]:
    """Name the categories a purpose lists but must not open: `[labels]` of the house says so.

    A prohibition on `contact` holds for `contact.email` too. Worked out once per house.
    """
    if not house.prohibited:
        return frozenset()
    key = ("banned", purpose.name)
    known: frozenset[str] | None = house.memo.get(key)
    if known is None:
        tree = tree_of(house.purposes.values())
        known = house.memo[key] = frozenset(
            category
            for category in purpose.categories
            for label, prohibited in house.prohibited.items()
            if within(category, label)
            and not compliant(purpose.name, {purpose.name}, prohibited, tree)
        )
    return known
