"""Troth: personalised marketing that each customer agreed to, with proof."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from troth.app import Workspace
    from troth.terms import Instant

__version__ = "0.1.0"


def open(folder: "Path | str", at: "Instant | None" = None) -> "Workspace":
    """Open a workspace; see `troth.app.open`."""
    from troth.app import open as opened

    return opened(folder, at)
