"""Features of EfficientNet-Lite0, trained on ImageNet, for a critic that has few pictures to learn from.

A critic that also sees the features of a network trained on other pictures memorises less of its own (Projected GANs,
Sauer et al., 2021; Vision-aided GANs, Kumari et al., 2022). The weights are those of `models.frozen_weights`; they are
never trained, and no checkpoint contains them.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.frozen_weights import Weights, checkpoint, read_checkpoint
from models.tensors import Tensor

SIDE = 64
"""Side in pixels to which smaller pictures are upscaled, since the last level has a sixteenth of it."""
STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1))
"""Number of blocks and first stride of the stages up to the last level (Tan and Le, 2019)."""
LEVELS = (4, 10)
"""Blocks after which features are taken, with 40 and 112 channels, at an eighth and a sixteenth of the side."""
EPSILON = 1e-3


class Convolution(NamedTuple):
    """A convolution with the batch normalisation folded into it.

    Attributes:
        kernel: float32[h, w, in, out], or [h, w, channels, 1] if depthwise.
        bias: float32[out].
        stride: 1 or 2.
        depthwise: Whether each channel has its own kernel.
        bounded: Whether a ReLU6 follows.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int = 1
    depthwise: bool = False
    bounded: bool = True

    def __call__(self, x: Tensor) -> Tensor:
        """[b, h, w, in] -> [b, h / stride, w / stride, out]."""
        run = ops.depthwise_conv if self.depthwise else ops.conv
        x = run(x, self.kernel, self.stride, padding="same") + self.bias
        return ops.relu6(x) if self.bounded else x


class FrozenFeatures:
    """The first blocks of the network.

    Raises:
        ModuleNotFoundError: The package of the weights is not installed; the message says how to install it.
    """

    def __init__(self) -> None:
        weights = read_checkpoint(checkpoint())
        self.stem = folded(weights, "_conv_stem", "_bn0", stride=2)
        strides = [stride if first == 0 else 1 for count, stride in STAGES for first in range(count)]
        self.blocks = [block(weights, f"_blocks.{number}.", stride) for number, stride in enumerate(strides)]

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """Features of pictures, float32[b, s, s, 3] in -1..1, after the blocks `LEVELS`: float32[b, s', s', c] each."""
        x, levels = self.stem(upscaled(pictures, -(-SIDE // pictures.shape[1]))), []
        for number, convolutions in enumerate(self.blocks):
            before = x
            for convolution in convolutions:
                x = convolution(x)
            x = x + before if x.shape == before.shape else x
            if number in LEVELS:
                levels.append(x)
        return levels


def upscaled(pictures: Tensor, times: int) -> Tensor:
    """Upscale pictures, [b, s, s, 3], by a factor, with bilinear interpolation."""
    if times == 1:
        return pictures
    side = pictures.shape[1]
    places = np.clip((np.arange(side * times) + 0.5) / times - 0.5, 0, side - 1)
    # Products, because the gradient of a resize is not available everywhere.
    weights = np.maximum(0, 1 - abs(places[:, None] - np.arange(side))).astype(np.float32)
    return ops.einsum("ih,jw,bhwc->bijc", weights, weights, pictures)


def block(weights: Weights, name: str, stride: int) -> list[Convolution]:
    """An inverted residual block: expansion, if it has one, depthwise convolution, projection."""
    depthwise = folded(weights, f"{name}_depthwise_conv", f"{name}_bn1", stride=stride, depthwise=True)
    projection = folded(weights, f"{name}_project_conv", f"{name}_bn2", bounded=False)
    if f"{name}_expand_conv.weight" not in weights:
        return [depthwise, projection]
    return [folded(weights, f"{name}_expand_conv", f"{name}_bn0"), depthwise, projection]


def folded(weights: Weights, convolution: str, norm: str, **kwargs: Any) -> Convolution:
    """A convolution of the checkpoint, with its normalisation."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + EPSILON)
    kernel = (weights[f"{convolution}.weight"] * scale[:, None, None, None]).transpose(2, 3, 1, 0)
    if kwargs.get("depthwise"):
        kernel = kernel.transpose(0, 1, 3, 2)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return Convolution(kernel.astype(np.float32), bias.astype(np.float32), **kwargs)
