"""Pictures of what goes on inside: `diagnose.py gradients|memory|gates|attention`; `--help` lists the settings."""

from nmt.cli.diagnose import main

main()
