"""From prompts to pictures with a bundle: `Artist(folder).draw("a red house", seed=1).picture`."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.options import CANDIDATES, EXPAND, REFINE, SCALE, SHARE, TEMPERATURE
from serving.bundle.captions import LanguageModel
from serving.bundle.facts import Facts
from serving.bundle.networks import Floats, Networks
from serving.bundle.randomness import normal, uniform
from serving.bundle.restoring import ESTIMATED, Pixels, Restorer, to_uint8


@dataclass(frozen=True)
class Drawn:
    """A picture with its caption.

    Attributes:
        picture: uint8[h, w, 3].
        caption: the caption that was drawn.
        read: the prompt with spelling errors corrected.

    """

    picture: Pixels
    caption: str
    read: str


@dataclass(frozen=True)
class Scene:
    """The latents of a picture.

    Attributes:
        embedding: embedding of the caption, float32[1, embedding_size].
        noise: sampled noise, float32[1, ...].

    """

    embedding: Floats
    noise: Floats

    def towards(self, other: "Scene", share: float) -> "Scene":
        """Interpolate to another scene; a share of 1 is the other scene."""
        ends = ((self.embedding, other.embedding), (self.noise, other.noise))
        return Scene(*(start + np.float32(share) * (end - start) for start, end in ends))


class Artist:
    """The models of a bundle.

    Args:
        folder: a folder written by `easel export litert`.

    Raises:
        BundleError: the folder holds no bundle, or one of another format.

    """

    def __init__(self, folder: Path) -> None:
        self.facts = Facts.load(folder)
        self._networks = Networks(folder, self.facts.networks)
        self.language_model = LanguageModel(self._networks, self.facts)
        restorers = [Restorer(folder, each) for each in self.facts.restorers]
        self.refiner, self.restorer = restorers[0], restorers[-1]

    def draw(
        self,
        prompt: str,
        *,
        seed: int = 0,
        temperature: float = TEMPERATURE.default,
        expand: bool = EXPAND.default,
        refine: bool = REFINE.default,
        candidates: int = CANDIDATES.default,
        scale: int = SCALE.default,
        to_prompt: str | None = None,
        to_seed: int | None = None,
        share: float = SHARE.default,
    ) -> Drawn:
        """Draw one picture; `models.options` describes the options.

        Raises:
            ValueError: an option is out of range.

        """
        numbers = ((TEMPERATURE, temperature), (CANDIDATES, candidates), (SCALE, scale), (SHARE, share))
        for option, value in numbers:
            option.check(value)
        ends = [(prompt, seed)]
        if share:
            ends.append((prompt if to_prompt is None else to_prompt, seed if to_seed is None else to_seed))
        found = [self._imagined(*end, temperature, expand, candidates) for end in ends]
        scene = found[0][0].towards(found[-1][0], share)
        picture = self._sketched(scene, scale)
        if refine:
            picture = self.refiner.repair(picture, None, ESTIMATED, 0.0)
        _, caption, read = found[0 if share < 0.5 else -1]
        return Drawn(to_uint8(picture), caption, read)

    def unknown(self, *prompts: str) -> str:
        """The unknown words of prompts after spelling correction, separated by spaces."""
        tokenizer = self.language_model.tokenizer
        return tokenizer.unknown(" ".join(map(tokenizer.correct, prompts)))

    def _imagined(
        self, prompt: str, seed: int, temperature: float, expand: bool, candidates: int
    ) -> tuple[Scene, str, str]:
        """The scene of a prompt, its caption, and the corrected prompt."""
        read = caption = self.language_model.tokenizer.correct(prompt)
        # As in the graph: a continuation would not fit unknown words, which are not read.
        if expand and not self.language_model.tokenizer.unknown(read):
            caption = self.language_model.continue_text(read, seed, temperature)
        embedding = self.language_model.embed(caption)
        # Far from neighbouring seeds, which users choose for consecutive pictures.
        scenes = [self._scene(embedding, seed + number * 2**32) for number in range(candidates)]
        chosen = most_alike([self._sketched(scene, 1) for scene in scenes]) if candidates > 1 else 0
        return scenes[chosen], caption, read

    def _scene(self, embedding: Floats, seed: int) -> Scene:
        drawn = [
            (normal if draw["kind"] == "normal" else uniform)(seed, draw["stream"], prod(draw["shape"]))
            for draw in self.facts.draws
        ]
        chances = np.concatenate(drawn)[None]
        return Scene(embedding, self._networks("noise", embedding=embedding, chances=chances)["noise"])

    def _sketched(self, scene: Scene, scale: int) -> Floats:
        inputs: dict[str, NDArray[np.generic]] = {"embedding": scene.embedding, "noise": scene.noise}
        if scale == 1:
            return self._networks("sketch", **inputs)["picture"]
        return self._networks("finer", **inputs, scale=np.array(scale, np.int32))["picture"]


def most_alike(pictures: Sequence[Floats]) -> int:
    """Index of the picture with the least squared error to the mean, and so to all pictures."""
    stacked = np.stack(pictures)
    axes = tuple(range(1, stacked.ndim))
    return int(np.argmin(np.mean((stacked - stacked.mean(axis=0)) ** 2, axis=axes)))
