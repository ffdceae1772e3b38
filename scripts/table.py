"""Run nmt-table from a checkout."""

from nmt.cli.table import main

main()
