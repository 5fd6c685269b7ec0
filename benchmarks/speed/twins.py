"""The same networks in PyTorch, with the same weights.

Importing this needs PyTorch, which Easel itself does not use.
"""

import importlib.util
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.speed.networks import Inputs, Networks, Step
from models.damage import MAX_SIGMA
from models.generator import Generator
from models.language_model import LanguageModel
from models.layers import Modulated
from models.reader import CaptionReader
from models.restorer import Restorer
from models.restorer_network import FULL_SIGMA, LEAST_SIGMA
from models.vocabulary import PAD

SLOPE = 0.2


def weights(variable: Any) -> Tensor:
    """A copy of a Keras variable as a tensor."""
    return torch.from_numpy(keras.ops.convert_to_numpy(variable).copy())


def linear(dense: Any) -> nn.Linear:
    """The twin of a dense layer."""
    kernel = weights(dense.kernel)
    twin = nn.Linear(*kernel.shape)
    twin.load_state_dict({"weight": kernel.T.contiguous(), "bias": weights(dense.bias)})
    return twin


def convolution(layer: Any, *, inputs: Sequence[int] | None = None, outputs: Sequence[int] | None = None) -> nn.Conv2d:
    """The twin of a convolution, with input or output channels permuted if an order is given."""
    kernel, bias = weights(layer.kernel).permute(3, 2, 0, 1), weights(layer.bias)
    kernel = kernel if inputs is None else kernel[:, list(inputs)]
    kernel, bias = (kernel, bias) if outputs is None else (kernel[list(outputs)], bias[list(outputs)])
    side, stride = kernel.shape[-1], layer.strides[0]
    # With a stride of two, TensorFlow pads an even picture only at its end.
    twin = nn.Conv2d(kernel.shape[1], kernel.shape[0], side, stride, padding=side // 2 if stride == 1 else 0)
    twin.load_state_dict({"weight": kernel.contiguous(), "bias": bias.contiguous()})
    return twin


def folded(channels: int) -> list[int]:
    """The channels of TensorFlow's `space_to_depth`, in the order of PyTorch's `pixel_unshuffle`."""
    return list(np.arange(4 * channels).reshape(4, channels).T.ravel())


class Film(nn.Module):
    """The twin of `models.layers.Modulated`."""

    def __init__(self, layer: Modulated) -> None:
        super().__init__()
        self.dense, self.film = linear(layer.dense), linear(layer.film)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x[b, p, c] and style[b, d] -> [b, p, width]."""
        scale, shift = self.film(style)[:, None].chunk(2, dim=-1)
        return nn.functional.leaky_relu(self.dense(x) * (1 + scale) + shift, SLOPE)


class TorchGenerator(nn.Module):
    """The twin of `models.generator.Generator`, which draws whole pictures."""

    def __init__(self, model: Generator) -> None:
        super().__init__()
        self.slots, self.block, self.size = model.slots, model.block, model.picture_size
        self.style = nn.ModuleList(linear(layer) for layer in model.style.layers)
        self.frames = nn.Parameter(weights(model.place.kernel))
        self.frames_bias = nn.Parameter(weights(model.place.bias))
        self.waves, self.colours = linear(model.waves), linear(model.colours)
        self.films = nn.ModuleList(Film(layer) for layer in model.layers_of_points)
        self.register_buffer("points", weights(model.points).reshape(1, -1, 3))
        self.register_buffer("numbers", torch.eye(self.slots))

    def forward(self, noise: Tensor, embedding: Tensor) -> Tensor:
        """float32[b, n] and float32[b, d] -> float32[b, s, s, 3]."""
        rows, slots = len(noise), self.slots
        parts = [
            embedding.view(rows, slots, -1),
            self.numbers.expand(rows, slots, slots),
            noise[:, None].expand(rows, slots, -1),
        ]
        style = torch.cat(parts, dim=-1).flatten(0, 1)
        for layer in self.style:
            style = nn.functional.leaky_relu(layer(style), SLOPE)
        frames = (style @ self.frames + self.frames_bias).view(rows * slots, 3, -1)
        x = torch.sin(self.waves(self.points @ frames))
        for film in self.films:
            x = film(x, style)
        return self.paint(self.colours(x))

    def paint(self, colours: Tensor) -> Tensor:
        """[b * slots, points, 4 block²] -> [b, s, s, 3]."""
        side = 2 * self.block
        layers = colours.view(-1, self.slots, colours.shape[1] // 4 * side * side, 4)
        claims = torch.softmax(layers[..., 3:], dim=1)
        count, block = self.size // side, self.block
        blocks = (claims * layers[..., :3]).sum(dim=1).view(-1, count, count, 2, 2, block, block, 3)
        return blocks.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, self.size, self.size, 3)


class TorchRestorer(nn.Module):
    """The twin of `models.restorer.Restorer`, with channels last."""

    def __init__(self, model: Restorer) -> None:
        super().__init__()
        half = model.widths[0]
        self.encode = convolution(model.encode, inputs=[*folded(4), 16, 17, 18])
        self.down = convolution(model.down)
        self.up = convolution(model.up, outputs=folded(half))
        self.residual = convolution(model.residual, outputs=folded(3))
        for name in ("half_blocks", "quarter_blocks", "last_blocks"):
            blocks = [nn.ModuleList(map(convolution, pair)) for pair in getattr(model, name)]
            setattr(self, name, nn.ModuleList(blocks))

    def forward(self, pictures: Tensor, masks: Tensor, known: Tensor) -> Tensor:
        """The same arguments and result as the original's, in NHWC."""
        stacked = torch.cat([pictures, masks], dim=-1).permute(0, 3, 1, 2)
        seen = nn.functional.pixel_unshuffle(stacked, 2)
        maps = known[:, :, None, None].expand(-1, -1, *seen.shape[2:])
        half = self.encode(torch.cat([seen, maps], dim=1).contiguous(memory_format=torch.channels_last))
        half = apply_blocks(half, self.half_blocks)
        quarter = apply_blocks(self.down(nn.functional.pad(half, (0, 1, 0, 1))), self.quarter_blocks)
        half = apply_blocks(half + nn.functional.pixel_shuffle(self.up(quarter), 2), self.last_blocks)
        residual = nn.functional.pixel_shuffle(self.residual(half), 2).permute(0, 2, 3, 1)
        sigmas, blurs, enlarged = known.unbind(dim=1)
        levels = sigmas * MAX_SIGMA
        noisy = (levels / FULL_SIGMA).clamp(max=1.0) * (levels >= LEAST_SIGMA)
        share = torch.stack([noisy, blurs.sign(), enlarged]).amax(dim=0)
        return pictures + residual * torch.maximum(masks, share[:, None, None, None])


def apply_blocks(x: Tensor, blocks: Any) -> Tensor:
    """Apply residual blocks one after the other."""
    for first, second in blocks:
        x = x + second(torch.relu(first(x)))
    return x


class TorchReader(nn.Module):
    """The twin of `models.reader.CaptionReader`, whose blocks are PyTorch's encoder layers."""

    def __init__(self, reader: CaptionReader) -> None:
        super().__init__()
        self.heads, self.width = reader.heads, reader.width
        self.enter, self.keys, self.values = map(linear, (reader.enter, reader.keys, reader.values))
        self.places = nn.Parameter(weights(reader.places.embeddings))
        self.queries = nn.Parameter(weights(reader.queries))
        self.blocks = nn.ModuleList(self.block(block) for block in reader.blocks)
        self.leave = norm(reader.leave)

    def block(self, source: Any) -> nn.TransformerEncoderLayer:
        """The twin of an `AttentionBlock`."""
        twin = nn.TransformerEncoderLayer(
            self.width, self.heads, 2 * self.width, 0.0, "gelu", 1e-3, batch_first=True, norm_first=True
        )
        project = linear(source.project)
        twin.self_attn.in_proj_weight, twin.self_attn.in_proj_bias = project.weight, project.bias
        twin.self_attn.out_proj.load_state_dict(linear(source.collect).state_dict())
        twin.linear1, twin.linear2 = linear(source.widen), linear(source.narrow)
        twin.norm1, twin.norm2 = norm(source.before_attention), norm(source.before_network)
        return twin

    def forward(self, pieces: Tensor, ids: Tensor) -> Tensor:
        """float32[b, t, c] and int64[b, t] -> float32[b, slots * slot_size]."""
        unread = ids == PAD
        x = self.enter(pieces) + self.places[: ids.shape[1]]
        for block in self.blocks:
            x = block(x, src_key_padding_mask=unread)
        x = self.leave(x)
        keys = self.keys(x).unflatten(-1, (self.heads, -1))
        values = self.values(x).unflatten(-1, (self.heads, -1))
        scores = torch.einsum("khd,bthd->bkht", self.queries, keys) / keys.shape[-1] ** 0.5
        attention = torch.softmax(scores.masked_fill(unread[:, None, None], -1e9), dim=-1)
        return torch.einsum("bkht,bthd->bkhd", attention, values).flatten(1)


def norm(layer: Any) -> nn.LayerNorm:
    """The twin of a layer normalisation."""
    twin = nn.LayerNorm(layer.gamma.shape[0], eps=layer.epsilon)
    twin.load_state_dict({"weight": weights(layer.gamma), "bias": weights(layer.beta)})
    return twin


class TorchLanguageModel(nn.Module):
    """The twin of `models.language_model.LanguageModel`."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.tokens = nn.Embedding.from_pretrained(weights(model.tokens.embeddings), freeze=False)
        self.lstm = nn.LSTM(model.token_size, model.width, model.depth, batch_first=True)
        for layer, source in enumerate(model.lstms):
            named = {"weight_ih": source.cell.kernel, "weight_hh": source.cell.recurrent_kernel}
            values = {name: weights(value).T for name, value in named.items()} | {"bias_ih": weights(source.cell.bias)}
            with torch.no_grad():
                getattr(self.lstm, f"bias_hh_l{layer}").zero_()
                for name, value in values.items():
                    getattr(self.lstm, f"{name}_l{layer}").copy_(value)
        self.next_piece = linear(model.next_piece)
        self.reader = TorchReader(model.reader)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """int64[b, t] -> logits and embeddings."""
        tokens = self.tokens(ids)
        x, _ = self.lstm(tokens)
        return self.next_piece(x), self.reader(torch.cat([tokens, x], dim=-1), ids)

    def embed(self, ids: Tensor) -> Tensor:
        """The embeddings only."""
        tokens = self.tokens(ids)
        return self.reader(torch.cat([tokens, self.lstm(tokens)[0]], dim=-1), ids)

    def step(self, last: Tensor, states: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One piece: int64[b] -> logits float32[b, v], and the new states."""
        x, after = self.lstm(self.tokens(last[:, None]), states)
        return self.next_piece(x[:, 0]), after


KINDS: dict[str, Any] = {"language_model": TorchLanguageModel, "generator": TorchGenerator, "restorer": TorchRestorer}


def twin_of(networks: Networks, name: str) -> nn.Module:
    """The twin of a network."""
    return KINDS[name](getattr(networks, name)).to(memory_format=torch.channels_last)


def can_compile() -> bool:
    """Whether torch.compile has the C++ compiler that it needs on a CPU."""
    return importlib.util.find_spec("torch._inductor") is not None and shutil.which("g++") is not None


def compiled(run: Callable[..., Any]) -> Callable[..., Any]:
    """A module, compiled by torch.compile for one size."""
    return torch.compile(run, dynamic=False)


def as_tensors(inputs: Sequence[Any]) -> list[Tensor]:
    """Arrays as tensors."""
    return [torch.from_numpy(part) for part in inputs]


def inference(twin: nn.Module, inputs: Sequence[Any], *, compile_it: bool) -> Step:
    """A function that runs a twin on inputs; the language model reads captions."""
    call, tensors = getattr(twin, "embed", twin), as_tensors(inputs)
    run = compiled(call) if compile_it else call

    def step() -> Any:
        with torch.inference_mode():
            return run(*tensors)

    return step


def training(networks: Networks, name: str, inputs: Inputs, *, compile_it: bool) -> Step:
    """A function that runs a training step of a twin, with the loss of `networks.training_loss` and fused Adam."""
    twin = twin_of(networks, name)
    run = compiled(twin) if compile_it else twin
    given, target = as_tensors(inputs.of(name)), torch.from_numpy(inputs.pictures / 2)
    optimizer = torch.optim.Adam(twin.parameters(), 1e-4, eps=1e-7, fused=True)

    def loss() -> Tensor:
        if name != "language_model":
            return ((run(*given) - target) ** 2).mean()
        logits, embedding = run(*given)
        nats = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), given[0][:, 1:].flatten())
        return nats + (embedding**2).mean()

    def step() -> float:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        return value.item()

    return step


def decoding(model: LanguageModel, draws: Any, temperature: float, *, compile_it: bool) -> Step:
    """The same decoding loop as ours: for each piece a step, and a sample by inverting the cumulative distribution."""
    twin = TorchLanguageModel(model)
    chances = torch.from_numpy(draws)
    never = torch.zeros(len(model.vocabulary))
    never[:3] = -1e9

    def one(last: Tensor, states: tuple[Tensor, Tensor], chance: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        logits, states = twin.step(last, states)
        cumulative = torch.softmax((logits + never) / temperature, dim=-1).cumsum(dim=-1)
        below = (cumulative <= chance[:, None] * cumulative[:, -1:]).sum(dim=-1)
        return below.clamp(max=len(never) - 1), states

    run = compiled(one) if compile_it else one

    def step() -> list[Tensor]:
        rows = len(chances)
        last = torch.full((rows,), 2)
        states = tuple(torch.zeros(model.depth, rows, model.width) for _ in range(2))
        written = []
        with torch.inference_mode():
            for time in range(1, model.length):
                last, states = run(last, states, chances[:, time])
                written.append(last)
        return written

    return step
