"""From a checkout: the same as nmt-prepare."""

from nmt.cli.prepare import main

main()
