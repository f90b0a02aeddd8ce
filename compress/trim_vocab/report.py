"""Report of the command, on the screen and in the card."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from transformers import PreTrainedTokenizerBase

from compress.compression import ModelFigures, Report, headings
from edgepress.core.loading import OpenedModel
from edgepress.core.tables import markdown_table, screen_table

NAMES = ("before", "trimmed", "recovered")
SHOWN, SHOWN_IN_CARD = 5, 20


@dataclass(frozen=True)
class PieceChange:
    """A text, and the pieces that its two splits do not share."""

    text: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def changes(
    before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]]
) -> list[PieceChange]:
    """The texts whose pieces differ, in order; a text of two columns is one text."""
    found = []
    for columns in texts:
        old, new = (
            [piece for column in columns for piece in tokenizer.tokenize(column)]
            for tokenizer in (before, after)
        )
        if old != new:
            found.append(PieceChange(" | ".join(columns), _beyond(old, new), _beyond(new, old)))
    return found


def _beyond(own: list[str], other: list[str]) -> tuple[str, ...]:
    """What stands in `own` more often than in `other`."""
    return tuple((Counter(own) - Counter(other)).elements())


def report(
    opened: OpenedModel,
    corpus: str,
    tokens: tuple[int, int],
    figures: Sequence[ModelFigures],
    texts: int,
    changed: Sequence[PieceChange],
) -> Report:
    """Everything that a run found out.

    Args:
        opened: the trimmed model.
        corpus: what its vocabulary was trimmed to.
        tokens: in the vocabulary, before and after.
        figures: before, trimmed, and recovered where it did.
        texts: of the evaluation split that both tokenizers read.
        changed: those of them that are split otherwise.
    """
    after, task = figures[-1], opened.text_task
    pairs = list(zip(NAMES, (*tokens, tokens[1]), figures, strict=False))
    named = {name: {"tokens": count, **own.recorded} for name, count, own in pairs}
    rows = [(name, f"{count:,}", *own.cells) for name, count, own in pairs]
    head = ("vocabulary", "tokens", *headings(opened))
    table = screen_table(f"{opened.source.short_name}: {corpus}", head, rows)
    scored = [*after.scored_on, *after.loss_against(figures[0])]
    where = f"{texts:,} texts of {task.name}/{task.evaluation_split}"
    sentence = f"{len(changed):,} of {where} are split otherwise than before."
    if not changed:
        sentence = f"All {where} are split as before."
    said = f"Vocabulary trimmed to the tokens of {corpus}. {sentence}"
    pieces = [f"  {' '.join(own.before)} -> {' '.join(own.after)}" for own in changed[:SHOWN]]
    whole = {"after": [*named.values()][-1], "texts": texts, "changed": [asdict(own) for own in changed]}
    return Report(
        after=after,
        metrics={**named, **whole},
        card=f"{said}\n\n{table.markdown()}\n{' '.join(scored)}\n\n{_listed(changed)}",
        shown=[table, *scored, sentence, *pieces],
    )


def _listed(changed: Sequence[PieceChange]) -> str:
    """Texts that are split otherwise, for the card."""
    if not changed:
        return ""
    shown = changed[:SHOWN_IN_CARD]
    rows = [(each.text, " ".join(each.before), " ".join(each.after)) for each in shown]
    rest = "" if shown == changed else "\nThe rest stands in manifest.json.\n"
    return markdown_table(("text", "pieces before", "now"), rows) + rest
