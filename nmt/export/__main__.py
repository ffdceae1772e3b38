"""Translate standard input with an exported folder, without Hydra: python -m nmt.export FOLDER < FILE."""

import sys

from nmt.errors import UserError
from nmt.export.translator import ExportedTranslator, open_export


def main(words: list[str]) -> int:
    """Translate line by line and return the exit code."""
    if len(words) != 1 or words[0].startswith("-"):
        print("nmt: usage: python -m nmt.export FOLDER < FILE", file=sys.stderr)
        return 2
    sys.stdin.reconfigure(encoding="utf-8-sig", newline="\n")  # type: ignore[union-attr]
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    try:
        translator = ExportedTranslator(open_export(words[0]))
        translator.set_n_best(1)
        for line in sys.stdin:
            [[candidate, *_]] = translator.translate([line.removesuffix("\n").removesuffix("\r")])
            print(candidate.text, flush=True)
    except (UserError, UnicodeDecodeError) as error:
        print(f"nmt: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
