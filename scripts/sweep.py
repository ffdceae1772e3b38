"""Run nmt-sweep from a checkout."""

from nmt.cli.sweep import main

main()
