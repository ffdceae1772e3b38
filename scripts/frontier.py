"""Draw BLEU against the speed of translation; `--help` lists the settings."""

from nmt.cli.frontier import main

main()
