"""The only package that knows every part: settings → adapters → Workspace, and what it can do."""

from typing import TYPE_CHECKING

from troth.app.audiences import decided, narrow, read_audience, rebuild_reach
from troth.app.imports import Extras, drafts, import_file, open_file
from troth.app.sending import (
    deliver,
    local_inbox,
    real_micros,
    real_seconds,
    renderer,
    signers,
)
from troth.app.workspace import (
    FOLLOWERS,
    PROJECTIONS,
    Workspace,
    erasure,
    init,
    journal,
    open,
    retention,
)

if TYPE_CHECKING:
    from troth.app.imports import OpenFile

__all__ = [
    "FOLLOWERS",
    "PROJECTIONS",
    "Extras",
    "OpenFile",
    "Workspace",
    "decided",
    "deliver",
    "drafts",
    "erasure",
    "import_file",
    "init",
    "journal",
    "local_inbox",
    "narrow",
    "open",
    "open_file",
    "read_audience",
    "real_micros",
    "real_seconds",
    "rebuild_reach",
    "renderer",
    "retention",
    "signers",
]
