"""The brand's colours as a style sheet: what the pages of the customer's side wear."""

import tomllib
from collections.abc import Mapping

from troth.app.starters import brand_colours
from troth.engines.mail.contrast import LEAST, contrast
from troth.errors import InvalidInput
from troth.surfaces.web.parts import Hub

_LIGHT = {
    "--ground": "ground", "--sheet": "sheet", "--foot": "foot", "--band": "band",
    "--on-band": "on_band", "--ink": "ink", "--soft": "soft", "--accent": "accent",
}  # fmt: skip
_DARK = {
    "--ground": "dark_ground", "--sheet": "dark_sheet", "--foot": "dark_foot",
    "--band": "dark_band", "--on-band": "dark_ink", "--ink": "dark_ink", "--soft": "dark_soft",
    "--accent": "dark_accent",
}  # fmt: skip

_READ_ON = (
    ("ink", "ground"), ("soft", "ground"), ("accent", "ground"), ("dark_ink", "dark_ground"),
    ("dark_soft", "dark_ground"), ("dark_accent", "dark_ground"),
)  # fmt: skip
"""Text and what it stands on, besides what every message of the brand needs."""
_WHITE, _BLACK = "#ffffff", "#111111"


def brand_css(hub: Hub) -> str:
    """Return the colours the house has published for its brand, light and dark.

    A house that names none, or some nobody could read, wears the quiet ones of shipped messages.
    """
    with hub.ws.store.look() as view:
        key = f"brand.css@{view.house_version}"
        kept: str | None = hub.kept.get(key)
        if kept is None:
            found = view.published("house")
            house = tomllib.loads(found.data.decode()) if found else {}
            brand = house.get("brands", {}).get(hub.ws.settings.brand, {})
            kept = hub.kept[key] = _sheet(_colours(brand.get("colours", {})))
    return kept


def _colours(named: Mapping[str, str]) -> Mapping[str, str]:
    try:
        found = brand_colours(named)
    except InvalidInput:
        found = brand_colours({})
    return found if all(_reads(found, *pair) for pair in _READ_ON) else brand_colours({})


def _reads(colours: Mapping[str, str], text: str, ground: str) -> bool:
    return contrast(colours[text], colours[ground]) >= LEAST


def _sheet(colours: Mapping[str, str]) -> str:
    light, dark = (_rules(colours, table) for table in (_LIGHT, _DARK))
    return f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"


def _rules(colours: Mapping[str, str], table: Mapping[str, str]) -> str:
    accent = colours[table["--accent"]]
    on_accent = max((_WHITE, _BLACK), key=lambda ink: contrast(ink, accent))
    named = {name: colours[key] for name, key in table.items()} | {"--on-accent": on_accent}
    return "".join(f"{name}:{colour};" for name, colour in named.items())
