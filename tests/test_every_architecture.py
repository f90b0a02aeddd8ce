"""Every architecture in every format, scheme and technique.

`python -m benchmarks.architectures` makes the table in docs/architectures.md of what these tests find.
"""

import copy

import pytest
import torch
from conftest import skip_without
from small_models import ARCHITECTURES, LONGEST, VOCABULARY
from transformers import AutoModelForSequenceClassification, ModernBertConfig, PreTrainedModel

from compress.distill.projection import project
from compress.distill.slicing import random_student, slice_layers
from compress.prune.config import PruneConfig
from compress.prune.cut import Cutting
from compress.sparsify.masks import Sparsity
from compress.training.masked_lm import vocabulary_head
from edgepress.core.architectures.pruned import model_type, record_shapes
from edgepress.core.errors import EdgepressError
from edgepress.core.heads import TEXT_CLASSIFIER
from edgepress.core.inputs import input_names
from export.core.config import ExportConfig
from export.core.eager import EagerRunner
from export.core.registry import find_format, open_runner
from export.core.scheme import CPU_TARGETS, Options
from export.onnx_graph.schemes import SCHEMES
from export.validation.parity import compare, parity_batches

pytestmark = pytest.mark.slow

# Largest difference of a logit from torch's; Core ML's default is half precision.
FP32_FORMATS = ("onnx", "torchscript", "torch_export", "openvino", "executorch", "litert")
ATOL = {**dict.fromkeys(FP32_FORMATS, 1e-4), "coreml": 0.05}
LAYERS = 4
# Rotary positions; others have tests of their own (test_export_executorch), relative ones are long.
LOWERED = ("modernbert",)
SINGLE = "single_label_classification"
# What is refused, and what it says: all else works.
REFUSED = {
    ("torch_export", "mobilebert"): "torch.export takes no mobilebert of any length",
    ("layers", "albert"): "nothing that --layers could cut",
    ("heads", "modernbert"): "nothing that --heads could cut",
    **{
        ("hidden", kind): "nothing that --hidden could cut"
        for kind in ("albert", "mobilebert", "electra", "deberta-v2", "modernbert")
    },
    **{
        ("narrow", kind): "cannot be projected"
        for kind in ("albert", "mobilebert", "electra", "deberta-v2", "modernbert")
    },
}
if not hasattr(ModernBertConfig(), "layer_types"):  # transformers 4 counts layers
    REFUSED["layers", "modernbert"] = "do not alternate as transformers 4 has it"


def deep(kind: str) -> PreTrainedModel:
    """The architecture with some layers."""
    config = ARCHITECTURES[kind]().config
    settings = {**config.to_dict(), "num_hidden_layers": LAYERS, "n_layers": LAYERS}
    settings.pop("layer_types", None)
    torch.manual_seed(2)
    return AutoModelForSequenceClassification.from_config(type(config)(**settings)).eval()


def batches(model: PreTrainedModel) -> list[dict]:
    torch.manual_seed(5)
    ids = torch.randint(5, VOCABULARY, (2, 12)).numpy()
    batch = {"input_ids": ids, "attention_mask": ids**0, "token_type_ids": ids * 0}
    return [{name: batch[name] for name in input_names(model)}]


def learned_from(model: PreTrainedModel) -> list[dict]:
    """What importances look at."""
    return [
        {**{name: torch.from_numpy(v) for name, v in batch.items()}, "labels": torch.tensor([0, 1])}
        for batch in batches(model)
    ]


def logits(model: PreTrainedModel):
    return EagerRunner(model)(batches(model)[0])


@pytest.fixture(autouse=True)
def refusal(request, record_property):
    """The test passes where what is refused says so, and then the table does too."""
    call = request.node.callspec.params
    said = REFUSED.get((call.get("how"), call["kind"]))
    if said is None:
        yield
        return
    record_property("refused", said)
    request.node.obj = refused(request.node.obj, said)
    yield


def refused(test, said):
    def expecting(**arguments):
        with pytest.raises(EdgepressError, match=said):
            test(**arguments)

    return expecting


def files():
    """Every format of every architecture; ExecuTorch's, ten seconds each, of two in CI."""
    for how in ATOL:
        for kind in ARCHITECTURES:
            # The graph that it lowers is torch.export's, which has a file of its own for each of them.
            marks = [pytest.mark.long] if how == "executorch" and kind not in LOWERED else []
            yield pytest.param(how, kind, id=f"{how}-{kind}", marks=marks)


@pytest.mark.parametrize(("how", "kind"), files())
def test_format(how, kind, tmp_path):
    skip_without(how)
    model, form = ARCHITECTURES[kind]().eval(), find_format(how)
    path = tmp_path / form.file
    path.parent.mkdir(parents=True)
    form.write(model, path, form.config(model="x"))
    with open_runner(path) as runner:
        found = compare(EagerRunner(model), runner, parity_batches(batches(model), LONGEST), SINGLE)
    assert found.max_abs < ATOL[how]


@pytest.fixture(scope="module")
def fp32_file(tmp_path_factory):
    """Kind -> its model and ONNX file, made once."""
    made = {}

    def of(kind):
        if kind not in made:
            model = ARCHITECTURES[kind]().eval()
            path = tmp_path_factory.mktemp(kind) / "model.onnx"
            find_format("onnx").write(model, path, ExportConfig(model="x"))
            made[kind] = model, path
        return made[kind]

    return of


@pytest.mark.parametrize("how", SCHEMES)
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_scheme(kind, how, fp32_file):
    model, path = fp32_file(kind)
    target = path.with_name(SCHEMES[how].file_name)
    SCHEMES[how].quantize(path, target, Options(CPU_TARGETS["avx2"], calibration_batches=batches(model)))
    with open_runner(target) as runner:
        found = compare(EagerRunner(model), runner, batches(model), SINGLE)
    spread = float(abs(logits(model)).max())
    assert 0 < found.max_abs < max(0.5 * spread, 0.1)


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("how", ["heads", "ffn", "hidden", "layers"])
def test_prune(kind, how, tmp_path):
    model = deep(kind)
    before = model.num_parameters()
    Cutting.of(model, PruneConfig(model="", **{how: 0.5})).cut(0, learned_from(model))
    record_shapes(model)
    model.save_pretrained(tmp_path)
    again = model_type(model.config, TEXT_CLASSIFIER).from_pretrained(tmp_path)
    assert again.num_parameters() == model.num_parameters() < before
    assert abs(logits(again) - logits(model)).max() < 1e-5


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_finetune(kind, cli, data_root, tokenizer, tmp_path):
    model = ARCHITECTURES[kind]()
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "model")
    flags = ("--task", "verdicts", "--data", data_root, "--epochs", 1, "--head", "new")
    done = cli("compress.finetune", "--model", tmp_path / "model", *flags, "--output", tmp_path / "out")
    assert done.code == 0, done.err
    trained = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    before, after = (own.get_input_embeddings().weight for own in (model, trained))
    assert not torch.equal(before, after)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_distill(kind):
    teacher = deep(kind)
    student = slice_layers(teacher, [0, 2], seed=0)
    assert student.config.num_hidden_layers == 2
    assert logits(student).shape == logits(teacher).shape


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("how", ["narrow"])
def test_narrow(kind, how):
    teacher = deep(kind)
    source = slice_layers(teacher, [0, 2], seed=0)
    widths = {
        "hidden_size": teacher.config.hidden_size // 2,
        "num_attention_heads": 1,
        "intermediate_size": 48,
    }
    student = random_student(teacher, [0, 2], 0, widths)
    texts = {name: torch.from_numpy(values) for name, values in batches(source)[0].items()}
    assert 0 < project(source, student, texts) < 1
    assert logits(student).shape == logits(teacher).shape


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_sparsify(kind):
    model = deep(kind)
    masks = Sparsity(model, "magnitude", "any", 0.5, 0.0)
    masks.to(0.5)
    masks.settle()
    zeros = [float((weight == 0).float().mean()) for weight in model.state_dict().values()]
    assert any(0.4 < share < 0.6 for share in zeros)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_pretrain(kind):
    from transformers import AutoModelForMaskedLM

    model = AutoModelForMaskedLM.from_config(copy.deepcopy(ARCHITECTURES[kind]().config)).eval()
    ids = torch.randint(5, VOCABULARY, (2, 12))
    with torch.no_grad():
        whole = model(ids).logits
        head = vocabulary_head(model)(model.base_model(ids).last_hidden_state)
    torch.testing.assert_close(head, whole)
