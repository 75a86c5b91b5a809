"""`python -m troth` is `troth`."""

from troth.surfaces.cli import main

main()
