"""The weights of a folder as they lie there: their files and the tensors in them, before any is loaded.

Where transformers cannot read them, the error says what was found, and what to type.
"""

import json
import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from edgepress.core.errors import EdgepressError, first_line

ADAPTER = "adapter_config.json"
# In transformers' order: the first that is there is what it loads.
INDEX = ".index.json"
SAFETENSORS, PICKLE = "model.safetensors", "pytorch_model.bin"
FILES = (SAFETENSORS, SAFETENSORS + INDEX, PICKLE, PICKLE + INDEX)
TORCH_FILES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
# Weights that other libraries read -> what they are.
FOREIGN = {
    "*.h5": "TensorFlow's weights",
    "*.ckpt.index": "TensorFlow's weights",
    "*.msgpack": "Flax's weights",
    "*.gguf": "a GGUF file of llama.cpp",
    "*.onnx": "an ONNX file",
}
# Those that transformers itself can convert -> the argument that asks for it.
CONVERTIBLE = {"*.h5": "from_tf=True", "*.ckpt.index": "from_tf=True", "*.msgpack": "from_flax=True"}
# Under these names trainers put a model's tensors into a file, beside the state of the training.
WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "model_state", "net")
POINTER = b"version https://git-lfs"
# Of a mapping `d`, in a command that is shown.
TENSORS = "{k: v for k, v in d.items() if torch.is_tensor(v)}"
SHOWN = 3


@dataclass(frozen=True)
class Stored:
    """Shape, type and file of a stored tensor."""

    shape: tuple[int, ...]
    floating: bool
    """Whether its values are floating-point numbers."""
    file: Path


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a folder's weights."""

    folder: Path
    tensors: Mapping[str, Stored]
    """Name in the file -> what is stored under it."""

    @property
    def files(self) -> list[Path]:
        """The files that hold them."""
        return sorted({stored.file for stored in self.tensors.values()})

    def load(self, names: Iterable[str]) -> dict[str, torch.Tensor]:
        """The values of some tensors."""
        wanted = set(names)
        values: dict[str, torch.Tensor] = {}
        for path in {self.tensors[name].file for name in wanted}:
            values |= _values(path, wanted)
        return values


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def read_checkpoint(folder: Path) -> Checkpoint:
    """The names and shapes of all tensors, none of which is loaded.

    Raises:
        EdgepressError: there are no weights that transformers reads, a file is missing or damaged, or it is
            another thing than a model's tensors.
    """
    refuse_adapter(folder)
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        raise _no_weights(folder)
    tensors: dict[str, Stored] = {}
    for part in _shards(path) if path.name.endswith(INDEX) else [path]:
        tensors |= _read(part)
    if path.name.endswith(INDEX):
        _compare_with_index(path, tensors)
    if any(".lora_A." in name for name in tensors):
        raise EdgepressError(
            f"{folder} holds the tensors of a LoRA adapter beside those of the model",
            "merge the two where it was trained: model.merge_and_unload().save_pretrained(FOLDER)",
        )
    return Checkpoint(folder, tensors)


def refuse_adapter(folder: Path) -> None:
    """Raise for a folder of peft's.

    Raises:
        EdgepressError: it holds an adapter: what was learned beside a model, without the model.
    """
    if not (folder / ADAPTER).is_file():
        return
    try:
        base = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        base = None
    kind, target = "AutoPeftModelForSequenceClassification", f"{folder}-merged"
    raise EdgepressError(
        f"{folder} holds an adapter ({ADAPTER}){f' of {base}' if base else ''}: not a whole model",
        "merge the two (pip install peft), and save the tokenizer there too: "
        f'python -c "from peft import {kind} as M; '
        f"M.from_pretrained('{folder}').merge_and_unload().save_pretrained('{target}')\"",
    )


def _no_weights(folder: Path) -> EdgepressError:
    """What to say of a folder that has none of `FILES`."""
    for pattern, what in FOREIGN.items():
        found = next(iter(sorted(folder.glob(pattern))), None)
        if found is not None:
            said = f"{folder} has no {SAFETENSORS}: {found.name} is {what}"
            return EdgepressError(said, _conversion(folder, pattern))
    other = sorted(path for path in folder.iterdir() if path.suffix in TORCH_FILES)
    if other:
        name = SAFETENSORS if other[0].suffix == ".safetensors" else PICKLE
        return EdgepressError(
            f"{folder} has no {SAFETENSORS} and no {PICKLE}: transformers does not look for {other[0].name}",
            f"if it holds the model's tensors: cp '{other[0]}' '{folder / name}'",
        )
    return EdgepressError(
        f"{folder}: unreadable weights: there is no {SAFETENSORS} and no {PICKLE}",
        "save the model there with model.save_pretrained",
    )


def _conversion(folder: Path, pattern: str) -> str:
    if pattern not in CONVERTIBLE:
        return "name the folder with the safetensors that it was made of"
    library = "flax" if pattern == "*.msgpack" else "tensorflow tf-keras"
    kind, target = "AutoModelForSequenceClassification", f"{folder}-torch"
    return (
        f"pip install {library}, and save the tokenizer there too: "
        f'python -c "from transformers import {kind} as M; '
        f"M.from_pretrained('{folder}', {CONVERTIBLE[pattern]}).save_pretrained('{target}')\""
    )


def _shards(index: Path) -> list[Path]:
    """The files that an index names.

    Raises:
        EdgepressError: one is not there, or the index is no index.
    """
    names = sorted(set(_index(index).values()))
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise EdgepressError(f"{index} names a file outside its folder: {outside[0]}")
    paths = [index.parent / name for name in names]
    for path in paths:
        if not path.is_file():
            raise EdgepressError(
                f"{index} names {path.name}, which is not there",
                "copy all parts of the model into the folder",
            )
    return paths


def _index(index: Path) -> dict[str, str]:
    try:
        named = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return {str(name): str(file) for name, file in named.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EdgepressError(f"{index}: unreadable index of weights: {first_line(error)}") from error


def _compare_with_index(index: Path, tensors: Mapping[str, Stored]) -> None:
    named = _index(index)
    if named.keys() != tensors.keys():
        raise EdgepressError(
            f"{index} and its files do not hold the same tensors: {listed(named.keys() ^ tensors.keys())}",
            "copy the index and all parts of one model into the folder",
        )


def _read(path: Path) -> dict[str, Stored]:
    with path.open("rb") as stream:
        pointer = stream.read(len(POINTER)) == POINTER
    if pointer:
        raise EdgepressError(
            f"{path} is a pointer of git-lfs, not the weights", f"git -C {path.parent} lfs pull"
        )
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)


def _read_safetensors(path: Path) -> dict[str, Stored]:
    try:
        with safe_open(path, "pt") as stream:
            slices = {name: stream.get_slice(name) for name in stream.keys()}  # noqa: SIM118  # no mapping
            return {
                name: Stored(tuple(part.get_shape()), part.get_dtype().lstrip("B").startswith("F"), path)
                for name, part in slices.items()
            }
    except (SafetensorError, OSError) as error:
        raise EdgepressError(f"{path}: unreadable weights: {first_line(error)}") from error


def _read_pickle(path: Path) -> dict[str, Stored]:
    """Read a pickle with torch's `weights_only` loader, which runs nothing of the file."""
    try:
        content = torch.load(path, map_location="meta", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _objects(path, error) from error
    except Exception as error:  # whatever a pickle that was cut or altered leads to
        raise EdgepressError(f"{path}: unreadable weights: {first_line(error)}") from error
    _refuse_wrapper(path, content)
    return {
        name: Stored(tuple(value.shape), value.is_floating_point(), path) for name, value in content.items()
    }


def _refuse_wrapper(path: Path, content: Any) -> None:
    """Raise unless it is a mapping from names to tensors."""
    values = content if isinstance(content, Mapping) else {}
    if values and all(isinstance(value, torch.Tensor) for value in values.values()):
        return
    inner = next(iter(_wrappers(values)), None)
    if inner is not None:
        others = [str(name) for name in values if name != inner]
        raise EdgepressError(
            f"{path} is a trainer's checkpoint: the model's tensors are under '{inner}'"
            + (f", beside {listed(others)}" if others else ""),
            f"take them out: {rewriting([path], f'd = d[{inner!r}]; ')}",
        )
    others = [str(name) for name, value in values.items() if not isinstance(value, torch.Tensor)]
    found = f"beside tensors it holds {listed(others)}" if values else f"it is a {type(content).__name__}"
    change = rewriting([path], f"d = {TENSORS}; ")
    keep = f"keep the tensors: {change}" if len(others) < len(values) else "save the model's state_dict there"
    raise EdgepressError(f"{path} is not a model's tensors: {found}", keep)


def _wrappers(values: Mapping[Any, Any]) -> list[Any]:
    """Names under which there are tensors with names, the usual ones first."""
    found = [
        name
        for name, value in values.items()
        if isinstance(value, Mapping) and any(isinstance(part, torch.Tensor) for part in value.values())
    ]
    return sorted(found, key=lambda name: WRAPPERS.index(name) if name in WRAPPERS else len(WRAPPERS))


def _objects(path: Path, error: Exception) -> EdgepressError:
    """What to say of a pickle that holds more than tensors."""
    try:
        needed = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # no pickle at all, as its first bytes say
        needed = []
    if not needed:
        return EdgepressError(f"{path}: unreadable weights: {first_line(error)}")
    return EdgepressError(
        f"{path} is a pickle of {_pickled(needed)}: opening it would run code, which is not done",
        "if you trust it, keep its tensors alone: "
        f"python -c \"import torch; d = torch.load({str(path)!r}, map_location='cpu', weights_only=False); "
        "d = d.state_dict() if hasattr(d, 'state_dict') else d.get('state_dict', d.get('model', d)); "
        f'torch.save({TENSORS}, {str(path)!r})"',
    )


def _pickled(classes: Sequence[str]) -> str:
    """What a pickle that needs these classes is of; a pickled model has torch's own layers with it."""
    own = [name for name in classes if not name.startswith(("torch.", "collections.", "builtins."))]
    if own and any(name.startswith("torch.nn.modules.") for name in classes):
        return f"a whole model ({next((name for name in own if 'modeling_' in name), own[0])})"
    return f"Python objects ({listed(classes)})"


def rewriting(files: Sequence[Path], change: str) -> str:
    """A command that changes the names or the choice of a checkpoint's tensors, which it calls `d`."""
    folder = files[0].parent
    paths = [str(path) for path in files]
    if files[0].suffix == ".safetensors":
        return (
            'python -c "from safetensors.torch import load, save_file; '
            f"d = {{k: v for p in {paths} for k, v in load(open(p, 'rb').read()).items()}}; {change}"
            f"save_file(d, {str(folder / SAFETENSORS)!r}, {{'format': 'pt'}})\""
        )
    return (
        'python -c "import torch; '
        f"d = {{k: v for p in {paths} for k, v in torch.load(p, weights_only=True).items()}}; "
        f'{change}torch.save(d, {str(folder / PICKLE)!r})"'
    )


def _values(path: Path, names: set[str]) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        with safe_open(path, "pt") as stream:
            return {name: stream.get_tensor(name) for name in names & set(stream.keys())}
    content = torch.load(path, map_location="cpu", weights_only=True)
    return {name: value for name, value in content.items() if name in names}
