"""Tokenizers of Hugging Face's package `tokenizers`, from their JSON. The only file that imports it, if one is used."""

import json
import os
import re
from collections.abc import Sequence
from typing import Any

from nmt.data.piece_model import SPACE, spell_bytes
from nmt.errors import UserError

ROLES = re.compile(
    r"<pad>|<unk>|<s>|</s>|<mask>|<bos>|<eos>|<cls>|<sep>|<\|endoftext\|>|\[(PAD|UNK|CLS|SEP|MASK|BOS|EOS)\]"
)
"""Special tokens that a model has beside its text. Other added tokens are symbols of the text."""
BYTE_PIECE = re.compile("<0x([0-9A-Fa-f]{2})>")
MAX_REPLACEMENT = 64
"""Maximum number of characters that a rule of normalisation may write in place of its pattern."""
ANCHOR = "x"
"""Piece before another one, to see what the other one writes within a text."""


class HuggingFaceModel:
    """Tokenizer from a JSON. Nothing of the JSON is executed: it names rules that the package has."""

    kind = None

    def __init__(self, model: bytes, source: str) -> None:
        """
        Args:
            model: content of the JSON.
            source: name of the JSON in error messages.

        Raises:
            UserError: the package is missing, or the JSON is not a tokenizer.
        """
        self.model = model
        settings = check_settings(model, source)
        try:
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # preparation has one process per core
            import tokenizers
        except ImportError:
            raise UserError(
                f"{source} needs the package tokenizers; install it with pip install 'nmt-recurrent[tokenizers]'"
            ) from None
        try:
            self.tokenizer = tokenizers.Tokenizer.from_str(json.dumps(settings))
            self.tokenizer.no_truncation()
            self.tokenizer.no_padding()
            self.tokenizer.encode_special_tokens = True  # special tokens in a text are text
            self.decoder = self.tokenizer.decoder
            self.names = {number: name for name, number in self.tokenizer.get_vocab().items()}
            self.unk_id = self.find_unknown(settings["model"])
            roles = {token["content"] for token in settings["added_tokens"] if token["special"]}
            self.kept = sorted(i for i, name in self.names.items() if i != self.unk_id and name not in roles)
            self.lead = ""
            self.lead = self.find_lead()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of the package is not an Exception
            message = " ".join(str(error).split())
            raise UserError(f"{source} is not a tokenizers JSON that this program reads: {message[:200]}") from None

    def find_unknown(self, settings: dict[str, Any]) -> int | None:
        """Return the id of the model's unknown piece."""
        if isinstance(settings.get("unk_id"), int):
            return int(settings["unk_id"])
        name = settings.get("unk_token")
        return None if name is None else self.tokenizer.token_to_id(name)

    def find_lead(self) -> str:
        """Return a space if the first word of a line has its ▁ only behind a space, otherwise nothing."""
        firsts = [self.tokenizer.encode(text, add_special_tokens=False).ids[:1] for text in ("a", " a")]
        plain, spaced = ([self.spelling(i) for i in ids] for ids in firsts)
        return " " if plain == ["a"] and "".join(spaced).startswith(SPACE) else ""

    def encode(self, lines: Sequence[str], threads: int) -> list[list[int]]:
        texts = [self.lead + line if line else line for line in lines]
        return [encoding.ids for encoding in self.tokenizer.encode_batch(texts, add_special_tokens=False)]

    def surfaces(self, lines: Sequence[str]) -> list[list[str]]:
        texts = [self.lead + line if line else line for line in lines]
        encoded = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        return [cut_at([end for _, end in line.offsets], text) for line, text in zip(encoded, texts, strict=True)]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False)).removeprefix(" ")

    def name(self, piece: int) -> str:
        name, spelling = self.names[piece], self.spelling(piece)
        return spelling if spelling.isprintable() and not BYTE_PIECE.fullmatch(name) else name

    def spelling(self, piece: int) -> str:
        name = self.names[piece]
        if self.decoder is None:
            return SPACE + name
        text = str(self.decoder.decode([ANCHOR, name])).removeprefix(ANCHOR)
        if "\ufffd" in text and "\ufffd" not in name:
            byte = BYTE_PIECE.fullmatch(name)
            text = spell_bytes(bytes([int(byte[1], 16)]) if byte else bytes(BYTE_LETTERS[sign] for sign in name))
        return text.replace(" ", SPACE)

    def with_symbols(self, symbols: Sequence[str], source: str) -> bytes:
        """Return the JSON with further added tokens."""
        import tokenizers

        settings = json.loads(self.model)
        extended = tokenizers.Tokenizer.from_str(json.dumps(settings))
        extended.add_tokens([tokenizers.AddedToken(symbol, normalized=False) for symbol in symbols])
        return extended.to_str().encode()


def check_settings(model: bytes, source: str) -> dict[str, Any]:
    """Return the settings of a JSON, made deterministic, with all added tokens but the special ones as text.

    Raises:
        UserError: the JSON is not the settings of a tokenizer, or a rule writes much text for little.
    """
    try:
        settings: dict[str, Any] = json.loads(model)
        if isinstance(settings["model"].get("dropout"), float):
            settings["model"]["dropout"] = None
        for token in settings.setdefault("added_tokens", []):
            token["special"] = bool(token["special"] and ROLES.fullmatch(token["content"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{source} is not a tokenizers JSON, or it is damaged") from None
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        for rule in rules(settings.get(part)):
            written = [rule[key] for key in ("content", "prepend", "replacement") if isinstance(rule.get(key), str)]
            if max(map(len, written), default=0) > MAX_REPLACEMENT:
                raise UserError(
                    f"{source} writes more than {MAX_REPLACEMENT} characters for one; use another tokenizer"
                )
    return settings


def rules(node: Any) -> list[dict[str, Any]]:
    """Return the rule and all rules within it."""
    if isinstance(node, list):
        return [rule for child in node for rule in rules(child)]
    if not isinstance(node, dict):
        return []
    return [node, *(rule for child in node.values() for rule in rules(child))]


def cut_at(ends: Sequence[int], text: str) -> list[str]:
    """Return the text up to each end from the one before; pieces with the same end get it at the last of them."""
    surfaces, start = [], 0
    for at, end in enumerate(ends):
        last = at == len(ends) - 1
        stop = len(text) if last else max(start, end)
        if not last and ends[at + 1] <= end:
            stop = start
        surfaces.append(text[start:stop].replace(" ", SPACE))
        start = stop
    return [SPACE + surface.removeprefix(SPACE) if at == 0 else surface for at, surface in enumerate(surfaces)]


def byte_letters() -> dict[str, int]:
    """Return the byte of each letter by which byte-level models write bytes (Radford et al. 2019)."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in visible]
    return {chr(value): value for value in visible} | {chr(256 + at): value for at, value in enumerate(others)}


BYTE_LETTERS = byte_letters()
