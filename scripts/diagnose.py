"""Draw the inside of a model: `diagnose.py gradients|memory|gates|attention`; `--help` lists the settings."""

from nmt.cli.diagnose import main

main()
