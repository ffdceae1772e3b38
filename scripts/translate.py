"""From a checkout: the same as nmt-translate."""

from nmt.cli.translate import main

main()
