"""Build the one-file verifier: errors, proof and command line in one file, no import of ours.

`python tools/verify_tool.py` writes `dist/troth-verify.py`; `make verify-tool` calls it.
"""
# ruff: noqa: INP001 - a script's folder, not a package

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = (
    ROOT / "src/troth/errors.py",
    ROOT / "src/troth/kernel/proof.py",
    ROOT / "tools/verify_main.py",
)
TARGET = ROOT / "dist/troth-verify.py"
HEAD = '''#!/usr/bin/env python3
"""Check a receipt: python troth-verify.py RECEIPT POLICY. Needs Python >= 3.11 and nothing else.

Exit status: 0 verified, 1 not verified, 2 the question is malformed. Built from the sources of
Troth (Apache-2.0): errors, the proof rules, and this command with its own Ed25519 check.
"""
'''


def _ours(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "troth"


def _title(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def stripped(source: str) -> str:
    """Return a module's text without its docstring and its imports of our own modules."""
    lines = source.splitlines(keepends=True)
    body = ast.parse(source).body
    for node in body:
        if _ours(node) or (node is body[0] and _title(node)):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "".join(lines).strip("\n") + "\n"


def build() -> str:
    """Return the text of the one-file verifier: the same bytes for the same sources."""
    whole = HEAD
    for part in PARTS:
        text = re.sub(r"\bproof\.(?=\w)", "", stripped(part.read_text(encoding="utf-8")))
        whole += f"\n# ---- {part.relative_to(ROOT).as_posix()}\n\n{text}"
    compile(whole, TARGET.name, "exec")
    return whole


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(build(), encoding="utf-8")
    sys.stdout.write(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size} bytes\n")
