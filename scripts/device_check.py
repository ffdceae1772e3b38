"""Check a device: losses and speeds of float32, bfloat16 and int8; `--help` lists the settings."""

from nmt.cli.device_check import main

main()
