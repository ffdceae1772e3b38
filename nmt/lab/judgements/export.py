"""Files of a campaign: sheets as CSV, forms as HTML, a campaign of Pearmut, and the key."""

import html
import json
from collections.abc import Sequence
from pathlib import Path

from nmt.data import write_json, write_lines
from nmt.digests import digest
from nmt.lab.judgements.answers import csv_lines
from nmt.lab.judgements.design import Design, JudgedItem
from nmt.lab.judgements.key_file import write_key
from nmt.lab.judgements.pearmut import INSTRUCTIONS, pearmut_campaign

FORM = Path(__file__).parent / "form.html"
HEADINGS = {
    "da": ["item", "source", "translation", "score"],
    "esa": ["item", "source", "translation", "errors", "score"],
    "pairwise": ["item", "source", "first", "second", "better"],
}
"""Columns of the sheets. The answers belong into the columns behind the translations."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_campaign(design: Design, folder: Path) -> list[Path]:
    """Write all files of a campaign into a new folder and return their paths, the key first.

    Raises:
        OSError: a file cannot be written.
    """
    (folder / "sheets").mkdir(parents=True)
    (folder / "forms").mkdir()
    paths = []
    for number, sheet in enumerate(design.sheets, 1):
        paths.append(folder / "sheets" / f"rater{number}.csv")
        rows = [HEADINGS[design.kind], *(sheet_row(design, item) for item in sheet)]
        write_lines(paths[-1], csv_lines(rows))
    for number, sheet in enumerate(design.sheets, 1):
        paths.append(folder / "forms" / f"rater{number}.html")
        paths[-1].write_text(form_page(design, sheet, number), encoding="utf-8")
    paths.append(folder / "pearmut.json")
    write_json(paths[-1], pearmut_campaign(design, folder.name))
    write_key(design, folder)
    return [folder / "key.json", *paths]


def sheet_row(design: Design, item: JudgedItem) -> list[str]:
    texts = [design.segments[item.segment].src, *(side.text for side in item.shown)]
    answers = len(HEADINGS[design.kind]) - 1 - len(texts)
    return [item.id, *map(plain_cell, texts), *[""] * answers]


def plain_cell(text: str) -> str:
    """Return the text, behind an apostrophe if a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def form_page(design: Design, sheet: Sequence[JudgedItem], number: int) -> str:
    """Return a page with the items of a sheet that needs no other file and no network."""
    items = [
        {
            "id": item.id,
            "src": design.segments[item.segment].src,
            "texts": [side.text for side in item.shown],
        }
        for item in sheet
    ]
    content = {
        "campaign": f"{digest(json.dumps([design.kind, design.seed, items], ensure_ascii=False)):016x}",
        "kind": design.kind,
        "rater": f"rater{number}",
        "instructions": INSTRUCTIONS[design.kind],
        "items": items,
    }
    data = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    page = FORM.read_text(encoding="utf-8")
    return page.replace("{{title}}", html.escape(f"Sheet {number}")).replace("{{data}}", data)
