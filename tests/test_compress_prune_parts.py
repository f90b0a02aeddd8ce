"""What is cut, how it is chosen, and that cutting is what masking would be."""

import pytest
import torch
from small_models import ARCHITECTURES
from torch import nn
from transformers import AutoModelForSequenceClassification

from compress.parts import FINDERS, PrunablePart, parts
from compress.prune.config import PruneConfig
from compress.prune.cut import Cutting, cut_units
from compress.prune.importance import SCORERS, choose, counts, score
from compress.prune.report import Shape, opens_everywhere
from edgepress.core.architectures.pruned import model_type, query, record_shapes
from edgepress.core.errors import EdgepressError
from edgepress.core.heads import TEXT_CLASSIFIER

WIDE = ("bert", "distilbert", "roberta", "mpnet")  # as wide as their token embeddings
WITH_HEADS = [name for name in ARCHITECTURES if name != "modernbert"]  # of which one matrix has all three


def batches():
    torch.manual_seed(3)
    rows = [torch.randint(5, 200, (4, 9)) for _ in range(2)]
    mask = torch.ones(4, 9, dtype=torch.long)
    mask[2, 5:] = 0
    return [{"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([0, 1, 1, 0])} for ids in rows]


@torch.inference_mode()
def logits(model):
    return model.eval()(**batches()[0]).logits


def cut(model, **flags):
    Cutting.of(model, PruneConfig(model="", **flags)).cut(0, batches())
    return model


@pytest.mark.parametrize("importance", SCORERS)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_cut_opens_again(name, importance, tmp_path):
    model = ARCHITECTURES[name]()
    before = model.num_parameters()
    heads, hidden = 0.5 * (name in WITH_HEADS), 0.5 * (name in WIDE)
    cut(model, heads=heads, ffn=0.5, hidden=hidden, importance=importance)
    expected = logits(model)
    record_shapes(model)
    model.save_pretrained(tmp_path)
    again = model_type(model.config, TEXT_CLASSIFIER).from_pretrained(tmp_path)
    assert again.num_parameters() == model.num_parameters() < before
    torch.testing.assert_close(logits(again), expected)


@pytest.mark.parametrize("flags", [{"ffn": 0.5}, {"hidden": 0.5}, {"ffn": 0.25, "hidden": 0.5}])
@pytest.mark.parametrize("name", WIDE)
def test_an_even_cut_opens_with_transformers_alone(name, flags, tmp_path):
    model = cut(ARCHITECTURES[name](), **flags)
    record_shapes(model)
    assert opens_everywhere(model)
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    torch.testing.assert_close(logits(again), logits(model))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_cutting_units_is_silencing_them(name):
    cut_model, masked = ARCHITECTURES[name](), ARCHITECTURES[name]()
    masked.load_state_dict(cut_model.state_dict())
    found = parts(cut_model, "ffn")
    kept = {part.name: [*range(1, part.units, 2)] for part in found}
    cut_units(cut_model, {"ffn": kept}, {})
    for part in parts(masked, "ffn"):
        part.module.register_forward_hook(
            lambda module, _, out: out * torch.tensor([n % 2 for n in range(module.out_features)])
        )
    torch.testing.assert_close(logits(cut_model), logits(masked))


@pytest.mark.parametrize("name", WITH_HEADS)
def test_cutting_a_head_is_silencing_it(name):
    cut_model, masked = ARCHITECTURES[name](), ARCHITECTURES[name]()
    masked.load_state_dict(cut_model.state_dict())
    found = parts(cut_model, "heads")
    scores = {part.name: torch.ones(part.channels) for part in found}
    cut_units(cut_model, {"heads": {part.name: [1] for part in found}}, scores)
    for part in parts(masked, "heads"):
        silence_values(part)
    torch.testing.assert_close(logits(cut_model), logits(masked))


def silence_values(part: PrunablePart) -> None:
    """The first head's values are zero: it adds nothing."""
    values = next(
        getattr(part.module, own)
        for own in ("value", "v", "v_lin", "value_proj")
        if hasattr(part.module, own)
    )
    with torch.no_grad():
        values.weight[: part.size] = 0
        values.bias[: part.size] = 0


@pytest.mark.parametrize("importance", SCORERS)
def test_units_that_do_nothing_go_first(importance):
    model = ARCHITECTURES["bert"]()
    dead = [3, 20, 77]
    for layer in model.bert.encoder.layer:
        with torch.no_grad():
            layer.intermediate.dense.weight[dead] = 0
            layer.intermediate.dense.bias[dead] = 0
            layer.output.dense.weight[:, dead] = 0
    found = parts(model, "ffn")
    scores = score(model, found, importance, batches())
    for part in found:
        lowest = torch.topk(scores[part.name], len(dead), largest=False).indices
        assert sorted(lowest.tolist()) == dead


@pytest.mark.parametrize("importance", SCORERS)
def test_a_layer_that_does_nothing_goes_first(importance):
    model = ARCHITECTURES["bert"]()
    lazy = model.bert.encoder.layer[0]
    with torch.no_grad():
        for module in (lazy.attention.output.dense, lazy.output.dense, query(lazy.attention.self)):
            module.weight *= 1e-6
    cut(model, layers=0.5, importance=importance)
    assert model.config.num_hidden_layers == 1
    assert lazy not in model.bert.encoder.layer


def test_texts_are_looked_at_without_their_padding():
    model, (first, second) = ARCHITECTURES["bert"](), batches()
    found = parts(model, "ffn")
    longer = {
        "input_ids": torch.cat([second["input_ids"], torch.full((4, 6), 7)], 1),
        "attention_mask": torch.cat([second["attention_mask"], torch.zeros(4, 6, dtype=torch.long)], 1),
        "labels": second["labels"],
    }
    plain, padded = (score(model, found, "activation", [first, last]) for last in (second, longer))
    for part in found:
        torch.testing.assert_close(plain[part.name], padded[part.name])


def part(units: int, kind: str = "ffn", step: int = 1) -> PrunablePart:
    root = nn.Linear(1, units)
    return PrunablePart(kind, f"{kind}-{units}", root, root, units, step=step)


def test_counts():
    own = part(64, step=8)
    assert list(counts([own], (0.5,)).values()) == [32]
    assert list(counts([own], (0.45,)).values()) == [32]  # 35.2, to a multiple of 8
    assert list(counts([own], (0.5,), done=0.5).values()) == [48]
    assert list(counts([part(12, "heads")], (0.3,)).values()) == [8]
    assert list(counts([part(8), part(8)], (0.5, 0.25)).values()) == [4, 6]


@pytest.mark.parametrize(
    ("found", "shares", "said"),
    [
        ([part(2, "heads")], (0.8,), "--heads leaves nothing"),
        ([part(64, step=8)], (0.99,), "--ffn leaves nothing"),
        ([part(8), part(8)], (0.5, 0.5, 0.5), "--ffn names 3 shares, the model has 2 layers"),
    ],
)
def test_counts_that_cannot_be(found, shares, said):
    with pytest.raises(EdgepressError, match=said):
        counts(found, shares)


def test_each_layer_keeps_its_own_best():
    first, second = part(4), part(4)
    scores = {first.name: torch.tensor([4.0, 1, 3, 2]), "second": torch.tensor([10.0, 40, 30, 20])}
    second = PrunablePart("ffn", "second", second.module, second.root, 4)
    wanted = {first.root: 2, second.root: 2}
    assert choose([first, second], wanted, scores, over_layers=False) == {
        first.name: [0, 2],
        "second": [1, 2],
    }
    assert choose([first, second], wanted, scores, over_layers=True) == {first.name: [0], "second": [1, 2, 3]}


def test_a_global_cut_differs_by_layer_and_opens_again(tmp_path):
    model = ARCHITECTURES["bert"]()
    with torch.no_grad():
        model.bert.encoder.layer[1].intermediate.dense.weight[:100] *= 0.01
        model.bert.encoder.layer[1].output.dense.weight[:, :100] *= 0.01
    cut(model, ffn=0.5, scope="global")
    first, second = Shape.of(model).ffn
    assert second < first
    assert first + second == 128
    record_shapes(model)
    assert not opens_everywhere(model)
    model.save_pretrained(tmp_path)
    torch.testing.assert_close(
        logits(model_type(model.config, TEXT_CLASSIFIER).from_pretrained(tmp_path)), logits(model)
    )


def test_iterations_end_where_one_cut_would():
    model = ARCHITECTURES["bert"]()
    config = PruneConfig(model="", ffn=(0.5, 0.25), heads=0.5, layers=0, iterations=3, epochs=1.0)
    cutting = Cutting.of(model, config)
    shapes = []
    for number in range(3):
        cutting.cut(number, batches())
        shapes.append(Shape.of(model))
    assert [shape.ffn for shape in shapes] == [(104, 120), (88, 104), (64, 96)]
    assert shapes[-1].heads == (1, 1)


def test_layers_and_units_together():
    model = cut(ARCHITECTURES["bert"](), layers=0.5, ffn=0.5, hidden=0.5)
    assert Shape.of(model) == Shape(layers=1, hidden=32, heads=(2,), ffn=(64,))
    logits(model)


def test_a_pruned_model_is_pruned_again(tmp_path):
    model = cut(ARCHITECTURES["mpnet"](), heads=0.5, ffn=0.5)
    record_shapes(model)
    model.save_pretrained(tmp_path)
    again = cut(model_type(model.config, TEXT_CLASSIFIER).from_pretrained(tmp_path), ffn=0.5)
    assert Shape.of(again).ffn == (16,)
    logits(again)


@pytest.mark.parametrize(
    ("name", "kind"), [("albert", "hidden"), ("albert", "layers"), ("mobilebert", "hidden")]
)
def test_what_a_model_does_not_have(name, kind):
    model = ARCHITECTURES[name]()
    assert not list(FINDERS[kind](model))
    with pytest.raises(EdgepressError, match=f"a {name} has nothing that --{kind} could cut"):
        cut(model, **{kind: 0.5})
