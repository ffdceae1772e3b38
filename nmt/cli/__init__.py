"""Commands, one per file. Their machinery is in the packages below; only this package imports hydra."""

from nmt.processor import limit_spinning

limit_spinning()  # before any command imports torch, whose OpenMP reads the setting once
