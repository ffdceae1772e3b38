"""From a checkout: the same as nmt-evaluate."""

from nmt.cli.evaluate import main

main()
