"""The losses of distillation against values worked out by hand, and how they are put together."""

from math import log

import pytest
import torch
from conftest import small_bert
from transformers import BertConfig, BertForSequenceClassification

from compress.distill.config import DistillConfig
from compress.distillation import objective as losses
from compress.distillation.objective import Distillation, layer_map
from edgepress.core.errors import EdgepressError

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
# Softmax of (log 3, 0) is (3/4, 1/4), sigmoid of log 3 is 3/4.
OURS, THEIRS = torch.tensor([[0.0, 0.0]]), torch.tensor([[log(3), 0.0]])
HALF_AGAINST_THREE_QUARTERS = 3 / 4 * log(3 / 4 / (1 / 2)) + 1 / 4 * log(1 / 4 / (1 / 2))


def test_kl_of_one_row():
    assert losses.response_kl(OURS, THEIRS, 1, SINGLE).item() == pytest.approx(HALF_AGAINST_THREE_QUARTERS)


def test_kl_is_softened_and_scaled_back():
    """Logits of twice the size at T = 2 are those of T = 1, and T² is 4."""
    found = losses.response_kl(2 * OURS, 2 * THEIRS, 2, SINGLE).item()
    assert found == pytest.approx(4 * HALF_AGAINST_THREE_QUARTERS)


def test_kl_is_a_mean_over_rows():
    ours, theirs = OURS.repeat(2, 1), torch.cat([THEIRS, OURS])
    assert losses.response_kl(ours, theirs, 1, SINGLE).item() == pytest.approx(
        HALF_AGAINST_THREE_QUARTERS / 2
    )


def test_kl_of_several_labels_is_that_of_yes_and_no_for_each():
    """The first label is 1/2 against 3/4, the second alike in both: a mean over two."""
    found = losses.response_kl(OURS, THEIRS, 1, MULTI).item()
    assert found == pytest.approx(HALF_AGAINST_THREE_QUARTERS / 2)


def test_regression_compares_values():
    ours, theirs = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [2.0]])
    assert losses.response_kl(ours, theirs, 4, REGRESSION).item() == 2.0


def test_mse_of_logits():
    assert losses.response_mse(OURS, torch.tensor([[1.0, 3.0]])).item() == 5.0


MASK = torch.tensor([[1, 1, 0]])


def test_cosine_leaves_padding_out():
    """The first token's states are at a right angle, the second's are opposed, the third is padding."""
    ours = torch.tensor([[[1.0, 0.0], [1.0, 1.0], [5.0, 5.0]]])
    theirs = torch.tensor([[[0.0, 2.0], [-3.0, -3.0], [-5.0, 5.0]]])
    assert losses.hidden_cosine(ours, theirs, MASK).item() == pytest.approx((1 + 2) / 2)


def test_hidden_mse_leaves_padding_out():
    ours = torch.tensor([[[1.0, 0.0], [0.0, 0.0], [9.0, 9.0]]])
    assert losses.hidden_mse(ours, torch.zeros_like(ours), MASK).item() == 1 / 4


def test_attention_mse_leaves_pairs_with_padding_out():
    """One head; of the four pairs of tokens two differ by 1/2."""
    ours = torch.tensor([[[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]]])
    theirs = torch.tensor([[[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]]])
    assert losses.attention_mse(ours, theirs, MASK).item() == pytest.approx(2 * 0.25 / 4)


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        (3, 6, [(0, 0), (1, 2), (2, 4), (3, 6)]),
        (2, 2, [(0, 0), (1, 1), (2, 2)]),
        (1, 4, [(0, 0), (1, 4)]),
    ],
)
def test_layers_are_compared_evenly_over_the_depth(student, teacher, expected):
    assert layer_map(student, teacher) == expected


def flags(**weights: float) -> DistillConfig:
    return DistillConfig(teacher=("t",), **{"response_weight": 0, "label_weight": 0, **weights})


BATCH = {
    "input_ids": torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
    "labels": torch.tensor([0, 1]),
}


def wide(width: int = 32, heads: int = 2, layers: int = 4) -> BertForSequenceClassification:
    torch.manual_seed(3)
    sizes = {"hidden_size": width, "num_attention_heads": heads, "num_hidden_layers": layers}
    return BertForSequenceClassification(BertConfig(vocab_size=300, intermediate_size=64, **sizes)).eval()


def test_the_sum_is_weighted():
    student, theirs = small_bert(300), torch.tensor([[2.0, -1.0], [0.5, 0.0]])
    module = Distillation(student, flags(response_weight=3, label_weight=2, temperature=2), SINGLE)
    output = module(**BATCH, teacher_logits=theirs)
    own = student(**BATCH)
    expected = 3 * losses.response_kl(own.logits, theirs, 2, SINGLE) + 2 * own.loss
    assert output["loss"].item() == pytest.approx(expected.item())
    assert torch.equal(output["logits"], own.logits)


def test_logits_by_their_difference():
    student, theirs = small_bert(300), torch.tensor([[2.0, -1.0], [0.5, 0.0]])
    module = Distillation(student, flags(response_weight=1, response="mse"), SINGLE)
    expected = losses.response_mse(student(**BATCH).logits, theirs)
    assert module(**BATCH, teacher_logits=theirs)["loss"].item() == pytest.approx(expected.item())


@pytest.mark.parametrize("weight", ["cosine_weight", "hidden_weight", "attention_weight"])
def test_a_student_like_its_teacher_has_nothing_to_learn(weight):
    student, teacher = small_bert(300), small_bert(300)
    output = Distillation(student, flags(**{weight: 1}), SINGLE, teacher)(**BATCH)
    assert output["loss"].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("weight", ["cosine_weight", "hidden_weight", "attention_weight"])
def test_only_the_student_learns_from_states(weight):
    student, teacher = wide(layers=2), wide()
    module = Distillation(student, flags(**{weight: 1}), SINGLE, teacher)
    module(**BATCH)["loss"].backward()
    assert student.bert.encoder.layer[0].attention.self.query.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in teacher.parameters())
    names = [name for name, _ in module.named_parameters()]
    assert all(name.startswith(("student.", "projections.")) for name in names)


def test_projections_lead_to_the_teachers_width_and_are_drawn_by_the_seed():
    modules, student, teacher = [], wide(16), wide(32)
    for elsewhere in (1, 2):
        torch.manual_seed(elsewhere)
        modules.append(Distillation(student, flags(hidden_weight=1, seed=5), SINGLE, teacher))
    first, second = ([layer.weight for layer in module.projections] for module in modules)
    assert [tuple(weight.shape) for weight in first] == [(32, 16)] * 5
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
    assert modules[0](**BATCH)["loss"].item() > 0


@pytest.mark.parametrize(
    ("weight", "student", "word"),
    [("cosine_weight", {"width": 16}, "width 16 and 32"), ("attention_weight", {"heads": 4}, "4 heads")],
)
def test_states_that_cannot_be_compared(weight, student, word):
    with pytest.raises(EdgepressError, match=word):
        Distillation(wide(**student), flags(**{weight: 1}), SINGLE, wide())
