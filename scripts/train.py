"""From a checkout: the same as nmt-train."""

from nmt.cli.train import main

main()
