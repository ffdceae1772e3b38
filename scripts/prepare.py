"""Run nmt-prepare from a checkout."""

from nmt.cli.prepare import main

main()
