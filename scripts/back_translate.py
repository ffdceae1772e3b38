"""Run nmt-back-translate from a checkout."""

from nmt.cli.back_translate import main

main()
