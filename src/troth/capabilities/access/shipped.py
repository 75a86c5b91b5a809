"""What the package ships about looks of staff, dated; `[access]` of troth.toml goes before it."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def shipped() -> dict[str, Any]:
    """Return `data/access.toml`."""
    return tomllib.loads((files("troth") / "data/access.toml").read_text("utf-8"))
