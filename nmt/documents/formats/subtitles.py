"""Subtitles: SRT and WebVTT. A cue is a passage; its times, number, settings and number of lines are kept."""

import html
import re
from functools import partial
from itertools import pairwise

from nmt.documents.parsed import LanguagePair, ParsedDocument
from nmt.documents.passages import Passage, PassageBuilder
from nmt.errors import UserError

LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
TIME = re.compile(r"\s*(\d+:)?\d+:\d\d[.,]\d{1,3}\s+-->\s+(\d+:)?\d+:\d\d[.,]\d{1,3}")
TAG = re.compile(r"<(/?)([A-Za-z]+|\d[\d:.]*)?[^<>\r\n]*>|\{\\[^}\r\n]*\}")
"""Tag of a cue, time within a cue, or position in braces as in `{\\an8}`."""
MARKUP = re.compile(rf"(?P<tag>{TAG.pattern})|(?P<reference>&#?\w+;)|(?P<text>[^<&{{]+|.)", re.DOTALL)
SPEAKER = re.compile(r"\s*[-–—]\s*\S")
"""Beginning of the line of another speaker."""
escape = partial(html.escape, quote=False)


def parse_srt(text: str, languages: LanguagePair) -> ParsedDocument:
    """Return SRT subtitles with a passage per cue.

    Raises:
        UserError: the text has no cue.
    """
    return ParsedDocument(text, cue_passages(text, "SRT", webvtt=False))


def parse_vtt(text: str, languages: LanguagePair) -> ParsedDocument:
    """Return WebVTT subtitles with a passage per cue.

    Raises:
        UserError: the text does not begin with WEBVTT, or has no cue.
    """
    if not re.match("\ufeff?WEBVTT(?![^\\s])", text):
        raise UserError("line 1 does not begin with WEBVTT, so this is not a WebVTT file; use format=srt for SRT")
    return ParsedDocument(text, cue_passages(text, "WebVTT", webvtt=True))


def cue_passages(text: str, name: str, webvtt: bool) -> list[Passage]:
    """Return the passages of the cues. A cue ends at a blank line, and so does a comment or a style sheet."""
    passages: list[Passage] = []
    lines: list[tuple[int, int]] | None = None
    times = False
    for match in LINE.finditer(text):
        if TIME.match(match[1]):
            times, lines = True, []
        elif match[1].strip():
            if lines is not None:
                lines.append(match.span(1))
        elif lines:
            passages += speaker_passages(text, lines, webvtt)
            lines = None
        else:
            lines = None
    if not times and text.strip().removeprefix("WEBVTT"):
        raise UserError(f"no line has times such as 00:00:01,000 --> 00:00:02,500, so this is not a {name} file")
    return passages


def speaker_passages(text: str, lines: list[tuple[int, int]], webvtt: bool) -> list[Passage]:
    """Return the passages of a cue: one, or one per speaker if each of its lines begins with a dash."""
    speakers = len(lines) > 1 and all(SPEAKER.match(TAG.sub("", text[start:end])) for start, end in lines)
    groups = [[line] for line in lines] if speakers else [lines]
    passages = [cue_passage(text, group, webvtt) for group in groups]
    return [passage for passage in passages if passage is not None]


def cue_passage(text: str, lines: list[tuple[int, int]], webvtt: bool) -> Passage | None:
    """Return the passage of some lines of a cue."""
    builder = PassageBuilder(text, escape if webvtt else str)
    for number, (start, end) in enumerate(lines):
        if number:
            builder.add(" ", lines[number - 1][1], start)
        if number == 0 or len(lines) == 1:
            dash = re.match(r"\s*[-–—]\s*", text[start:end])
            start += dash.end() if dash else 0
        for match in MARKUP.finditer(text, start, end):
            add_markup(builder, match, webvtt)
    span = (lines[0][0], lines[-1][1])
    breaks = [text[a[1] : b[0]] for a, b in pairwise(lines)]
    return builder.build(outer=span, finish=partial(wrap, breaks=breaks))


def add_markup(builder: PassageBuilder, match: re.Match[str], webvtt: bool) -> None:
    """Add a tag, a character reference or text to a passage."""
    start, end = match.span()
    if match["tag"] is None:
        text = html.unescape(match[0]) if match["reference"] and webvtt else match[0]
        builder.add(text, start, end)
        return
    tag = re.match("<(/?)([A-Za-z]+)", match[0])
    if tag is None or (not tag[1] and tag[2].lower() == "v" and "</v>" not in builder.document[end : end + 2000]):
        builder.add_standalone(start, end)
    elif tag[1]:
        builder.close(tag[2].lower(), start, end)
    else:
        builder.open(tag[2].lower(), start, end)


def wrap(text: str, breaks: list[str]) -> str:
    """Divide the translation of a cue into as many lines as its source has, of similar length.

    Args:
        text: translation with tags, which are not divided.
        breaks: line ends between the lines of the source.
    """
    words = re.split(r"\s+(?![^<>{}]*[>}])", text.strip())
    lengths = [len(TAG.sub("", word)) + 1 for word in words]
    total, result, used, line = sum(lengths), "", 0, 0
    for word, length in zip(words, lengths, strict=True):
        due = total * (line + 1) / (len(breaks) + 1)
        if result and line < len(breaks) and used + length / 2 > due:
            result += breaks[line] + word
            line += 1
        else:
            result += (" " if result else "") + word
        used += length
    return result
