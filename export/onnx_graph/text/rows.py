"""Nodes that make the padded rows of a model of ids in one sequence."""

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import TensorProto
from tokenizers import Tokenizer

from export.onnx_graph.text.nodes import Nodes

INT64 = TensorProto.INT64


@dataclass(frozen=True)
class Measured:
    """Names of what tells where tokens stand in their texts."""

    lengths: str
    """Number of characters of the normalized text that each token stands for, (tokens,)."""
    counts: str
    """Number of characters of it that each character of a text becomes, (rows, characters)."""


@dataclass(frozen=True)
class Slot:
    """A place in a row: one special token, or all tokens of the first or second text."""

    token_type: int
    token: int | None = None
    sequence: int | None = None


@dataclass(frozen=True)
class Layout:
    """Layout of a row: `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`."""

    slots: tuple[Slot, ...]
    padding: int
    """The id that fills a row on the right."""
    longest: int
    """The longest row [tokens]."""

    @property
    def room(self) -> int:
        """Number of tokens that special tokens leave to the texts."""
        return self.longest - sum(slot.token is not None for slot in self.slots)

    @property
    def special(self) -> list[int]:
        """Ids of the special tokens, in their order."""
        return [slot.token for slot in self.slots if slot.token is not None]


def layout(tokenizer: Tokenizer, pair: bool, padding: int, longest: int) -> Layout:
    """Read the layout off an encoded example."""
    example = tokenizer.encode("a", "a") if pair else tokenizer.encode("a")
    slots: dict[object, Slot] = {}
    for place, (sequence, index, kind) in enumerate(
        zip(example.sequence_ids, example.ids, example.type_ids, strict=True)
    ):
        if sequence is None:
            slots[("special", place)] = Slot(kind, token=index)
        else:
            slots[sequence] = Slot(kind, sequence=sequence)
    return Layout(tuple(slots.values()), padding, longest)


def rows(nodes: Nodes, ids: str, sign: int, form: Layout, measured: Measured | None = None) -> dict[str, str]:
    """Nodes that lay out `input_ids`, `attention_mask` and `token_type_ids`, (rows, sequence) int64.

    Too long texts are cut on the right, of two the longer one first. Where tokens are `measured`, `offsets`
    (rows, sequence, 2) are laid out too: the character of its text that a token begins at, and the one behind
    its last; 0 and 0 of special tokens and padding.

    Args:
        nodes: where they are added.
        ids: name of the ids (tokens,), with `sign` before each text; of pairs first all first texts.
        sign: what stands before each text.
        form: from `layout`.
        measured: of single texts.
    """
    starts, lengths = _spans(nodes, ids, sign, pair=any(slot.sequence for slot in form.slots))
    lengths = _cut(nodes, lengths, form.room)
    pool = nodes.op("Concat", ids, nodes.integers([*form.special, form.padding]), axis=0)
    first_special = nodes.op("Size", ids)
    places, ends = [], []
    end, special = nodes.integers([[0]]), 0
    for slot in form.slots:
        if slot.sequence is None:
            source = nodes.op("Add", first_special, nodes.integers([[special]]))
            length, special = nodes.integers([[1]]), special + 1
        else:
            source, length = starts[slot.sequence], lengths[slot.sequence]
        places.append(nodes.op("Sub", source, end))
        end = nodes.op("Add", end, length)
        ends.append(end)
    laid_out, index = _lay_out(nodes, pool, places, ends, form)
    if measured is None:
        return laid_out
    return {**laid_out, "offsets": _offsets(nodes, measured, first_special, starts[0], index)}


def _offsets(nodes: Nodes, measured: Measured, tokens: str, starts: str, index: str) -> str:
    """Nodes that find the characters of each token of a row, (rows, sequence, 2).

    Args:
        nodes: where they are added.
        measured: what tells it.
        tokens: number of the tokens of all texts.
        starts: where each text begins among them, (rows, 1).
        index: which of them a token of a row is, (rows, sequence); beyond them for others.
    """
    zero, one = nodes.integers(0), nodes.integers(1)
    ends = nodes.op("CumSum", measured.lengths, zero)
    begins = nodes.op("Sub", ends, measured.lengths)
    real = nodes.op("Less", index, tokens)
    at = nodes.op("Where", real, index, zero)
    base = nodes.op("Gather", ends, nodes.op("Sub", starts, one))  # a text's sign has no characters
    behind = nodes.op("Unsqueeze", nodes.op("CumSum", measured.counts, one), nodes.integers([1]))

    def character(places: str, back: int) -> str:
        """Characters that lie before a place of the normalized text, or one before it, of each row."""
        own = nodes.op("Sub", nodes.op("Gather", places, at), base)
        own = nodes.op("Unsqueeze", nodes.op("Sub", own, nodes.integers(back)), nodes.integers([2]))
        before = nodes.op("Cast", nodes.op("LessOrEqual", behind, own), to=INT64)
        count = nodes.op(
            "Add", nodes.op("ReduceSum", before, nodes.integers([2]), keepdims=0), nodes.integers(back)
        )
        return nodes.op("Unsqueeze", nodes.op("Where", real, count, zero), nodes.integers([2]))

    return nodes.op("Concat", character(begins, 0), character(ends, 1), axis=2)


def _spans(nodes: Nodes, ids: str, sign: int, pair: bool) -> tuple[list[str], list[str]]:
    """Beginning and length of each text in the ids, (rows, 1); those of a pair's second texts apart."""
    signs = nodes.op("NonZero", nodes.op("Equal", ids, nodes.integers(sign)))
    signs = nodes.op("Reshape", signs, nodes.integers([-1, 1]))
    starts = nodes.op("Add", signs, nodes.integers(1))
    total = nodes.op("Reshape", nodes.op("Size", ids), nodes.integers([1, 1]))
    later = nodes.op("Slice", signs, nodes.integers([1]), nodes.integers([2**31]), nodes.integers([0]))
    lengths = nodes.op("Sub", nodes.op("Concat", later, total, axis=0), starts)
    if not pair:
        return [starts], [lengths]
    return _halves(nodes, starts), _halves(nodes, lengths)


def _halves(nodes: Nodes, values: str) -> list[str]:
    both = nodes.op("Reshape", values, nodes.integers([2, -1, 1]))
    return [nodes.op("Gather", both, nodes.integers(half), axis=0) for half in (0, 1)]


def _cut(nodes: Nodes, lengths: Sequence[str], room: int) -> list[str]:
    """Lengths after truncation: "longest_first" as the tokenizers library does it.

    The shorter text keeps up to half of the room, the longer one what is left.
    """
    if len(lengths) == 1:
        return [nodes.op("Min", lengths[0], nodes.integers(room))]
    half = nodes.integers(room // 2)
    shorter = nodes.op("Min", *lengths)
    shorter = nodes.op("Min", shorter, half)
    longer = nodes.op("Min", nodes.op("Max", *lengths), nodes.op("Sub", nodes.integers(room), shorter))
    first_is_longer = nodes.op("Greater", *lengths)
    return [
        nodes.op("Where", first_is_longer, longer, shorter),
        nodes.op("Where", first_is_longer, shorter, longer),
    ]


def _lay_out(
    nodes: Nodes, pool: str, places: Sequence[str], ends: Sequence[str], form: Layout
) -> tuple[dict[str, str], str]:
    """Fill the columns from the last slot to the first; what is behind the last one is padding.

    Returns:
        what the model takes, and which of the pool each token is.
    """
    width = nodes.op("ReduceMax", ends[-1], keepdims=0)
    columns = nodes.op("Range", nodes.integers(0), width, nodes.integers(1))
    padding = nodes.op("Sub", nodes.op("Size", pool), nodes.integers(1))
    index, kinds = padding, nodes.integers(0)
    for slot, place, end in reversed(list(zip(form.slots, places, ends, strict=True))):
        inside = nodes.op("Less", columns, end)
        index = nodes.op("Where", inside, nodes.op("Add", place, columns), index)
        kinds = nodes.op("Where", inside, nodes.integers(slot.token_type), kinds)
    attended = nodes.op("Less", columns, ends[-1])
    laid_out = {
        "input_ids": nodes.op("Gather", pool, index),
        "attention_mask": nodes.op("Cast", attended, to=INT64),
        "token_type_ids": kinds,
    }
    return laid_out, index
