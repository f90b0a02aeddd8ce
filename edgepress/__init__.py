"""What things are: models, tasks, metrics, artifacts, and where their bytes come from."""

import logging

# Where torchao is installed (ExecuTorch brings it), transformers imports it, and it reports the GPU
# kernels that it does not find.
for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)
