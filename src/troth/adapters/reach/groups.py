"""People of a generation by shape and by where their moments lie: what a preview decides once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from troth.adapters.reach import generation as disk
from troth.adapters.reach.reader import Reach
from troth.errors import NotFound
from troth.kernel import ledger
from troth.kernel.profiles import Plan, plan
from troth.terms import PersonId

RUN = 256
DIGEST = 32
_ODD = 0x9E3779B97F4A7C15
_FETCH = "SELECT n.place, p.shape, p.moments, p.member FROM named n JOIN person p USING (psid)"


@dataclass(frozen=True, slots=True)
class Alike:
    """People of one shape whose moments no cut tells apart; see `kernel.profiles.Group`."""

    shape: bytes
    moments: Sequence[int]
    people: int


class Groups:
    """The groups of the current generation; see `kernel.profiles.Grouping`."""

    def __init__(self, reach: Reach) -> None:
        """Read the current generation.

        Raises:
            NotFound: There is none yet, or it was built without shapes.
        """
        current = reach.current()
        if current is None:
            raise NotFound("there is no reach generation yet", disk.REBUILD)
        self._reach = reach
        self.ledger_size = current.ledger_size
        with self._reach.reading() as held:
            named = {row[0] for row in held.connection.execute("DESCRIBE person").fetchall()}
        if not {"shape", "moments", "member"} <= named:
            raise NotFound("this reach generation holds no shapes", disk.REBUILD)

    def groups(
        self, people: Sequence[PersonId], cuts: Sequence[Sequence[int]]
    ) -> tuple[list[Alike], list[PersonId], str]:
        """Group people; about a second for a million of them.

        Returns the groups, whom the generation does not know, and the Merkle root over runs of
        256 sorted keyed digests of those it does.
        """
        _, arrow = disk.parts()
        psids = arrow.array(people, arrow.binary())
        places = arrow.array(range(len(people)), arrow.int32())
        with self._reach.reading() as held:
            cursor = held.connection.cursor()
            try:
                cursor.register("named", arrow.table({"psid": psids, "place": places}))
                found = cursor.sql(_FETCH).to_arrow_table().combine_chunks()
                shapes = dict(cursor.execute("SELECT shape, data FROM shape").fetchall())
            finally:
                cursor.close()
        self._reach.close()  # left open it would keep an old generation from being deleted
        if not found.num_rows:
            return [], list(people), _root(b"")
        return _alike(found, shapes, cuts), _unknown(people, found), _root(_flat(found["member"]))


def _whole(column: Any) -> Any:  # noqa: ANN401
    """Return a column of a combined table as the one array it is."""
    return column.chunk(0) if column.num_chunks else column.combine_chunks()


def _flat(column: Any) -> bytes:  # noqa: ANN401
    """Return the bytes of all values of a binary column, one after the other."""
    array = _whole(column)
    _, offsets, data = array.buffers()
    ends = memoryview(offsets).cast("i")
    first, last = ends[array.offset], ends[array.offset + len(array)]
    return bytes(memoryview(data)[first:last])


def _alike(found: Any, shapes: dict[int, bytes], cuts: Sequence[Sequence[int]]) -> list[Alike]:  # noqa: ANN401
    """Group row numbers by shape, each shape's rows by what tells their moments apart."""
    import numpy as np  # noqa: PLC0415 - in the extra [reach]

    shape = _whole(found["shape"]).to_numpy()
    lists = _whole(found["moments"])
    offsets, values = lists.offsets.to_numpy(), lists.values.to_numpy()
    order = np.argsort(shape, kind="stable")
    begins = np.flatnonzero(np.diff(shape[order], prepend=-1))
    edges = [np.asarray(kind, "i8") for kind in cuts]
    out = list[Alike]()
    for members in np.split(order, begins[1:]):
        first = members[0]
        width = int(offsets[first + 1] - offsets[first])
        rows = values[offsets[members][:, None] + np.arange(width)]
        data = shapes[int(shape[first])]
        for moments, people in _classes(np, rows, edges, plan(data)):
            out.append(Alike(data, moments, people))
    return out


def _classes(np: Any, rows: Any, edges: Sequence[Any], how: Plan) -> list[tuple[list[int], int]]:  # noqa: ANN401
    """Tell rows of moments apart by their places between the cuts and by their own order."""
    mark = np.zeros(len(rows), "u8")
    for column, kind in enumerate(how.kinds):
        if len(edges[kind]):
            moments = rows[:, column]
            left = np.searchsorted(edges[kind], moments, "left")
            mark = _mixed(np, mark, left + np.searchsorted(edges[kind], moments, "right"))
    for one, other in how.pairs:
        mark = _mixed(np, mark, np.sign(rows[:, one] - rows[:, other]) + 1)
    _, places, counts = np.unique(mark, return_index=True, return_counts=True)
    return [
        (rows[place].tolist(), int(people)) for place, people in zip(places, counts, strict=True)
    ]


def _mixed(np: Any, mark: Any, column: Any) -> Any:  # noqa: ANN401
    """Mix a small number into a 64-bit mark: two classes share one once in 10^19 pairs."""
    mark = (mark ^ (column.astype("u8") + np.uint64(1))) * np.uint64(_ODD)
    return mark ^ (mark >> np.uint64(29))


def _unknown(people: Sequence[PersonId], found: Any) -> list[PersonId]:  # noqa: ANN401
    if found.num_rows == len(people):
        return []
    known = set(found["place"].to_pylist())
    return [person for place, person in enumerate(people) if place not in known]


def _root(digests: bytes) -> str:
    """Return the tree's root over sorted digests, each leaf a run of them."""
    import numpy as np  # noqa: PLC0415 - in the extra [reach]

    words = np.frombuffer(digests, ">u8").reshape(-1, DIGEST // 8)
    order = np.argsort(words[:, 0], kind="stable")
    if (np.diff(words[order, 0]) == 0).any():  # two begin alike, once in millions of sets
        order = np.lexsort(words.T[::-1])
    ranked = words[order].tobytes()
    step = RUN * DIGEST
    runs = [ranked[start : start + step] for start in range(0, len(ranked), step)]
    return ledger.subtree_root(ledger.leaf_hashes(runs)).hex()
