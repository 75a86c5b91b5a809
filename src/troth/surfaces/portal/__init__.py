"""The customer's side: see it, steer it, stop it, take it, and know that it is true.

Every page lies under /my and is drawn in the brand's colours by `frame`. Whoever comes in is one
person, or acts for one; nothing here opens data but through `app.owndata`.
"""

from types import ModuleType

from troth.surfaces.portal import (
    activity,
    ask_us,
    collect,
    correct,
    delete,
    door,
    download,
    entry,
    frame,
    inferred,
    level,
    mail,
    notices,
    overview,
    papers,
    preferences,
    problems,
    receipts,
    records,
    requests,
    uses,
    verifying,
)

PORTAL: tuple[ModuleType, ...] = (
    frame,
    problems,
    door,
    entry,
    mail,
    overview,
    level,
    preferences,
    correct,
    download,
    activity,
    inferred,
    papers,
    receipts,
    verifying,
    uses,
    notices,
    records,
    requests,
    ask_us,
    delete,
    collect,
)
"""Every part with pages of its own; each has `add_routes(app, hub)`, and `PUBLIC` where some of
them need no session."""
