"""Run nmt-serve from a checkout."""

from nmt.cli.serve import main

main()
