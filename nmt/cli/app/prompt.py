"""Interactive prompt of the translate command, with line editing, a history, n-best lists and attention."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nmt.config import OutputFormat, TranslateConfig, user_path
from nmt.console import escape_control_characters
from nmt.data import append_correction, normalise, normalise_characters
from nmt.decoding import AttentionMap, ConstraintBuilder, LineTranslator, checked_correction
from nmt.errors import UserError

HELP = """\
Type a sentence and press Enter.
  :nbest N       show the N best translations from now on (at most the number that the search keeps)
  :prefix TEXT   begin translations with TEXT; a space at its end completes the last word; without TEXT: off
  :hold A | B    require these words or phrases in translations; without any: off
  :to LANGUAGE   translate into this language from now on, with a multilingual run
  :correct TEXT  save TEXT as the right translation of the last sentence; without TEXT: edit the translation
  :attention     show the attention weights of the last translation
  :help          show this text
  :quit          leave (as Ctrl-D); Ctrl-C clears the line"""
HISTORY_LINES = 1000


class Prompt:
    """Loop that reads sentences and commands from a terminal."""

    def __init__(
        self,
        translator: LineTranslator,
        prefix: str = "",
        corrections: str | None = None,
        languages: tuple[str, str] = ("", ""),
    ) -> None:
        """
        Args:
            translator: translator of the sentences.
            prefix: forced prefix of the translations.
            corrections: file to which corrections are appended; None: none are saved.
            languages: language codes of source and target.
        """
        self.translator = translator
        self.corrections = None if corrections is None else user_path(corrections)
        self.src_lang, self.tgt_lang = languages
        self.demands = ConstraintBuilder(translator.tgt)
        self.prefix = prefix
        self.phrases: list[str] = []
        self.n_best = translator.config.n_best
        self.most = translator.config.max_n_best
        self.last: tuple[str, str] | None = None
        """The last sentence and its translation."""
        self.console = Console()

    def loop(self) -> None:
        with history():
            print("Type a sentence, or :help", file=sys.stderr)
            while True:
                try:
                    line = input("> ")
                except KeyboardInterrupt:
                    print()
                    continue
                except EOFError:
                    print()
                    return
                except UnicodeDecodeError:
                    print("the line is not UTF-8; set the terminal to UTF-8", file=sys.stderr)
                    continue
                if normalise(line) in (":quit", ":q"):
                    return
                try:
                    self.answer(line)
                except KeyboardInterrupt:
                    print("stopped", file=sys.stderr)
                except BrokenPipeError:
                    raise
                except Exception as error:  # no input ends the session
                    print(f"this line cannot be answered: {escape_control_characters(repr(error))}", file=sys.stderr)

    def answer(self, line: str) -> None:
        """Run a command, or translate a sentence."""
        line = normalise_characters(line).lstrip()
        command, _, argument = line.partition(" ")
        match command:
            case "":
                return
            case ":help":
                print(HELP)
            case ":nbest":
                self.set_n_best(argument.strip())
            case ":prefix":
                self.prefix = argument
            case ":hold":
                self.phrases = argument.split("|")
            case ":to":
                self.set_target(argument.strip())
            case ":correct":
                self.correct(argument.strip())
            case ":attention":
                self.show_attention()
            case _ if command.startswith(":"):
                print(f"there is no command {escape_control_characters(command)}; :help lists them", file=sys.stderr)
            case _:
                self.translate(line)

    def translate(self, line: str) -> None:
        try:
            demand = self.demands.make(self.prefix, self.phrases, "the translation")
            [candidates] = self.translator.translate([line], constraints=[demand])
        except UserError as error:
            print(escape_control_characters(str(error)), file=sys.stderr)
            return
        self.last = (line, candidates[0].text)
        if self.n_best == 1:
            print(candidates[0].text)
            return
        for rank, candidate in enumerate(candidates[: self.n_best], start=1):
            print(f"{rank}. {candidate.score:8.4f}  {candidate.text}")

    def set_target(self, language: str) -> None:
        try:
            self.translator.set_languages(None, language)
            self.tgt_lang = language
        except UserError as error:
            print(escape_control_characters(str(error)), file=sys.stderr)

    def set_n_best(self, argument: str) -> None:
        if not argument.isdecimal() or len(argument) > 9 or not 1 <= int(argument) <= self.most:
            print(f":nbest takes a number from 1 to {self.most}, the number that the search keeps", file=sys.stderr)
            return
        self.n_best = int(argument)
        self.translator.set_n_best(self.n_best)

    def correct(self, text: str) -> None:
        """Save the right translation of the last sentence, or let the user edit the last translation to it."""
        if self.corrections is None:
            print("corrections are not saved; start the command with corrections=FILE", file=sys.stderr)
            return
        if self.last is None:
            print("translate a sentence first", file=sys.stderr)
            return
        source, translation = self.last
        try:
            text = text or edited(translation)
            if not normalise(text):
                print("nothing was saved", file=sys.stderr)
                return
            languages = self.src_lang, self.tgt_lang
            append_correction(
                self.corrections, checked_correction(self.translator, source, text, translation, *languages)
            )
        except UserError as error:
            print(escape_control_characters(str(error)), file=sys.stderr)
            return
        print(f"saved in {escape_control_characters(str(self.corrections))}", file=sys.stderr)

    def show_attention(self) -> None:
        if self.last is None:
            print("translate a sentence first", file=sys.stderr)
            return
        attention = self.translator.attention(*self.last)
        if attention is None:
            print("this model has no attention", file=sys.stderr)
            return
        self.console.print(attention_table(attention))


def attention_table(attention: AttentionMap) -> Table:
    """Return a table of weights in percent: target pieces by source pieces, the largest of each row in bold."""
    table = Table(
        "", *[escape(escape_control_characters(piece)) for piece in attention.src], title="attention, in percent"
    )
    for piece, weights in zip(attention.tgt, attention.weights, strict=True):
        largest = max(weights)
        cells = [Text(f"{100 * weight:.0f}", style="bold" if weight == largest else "dim") for weight in weights]
        table.add_row(Text(escape_control_characters(piece)), *cells)
    return table


def edited(text: str) -> str:
    """Return a text after the user has edited it in the line; empty if the user gave up, or cannot edit here."""
    try:
        import readline
    except ImportError:
        print("the line cannot be edited here; type :correct TEXT", file=sys.stderr)
        return ""
    readline.set_startup_hook(lambda: readline.insert_text(text))
    try:
        return input("correct> ")
    except (EOFError, KeyboardInterrupt):
        print()
        return ""
    finally:
        readline.set_startup_hook(None)


@contextlib.contextmanager
def history() -> Iterator[None]:
    """Edit lines with readline, if the platform has it, and keep the history between sessions."""
    try:
        import readline
    except ImportError:
        yield
        return
    path = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "nmt" / "history"
    with contextlib.suppress(OSError, ValueError):
        readline.read_history_file(path)
    readline.set_history_length(HISTORY_LINES)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(path)


def refuse_at_prompt(config: TranslateConfig) -> None:
    """Raise a UserError if a key is given that needs a text and not a prompt."""
    given = {"protect": config.protect, "glossary": config.glossary}
    columns = config.output_format != OutputFormat.text
    for key in [key for key, value in given.items() if value] + ["output_format"] * columns:
        raise UserError(f"{key} needs a text; give input=FILE or a pipe")
