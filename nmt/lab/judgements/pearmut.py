"""Campaigns for Pearmut, an annotation server (Zouhar et al. 2026), and the annotations that it returns."""

import json
import re
from pathlib import Path
from typing import Any

from nmt.data import named, read_all, read_json
from nmt.errors import UserError
from nmt.lab.judgements.answers import EQUAL, FIRST, SECOND, ErrorSpan, Rating
from nmt.lab.judgements.design import Design, JudgedItem

PROTOCOLS = {"da": "DA", "esa": "ESA", "pairwise": "DA"}
"""Pearmut's protocol of each kind. It has no protocol for comparisons; two translations are rated side by side."""
NAMES = ("first", "second")
"""Names of the shown translations. Pearmut sends these names to the browser, so they do not name the systems."""
RESET = "__RESET__"
"""Annotation that the log has where an administrator restarts a rater's task."""
INSTRUCTIONS = {
    "da": "Rate how well the translation expresses the meaning of the source, from 0 to 100.",
    "esa": "Mark the errors in the translation, then rate it from 0 to 100.",
    "pairwise": "Rate both translations from 0 to 100. Give the better one the higher rating.",
}


def pearmut_campaign(design: Design, name: str) -> dict[str, Any]:
    """Return the content of a campaign file for `pearmut add`: one task per sheet, one document per item."""
    return {
        "campaign_id": re.sub(r"[^A-Za-z0-9_.-]", "_", name),
        "info": {
            "assignment": "task-based",
            "protocol": PROTOCOLS[design.kind],
            "shuffle": False,
            "seed": design.seed,
            "instructions": INSTRUCTIONS[design.kind],
            "users": [f"rater{number}" for number in range(1, len(design.sheets) + 1)],
        },
        "data": [[[document(design, item)] for item in sheet] for sheet in design.sheets],
    }


def document(design: Design, item: JudgedItem) -> dict[str, Any]:
    shown = zip(NAMES, item.shown, strict=False)
    return {
        "item_id": item.id,
        "src": design.segments[item.segment].src,
        "tgt": {name: side.text for name, side in shown},
    }


def is_pearmut_file(path: Path) -> bool:
    return path.suffix.lower() in (".json", ".jsonl")


def read_annotations(path: Path, design: Design) -> list[Rating]:
    """Return the ratings of a log of annotations: `data/annotations/NAME.jsonl`, or the download of the dashboard.

    A rater can change an answer and start again; the last answer counts.

    Raises:
        UserError: the file is not such a log, or it belongs to another campaign.
    """
    ratings: dict[tuple[str, str], Rating] = {}
    try:
        for entry in log_entries(path):
            rater = str(entry["user_id"])
            if entry["annotation"] == RESET:
                ratings = {key: rating for key, rating in ratings.items() if key[0] != rater}
                continue
            for shown, answers in zip(entry["item"], entry["annotation"], strict=False):
                if answers is None or "item_id" not in shown:
                    continue
                item = str(shown["item_id"])
                if item not in design.items:
                    raise UserError(f"{named(path)}: item {item!r:.40} is not in the campaign; choose its own log")
                rating = rating_of(rater, design, design.items[item], answers)
                if rating is not None:
                    ratings[rater, item] = rating
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError):
        raise UserError(
            f"{named(path)} is not a log of annotations of Pearmut; give data/annotations/NAME.jsonl, or the file that "
            "the dashboard downloads"
        ) from None
    return list(ratings.values())


def log_entries(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a log in the order of their time; the download has one list per campaign."""
    if path.suffix.lower() == ".jsonl":
        return [json.loads(line) for line in read_all(path) if line.strip()]
    content = read_json(path)
    logs = content.values() if isinstance(content, dict) else [content]
    return [entry for log in logs for entry in log]


def rating_of(rater: str, design: Design, item: JudgedItem, answers: dict[str, Any]) -> Rating | None:
    """Return the rating of one document, or None if a translation has no score."""
    scores = [answers.get(name, {}).get("score") for name, _ in zip(NAMES, item.shown, strict=False)]
    if any(score is None for score in scores):
        return None
    values = [float(score) for score in scores]
    if not all(0 <= value <= 100 for value in values):
        raise ValueError
    if design.kind == "pairwise":
        first, second = values
        answer = FIRST if first > second else SECOND if second > first else EQUAL
        return Rating(rater, item.id, answer)
    text = item.shown[0].text
    spans = [error_span(span, text) for span in answers[NAMES[0]].get("error_spans") or []]
    return Rating(rater, item.id, values[0], spans if design.kind == "esa" else [])


def error_span(span: dict[str, Any], text: str) -> ErrorSpan:
    """Return a marked error. Pearmut's indices are inclusive; an index outside of the text marks missing content."""
    start, end = span.get("start_i"), span.get("end_i")
    severity = "major" if span.get("severity") == "major" else "minor"
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start <= end < len(text):
        return ErrorSpan(severity, "[missing]")
    return ErrorSpan(severity, text[start : end + 1].replace("|", "/"), start)
