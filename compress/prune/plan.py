"""How much is cut in each iteration, and the cut itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from compress.prune.choose import choose, counts
from compress.prune.config import PruneOptions
from compress.prune.cut import cut_layers, cut_units
from compress.prune.importance import Batch, score
from compress.prune.parts import PrunablePart, classifier_parts, parts

UNITS = ("heads", "ffn", "hidden")
Wanted = Mapping[str, Mapping[nn.Module, int]]
"""Kind -> root of a part -> how many units stay."""


@dataclass(frozen=True)
class Cutting:
    """Cuts a model step by step to what the flags leave."""

    model: PreTrainedModel
    config: PruneOptions
    steps: Sequence[Wanted]
    """What stays after each iteration."""

    @classmethod
    def of(cls, model: PreTrainedModel, config: PruneOptions) -> Cutting:
        """The whole way, from the model as it is.

        Raises:
            EdgepressError: the model does not have what is to be cut, or nothing of it would be left.
        """
        shares = config.ratios
        whole = {kind: parts(model, kind) for kind in shares}
        ways = [(number + 1) / config.iterations for number in range(config.iterations)]
        steps = [{kind: counts(whole[kind], shares[kind], way) for kind in shares} for way in ways]
        return cls(model, config, steps)

    def cut(self, number: int, batches: Sequence[Batch]) -> None:
        """One iteration, in place; texts are for importances that look at them."""
        wanted = self.steps[number]
        if "layers" in wanted:
            self._cut_layers(wanted["layers"], batches)
        if set(wanted) & set(UNITS):
            self._cut_units(wanted, batches)

    def _cut_layers(self, wanted: Mapping[nn.Module, int], batches: Sequence[Batch]) -> None:
        (part,) = parts(self.model, "layers")
        scores = score(self.model, [part], self.config.importance, batches)
        cut_layers(self.model, part, choose([part], wanted, scores, over_layers=False)[part.name])

    def _cut_units(self, wanted: Wanted, batches: Sequence[Batch]) -> None:
        own = {kind: parts(self.model, kind) for kind in UNITS if kind in wanted}
        if "hidden" in own:  # each head, and the classifier, becomes narrower with it
            own["hidden"] += classifier_parts(self.model)
        scored = {part.name: part for found in own.values() for part in found}
        if "hidden" in own:
            scored |= {part.name: part for part in parts(self.model, "heads")}
        scores = score(self.model, list(scored.values()), self.config.importance, batches)
        kept = {
            kind: choose(found, _for_all(found, wanted[kind]), scores, self._over_layers(kind))
            for kind, found in own.items()
        }
        cut_units(self.model, kept, scores)

    def _over_layers(self, kind: str) -> bool:
        return self.config.scope == "global" and kind != "hidden"


def _for_all(found: Sequence[PrunablePart], wanted: Mapping[nn.Module, int]) -> Mapping[nn.Module, int]:
    """The classifier's matrices keep as many channels as the hidden width does."""
    if found[0].kind != "hidden":
        return wanted
    return {part.root: wanted[found[0].root] for part in found}
