"""What things are: models, tasks, metrics, artifacts, and where their bytes come from."""

import logging
import os

# From 1.29 on ONNX Runtime tells its makers what it runs: it keeps an identifier on the disk, asks for the
# network, and has a thread beside what is timed. It reads this once, before its first session.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Where torchao is installed (ExecuTorch brings it), transformers imports it, and it reports the GPU
# kernels that it does not find.
for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)
