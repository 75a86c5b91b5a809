"""An audience as text: TOML that reads back as the same audience, and reading such text."""

import json
import tomllib
from typing import Any

from troth.errors import InvalidInput
from troth.kernel.audience.reading import parse_audience, spelt
from troth.kernel.audience.words import Audience

TEXT_MOST = 16_384


def written(audience: Audience) -> str:
    """Return the TOML text of an audience: one condition a line."""
    head = [f"name = {_text(audience.name)}", f"purpose = {_text(audience.purpose)}"]
    if audience.note:
        head.append(f"note = {_text(audience.note)}")
    ((word, held),) = spelt(audience.where).items()
    if not isinstance(held, list) or not held or not isinstance(held[0], dict):
        return "\n".join([*head, "", "[where]", f"{word} = {_value(held)}", ""])
    lines = [f"  {_value(part)}," for part in held]
    return "\n".join([*head, "", "[where]", f"{word} = [", *lines, "]", ""])


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(held: Any) -> str:  # noqa: ANN401 - what `spelt` returns
    if isinstance(held, str):
        return _text(held)
    if isinstance(held, list):
        return f"[{', '.join(map(_value, held))}]"
    if isinstance(held, dict):
        pairs = [f"{word} = {_value(value)}" for word, value in held.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    return str(held)


def read_text(place: str, text: str, sensitive: frozenset[str] = frozenset()) -> Audience:
    """Read the TOML text of an audience; what does not read names `place`.

    Raises:
        InvalidInput: Too long, no TOML, or no audience; says what to do.
    """
    if len(text) > TEXT_MOST:
        raise InvalidInput(
            f"{place}: longer than {TEXT_MOST} characters", "write fewer conditions"
        )
    try:
        raw = tomllib.loads(text)
    except RecursionError:
        raise InvalidInput(f"{place}: nested too deeply", "use at most 12 levels") from None
    except ValueError:
        raise InvalidInput(f"{place}: this is no TOML", "compare with docs/segments.md") from None
    try:
        return parse_audience(raw, sensitive)
    except InvalidInput as fault:
        raise InvalidInput(f"{place}: {fault.message}", fault.remedy) from None
