"""Base of the small classifiers: token embeddings, one vector a text, one dense layer."""

from abc import abstractmethod
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class SmallConfig(PretrainedConfig):
    """The sizes that every small classifier has."""

    def __init__(
        self,
        vocab_size: int = 30522,
        embedding_size: int = 64,
        dropout: float = 0.3,
        initializer_range: float = 0.1,
        max_position_embeddings: int = 128,
        pad_token_id: int = 0,
        **rest: Any,
    ) -> None:
        """Set the sizes that all of these models have.

        Args:
            vocab_size: rows of the embedding table; the default is BERT's.
            embedding_size: its columns.
            dropout: of the embeddings and of the text vector, while training.
            initializer_range: standard deviation of the first embeddings.
            max_position_embeddings: longer texts are cut [tokens]; the name is the one that tools look for.
            pad_token_id: id that padding has.
            rest: as every transformers config takes (labels, problem type).
        """
        self.vocab_size = vocab_size
        self.embedding_size = embedding_size
        self.dropout = dropout
        self.initializer_range = initializer_range
        self.max_position_embeddings = max_position_embeddings
        super().__init__(pad_token_id=pad_token_id, **rest)  # type: ignore[call-arg]


class SmallClassifier(PreTrainedModel):
    """Token embeddings, a text vector of fixed width, one dense layer."""

    config_class: type[PretrainedConfig] = SmallConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    _input_embed_layer = "embedding"

    def __init__(self, config: SmallConfig, text_width: int) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size, config.pad_token_id)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(text_width, config.num_labels)  # type: ignore[arg-type]

    @abstractmethod
    def text_vector(self, embedded: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The text in one vector, which tokens that are not attended to do not change.

        Args:
            embedded: (batch, sequence, embedding_size).
            mask: (batch, sequence), 1 for a token and 0 for the padding behind the last one.

        Returns:
            (batch, text_width).
        """

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple[torch.Tensor, ...]:
        """Classify; padding stands on the right, as BERT's tokenizers put it.

        Args:
            input_ids: (batch, sequence) int64.
            attention_mask: (batch, sequence), 1 for a token and 0 for padding; default: all ones.
            labels: (batch,) or (batch, labels), for the loss of the config's problem type.
            return_dict: False gives a tuple.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        text = self.text_vector(self.dropout(self.embedding(input_ids)), mask)
        logits = self.classifier(self.dropout(text))
        loss = None if labels is None else self.loss_function(labels, logits, self.config)
        output = SequenceClassifierOutput(loss=loss, logits=logits)
        return output if return_dict in (None, True) else output.to_tuple()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            module.weight.data.normal_(std=self.config.initializer_range)
            module.weight.data[module.padding_idx].zero_()
        elif isinstance(module, nn.LSTM | nn.Conv1d | nn.Linear):
            module.reset_parameters()
