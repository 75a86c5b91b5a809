"""Read-only scans of other people's databases and folders: what is there, and what it seems to be.

A scan reads the schema and a few rows of each table, looks at the values in memory, and returns
names, types, guesses and counts. No value is kept, written, logged or returned.
"""

from troth.adapters.scanning.reader import Limits, Reader, Scan, scan
from troth.adapters.scanning.sources import KINDS, Source, opened

__all__ = ["KINDS", "Limits", "Reader", "Scan", "Source", "opened", "scan"]
