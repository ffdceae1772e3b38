"""Run nmt-adapt from a checkout."""

from nmt.cli.adapt import main

main()
