"""From a checkout: the same as nmt-compare."""

from nmt.cli.compare import main

main()
