"""Mapping files as plain values: YAML of the plain kind alone, or JSON; needs the extra `[map]`.

No tag makes an object, no alias repeats a part (a small file cannot grow into a large one), no key
stands twice, and depth, size and number of nodes are bounded. `NO` stays the country and is not
read as false; a date stays a text.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

from troth.engines import datagraph
from troth.engines.datagraph import DataMap
from troth.errors import InvalidInput, Unavailable

BYTES_MAX: Final = 4_000_000
DEPTH_MAX: Final = 40
NODES_MAX: Final = 600_000
_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT: Final = re.compile(r"[-+]?[0-9]{1,17}\.[0-9]{1,17}")
_PLAIN: Final = {
    "": None, "~": None, "null": None, "true": True, "false": False,
    "True": True, "False": False, "TRUE": True, "FALSE": False, "Null": None, "NULL": None,
}  # fmt: skip


def load(raw: bytes, name: str) -> Any:  # noqa: ANN401 - YAML
    """Return the plain values of a YAML or JSON document.

    Args:
        raw: The file.
        name: Its name, for messages.

    Raises:
        InvalidInput: It does not read, is too large, or holds an alias, a tag or a key twice.
        Unavailable: The extra is not installed.
    """
    if len(raw) > BYTES_MAX:
        raise InvalidInput(f"{name}: a mapping has at most {BYTES_MAX:,} bytes", "cut it in two")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{name}: is no UTF-8 text", "save it as UTF-8") from None
    yaml = _yaml()
    try:
        return _Builder(name).build(yaml.parse(text, Loader=_loader(yaml)))
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise InvalidInput(f"{name}: does not read{line}", "correct the file") from None
    except RecursionError:
        raise InvalidInput(f"{name}: lies too deep", "flatten it") from None


def _yaml() -> Any:  # noqa: ANN401 - YAML
    try:
        import yaml  # noqa: PLC0415 - the extra loads when a mapping is read
    except ImportError:
        raise Unavailable(
            "mapping files need the extra [map]", "install it: pip install troth[map]"
        ) from None
    return yaml


def _loader(yaml: Any) -> Any:  # noqa: ANN401 - YAML
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Builder:
    """Builds values from parse events; nothing of the file chooses what is built."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes = 0

    def build(self, events: Any) -> Any:  # noqa: ANN401 - YAML
        """Build the one document of a stream."""
        found: list[Any] = []
        for event in events:
            if type(event).__name__ == "DocumentStartEvent":
                if found:
                    raise self._wrong(event, "holds more than one document")
                found.append(self._value(next(events), events, 0))
        return found[0] if found else None

    def _wrong(self, event: Any, said: str) -> InvalidInput:  # noqa: ANN401 - YAML
        line = event.start_mark.line + 1
        return InvalidInput(f"{self._name}: line {line} {said}", "correct the file")

    def _value(self, event: Any, events: Any, depth: int) -> Any:  # noqa: ANN401 - YAML
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise self._wrong(event, f"is past {NODES_MAX:,} values")
        if depth > DEPTH_MAX:
            raise self._wrong(event, f"lies more than {DEPTH_MAX} tables deep")
        kind = type(event).__name__
        if kind == "AliasEvent":
            raise self._wrong(event, "repeats a part by an alias: write it out")
        if event.tag is not None or event.anchor is not None:
            raise self._wrong(event, "holds a tag or an anchor: write plain values")
        if kind == "ScalarEvent":
            return self._scalar(event)
        if kind == "SequenceStartEvent":
            return self._sequence(events, depth)
        return self._mapping(events, depth)

    def _sequence(self, events: Any, depth: int) -> list[Any]:  # noqa: ANN401 - YAML
        out: list[Any] = []
        while type(event := next(events)).__name__ != "SequenceEndEvent":
            out.append(self._value(event, events, depth + 1))
        return out

    def _mapping(self, events: Any, depth: int) -> dict[str, Any]:  # noqa: ANN401 - YAML
        out: dict[str, Any] = {}
        while type(event := next(events)).__name__ != "MappingEndEvent":
            if type(event).__name__ != "ScalarEvent" or event.tag or event.anchor:
                raise self._wrong(event, "has a key that is no plain word")
            if event.value in out:
                raise self._wrong(event, "has a key that stands twice")
            out[event.value] = self._value(next(events), events, depth + 1)
        return out

    def _scalar(self, event: Any) -> Any:  # noqa: ANN401 - YAML
        text: str = event.value
        if event.style:  # quoted, or a block
            return text
        if text in _PLAIN:
            return _PLAIN[text]
        if _INT.fullmatch(text):
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text


def dump(values: Any) -> str:  # noqa: ANN401 - YAML
    """Write plain values as YAML that `load`, and any YAML 1.1 reader, reads back as they are."""
    yaml = _yaml()
    dumper = type("_Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    text: str = yaml.dump(values, Dumper=dumper, sort_keys=False, allow_unicode=True, width=99)
    return text


def read_map(raw: bytes, name: str) -> DataMap:
    """Read a mapping file; see `datagraph.read`.

    Raises:
        InvalidInput: It does not read; names file and place.
    """
    try:
        return datagraph.read(load(raw, name))
    except InvalidInput as fault:
        told = fault.message if fault.message.startswith(name) else f"{name}: {fault.message}"
        raise InvalidInput(told, fault.remedy) from None


def write_map(held: DataMap, kind: str = "yaml") -> bytes:
    """Write a map as a file Fides reads: yaml or json."""
    values = datagraph.write(held)
    if kind == "json":
        return json.dumps(values, indent=1, ensure_ascii=False).encode() + b"\n"
    return dump(values).encode()


def map_drafts(folder: Path) -> dict[str, bytes]:
    """Return `map/*.yml` of a workspace by their published names; each reads, or is refused.

    Raises:
        InvalidInput: A mapping does not read.
    """
    out = {}
    for path in sorted((folder / "map").glob("*.y*ml")):
        raw = path.read_bytes()
        read_map(raw, f"map/{path.name}")
        out[f"map:{path.stem}"] = raw
    return out
