"""The commands: thin entries, the only files that import hydra."""

from nmt.processor import limit_spinning

limit_spinning()  # before any command imports torch, whose OpenMP reads the setting once
