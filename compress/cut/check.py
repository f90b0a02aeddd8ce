"""What cannot be cut."""

from edgepress.errors import EdgepressError
from edgepress.loading import OpenedModel, check_classifier


def check_cuttable(opened: OpenedModel) -> None:
    """Refuse a model whose files say other weights than those that would be cut.

    Raises:
        EdgepressError: it was quantized already, or it is no classifier.
    """
    check_classifier(opened)
    if any(step.technique == "quantize" for step in opened.steps):
        raise EdgepressError(
            f"{opened.source.name} is quantized already: its small files would be left behind",
            "cut the model that it was made of, and quantize what comes out",
        )
