"""From a checkout: the same as nmt-sweep."""

from nmt.cli.sweep import main

main()
