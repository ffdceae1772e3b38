"""From a checkout: the same as nmt-doctor."""

from nmt.cli.doctor import main

main()
