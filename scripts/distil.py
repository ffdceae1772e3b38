"""From a checkout: the same as nmt-distil."""

from nmt.cli.distil import main

main()
