"""Run nmt-translate from a checkout."""

from nmt.cli.translate import main

main()
