"""What it costs to begin: installing, importing, asking for help.

    python bench/start.py [--no-install]

The base install is what `pip install troth` brings besides pip and setuptools: the dependencies
of pyproject.toml at the versions of constraints.txt, into an empty folder, plus Troth itself.
Times are the median over fresh processes with compiled files present.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from harness import load, print_environment, row, timed

ROOT = Path(__file__).parent.parent
RUNS = 15
HEAVY = ("fastapi", "starlette", "uvicorn", "duckdb", "ibis", "pandas", "numpy", "pyarrow", "dns")


def seconds(*arguments):
    """Return the median wall seconds of a fresh process; the first run only compiles."""
    walls = []
    for _ in range(RUNS + 1):
        with timed() as spent:
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        walls.append(spent.wall)
    return statistics.median(walls[1:])


def loaded(statement):
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def peak_mb(statement):
    program = (
        f"{statement}\nimport resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[-1]) / 1024


def folder_mb(folder):
    files = [p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()]
    return sum(p.stat().st_size for p in files) / 1e6


def install():
    """Install the base set into an empty folder; return seconds, megabytes, the largest parts."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    with tempfile.TemporaryDirectory() as place:
        target = Path(place) / "site"
        command = [
            sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check",
            "--target", str(target), "-c", str(ROOT / "constraints.txt"),
            *project["dependencies"],
        ]  # fmt: skip
        with timed() as spent:
            done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            print(f"not installed: {done.stderr.strip().splitlines()[-1]}")
            return None
        parts = sorted(((folder_mb(p), p.name) for p in target.iterdir()), reverse=True)
        own = folder_mb(ROOT / "src" / "troth")
        return spent.wall, folder_mb(target) + own, parts[:6]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-install", action="store_true", help="measure imports alone")
    given = parser.parse_args()
    print_environment()
    bare = seconds("-c", "pass")
    imported = seconds("-c", "import troth") - bare
    whole = seconds("-c", "import troth.app") - bare
    told = seconds("-m", "troth", "--help")
    found = sorted(loaded("import troth, troth.app").intersection(HEAVY))
    made = None if given.no_install else install()
    print(f"a bare interpreter takes {bare:.3f} s; medians of {RUNS} fresh processes")
    print(f"heavy modules loaded by troth and troth.app: {', '.join(found) or 'none'}")
    if made:
        print("largest parts, MB: " + ", ".join(f"{name} {mb:.1f}" for mb, name in made[2]))
    print(f"load at the end {load()}")
    row("import troth", imported, bar=0.15, unit="s", less_is_better=True)
    row("import troth.app", whole, bar=None, unit="s", less_is_better=True)
    row("heavy modules loaded", len(found), bar=0, unit="modules", less_is_better=True)
    row("troth --help, whole process", told, bar=1.5, unit="s", less_is_better=True)
    row("memory after import troth.app", peak_mb("import troth.app"), bar=120, unit="MB",
        less_is_better=True)  # fmt: skip
    if made:
        row("base install", made[0], bar=20, unit="s", less_is_better=True)
        row("base install, size", made[1], bar=90, unit="MB", less_is_better=True)


if __name__ == "__main__":
    main()
