"""The data map: what systems hold, read and written as Fides does, compared with what is there.

Pure craft: documents and samples come as values; nothing here opens a file or a connection.
"""

from troth.engines.datagraph.classify import (
    SURE,
    Evidence,
    Guess,
    Words,
    classify,
    read_words,
)
from troth.engines.datagraph.diff import KINDS, Drift, SeenColumn, SeenTable, drift, family
from troth.engines.datagraph.model import (
    STEPS,
    Category,
    Collection,
    DataMap,
    Field,
    Flow,
    Place,
    Reference,
    Step,
    Store,
    System,
    Use,
)
from troth.engines.datagraph.reading import FIELDS_MAX, merge, read
from troth.engines.datagraph.writing import counts, write

__all__ = [
    "FIELDS_MAX",
    "KINDS",
    "STEPS",
    "SURE",
    "Category",
    "Collection",
    "DataMap",
    "Drift",
    "Evidence",
    "Field",
    "Flow",
    "Guess",
    "Place",
    "Reference",
    "SeenColumn",
    "SeenTable",
    "Step",
    "Store",
    "System",
    "Use",
    "Words",
    "classify",
    "counts",
    "drift",
    "family",
    "merge",
    "read",
    "read_words",
    "write",
]
