"""The data map on the command line: show, scan, where, export, import."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from troth.adapters_free import nothing
