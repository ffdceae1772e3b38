"""Key file of a campaign: the items with the names of the systems, which raters must not see."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from nmt.config import JUDGEMENT_KINDS
from nmt.data import read_json, write_json
from nmt.errors import UserError
from nmt.lab.judgements.design import Design, JudgedItem, JudgedSegment, ShownText

KEY_FILE = "key.json"
VERSION = 1


def write_key(design: Design, folder: Path) -> None:
    write_json(folder / KEY_FILE, {"version": VERSION, **asdict(design)})


def read_key(folder: Path) -> Design:
    """Return the design of a campaign.

    Raises:
        UserError: the folder has no key file, or it is damaged.
    """
    path = folder / KEY_FILE
    if not path.is_file():
        raise UserError(f"folder={folder} has no {KEY_FILE}; create a campaign with: nmt-human-eval export folder=...")
    try:
        return parse_design(read_json(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is damaged; restore it from a copy, or export the campaign again") from None


def parse_design(content: dict[str, Any]) -> Design:
    """Return the design of a parsed key file.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the content is not that of a key file.
    """
    if content["version"] != VERSION or content["kind"] not in JUDGEMENT_KINDS:
        raise ValueError
    systems = [str(name) for name in content["systems"]]
    segments = [
        JudgedSegment(int(one["line"]), str(one["src"]), str(one["reference"]), [str(t) for t in one["translations"]])
        for one in content["segments"]
    ]
    sheets = [[parse_item(item, len(segments), len(systems)) for item in sheet] for sheet in content["sheets"]]
    if any(len(segment.translations) != len(systems) for segment in segments):
        raise ValueError
    design = Design(
        content["kind"],
        int(content["seed"]),
        str(content["test_set"]),
        systems,
        [str(path) for path in content["paths"]],
        segments,
        sheets,
    )
    ids, sides = set(design.items), 2 if design.kind == "pairwise" else 1
    items = [item for sheet in sheets for item in sheet]
    if len(ids) != len(items) or any(item.check and item.original not in ids for item in items):
        raise ValueError
    if any(len(item.shown) != sides and item.check != "damaged" for item in items):
        raise ValueError
    return design


def parse_item(content: dict[str, Any], segments: int, systems: int) -> JudgedItem:
    shown = [
        ShownText(str(side["text"]), [int(number) for number in side["systems"]], bool(side["damaged"]))
        for side in content["shown"]
    ]
    segment = int(content["segment"])
    if not 0 <= segment < segments or any(not 0 <= at < systems for side in shown for at in side.systems):
        raise ValueError
    return JudgedItem(str(content["id"]), segment, shown, str(content["check"]), str(content["original"]))
