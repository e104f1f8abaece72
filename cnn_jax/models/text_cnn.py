"""The convolutional net of Kim for sentences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from cnn_jax.errors import UserError
from cnn_jax.layers.basic import Dense, Dropout, tap
from cnn_jax.layers.options import check_positive, check_rate
from cnn_jax.layers.text import PADDING, WordConv, WordVectors
from cnn_jax.models.registry import register


class TextCNN(nn.Module):
    """Convolutions over windows of words and the maximum over time: Kim 2014, CNN-rand.

        words    a vector of 300 numbers a word, drawn from ±0.25 and learnt
        conv3    windows of 3 words, 100 maps, ReLU, maximum over time
        conv4    of 4
        conv5    of 5
        head     dropout 0.5, dense

    360,902 parameters for two classes besides the word vectors. Padding has the vector zero. Texts
    are padded by 4 places before and 5 behind, so that the shortest has windows, and the longest,
    too, has one of padding alone, as all others have: more padding then changes nothing.

    Attributes:
      num_classes: number of logits.
      vocabulary: how many words have a vector, those for padding and unknown words included; it
        follows from the data.
      embedding: length of the vectors.
      windows: widths of the convolutions in words.
      maps: of each width.
      dropout: rate before the last layer.
      dtype: what it computes in.
    """

    num_classes: int
    vocabulary: int = 18_767
    embedding: int = 300
    windows: tuple[int, ...] = (3, 4, 5)
    maps: int = 100
    dropout: float = 0.5
    dtype: DTypeLike = "float32"

    def __post_init__(self) -> None:
        check_positive(self, "vocabulary", "embedding", "windows", "maps")
        check_rate(self, "dropout")
        if not self.windows or len(set(self.windows)) < len(self.windows):
            raise UserError(f"windows={self.windows} of TextCNN: one at least, and each once")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits (b, k) float32 of texts (b, t), places of words in the vocabulary, 0 after the
        end; training draws dropout from `dropout`.

        Raises:
          UserError: these are no texts.
        """
        if x.ndim != 2:
            raise UserError(f"text_cnn takes texts (b, t), not {x.shape}")
        vectors = WordVectors(self.vocabulary, self.embedding, self.dtype, name="words")(x)
        widest = max(self.windows)
        around = (widest - 1, widest)
        vectors = jnp.pad(vectors, ((0, 0), around, (0, 0)))
        there = jnp.pad(x != PADDING, ((0, 0), around))
        found = []
        for width in self.windows:
            conv = WordConv(self.maps, width, dtype=self.dtype, name=f"conv{width}")
            over_time = nn.relu(conv(vectors, there))
            # The first word of the window that decided, counted from the first of the text.
            tap(self, f"decided{width}", jnp.argmax(over_time, axis=1) - (widest - 1))
            found.append(jnp.max(over_time, axis=1))
        features = tap(self, "embedding", jnp.concatenate(found, axis=-1))
        features = Dropout(self.dropout, name="dropout")(features, train=train)
        head = Dense(self.num_classes, kernel_init="zeros", dtype=self.dtype, name="head")
        return head(features).astype(jnp.float32)


register(
    "text_cnn",
    TextCNN,
    input_shape=(56,),
    num_classes=2,
    paper="Kim 2014, https://arxiv.org/abs/1408.5882",
    input_kind="tokens",
)
