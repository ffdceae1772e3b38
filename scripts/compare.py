"""Run nmt-compare from a checkout."""

from nmt.cli.compare import main

main()
