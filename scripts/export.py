"""Run nmt-export from a checkout."""

from nmt.cli.export import main

main()
