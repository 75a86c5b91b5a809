"""What a fresh process loads with `import troth` is small, and stays small."""

import json
import subprocess
import sys

HEAVY = {"fastapi", "starlette", "uvicorn", "duckdb", "ibis", "pandas", "numpy", "pyarrow", "dns"}


def loaded_by(statement):
    """Return the top-level modules a fresh, isolated interpreter holds after a statement."""
    program = f"import sys, json\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_importing_troth_loads_no_web_audience_or_dns_part():
    assert not loaded_by("import troth") & HEAVY


def test_importing_the_application_loads_none_of_them_either():
    assert not loaded_by("import troth.app") & HEAVY


def test_the_verifier_needs_the_standard_library_alone():
    loaded = loaded_by("import troth.kernel.proof")
    assert not loaded & {*HEAVY, "cryptography", "msgspec"}


def test_asking_for_help_loads_none_of_them():
    statement = "from troth.surfaces.cli import answer\nassert answer(['--help']) == 0"
    assert not loaded_by(statement) & HEAVY


def test_a_heavy_import_would_be_noticed():
    assert loaded_by("import troth, fastapi") & HEAVY == {"fastapi", "starlette"}
