"""Run nmt-distil from a checkout."""

from nmt.cli.distil import main

main()
