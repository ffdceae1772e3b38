"""Run nmt-shortlist from a checkout."""

from nmt.cli.shortlist import main

main()
