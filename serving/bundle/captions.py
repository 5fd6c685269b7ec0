"""The language model of a bundle, which continues prompts and embeds captions."""

import numpy as np
from numpy.typing import NDArray

from models.vocabulary import END, PAD, RESERVED
from serving.bundle.facts import Facts
from serving.bundle.networks import Floats, Networks
from serving.bundle.randomness import uniform
from serving.bundle.text import BLANKS, Tokenizer

COLDEST, HOTTEST = 1e-4, 1e4
NEVER = -1e9
"""Added to the logits of pieces that must not be written."""


class LanguageModel:
    """Continues and embeds one text at a time.

    Args:
        networks: networks of the bundle, including `step` and `read`.
        facts: facts of the bundle.

    """

    def __init__(self, networks: Networks, facts: Facts) -> None:
        self.tokenizer = Tokenizer(facts.text)
        self._networks = networks
        self._tries = facts.tries
        self._penalty = facts.penalty
        self._nothing = np.zeros(facts.states, np.float32)

    def continue_text(self, prompt: str, seed: int, temperature: float, most: int | None = None) -> str:
        """Continue a prompt to a caption.

        Args:
            prompt: any text.
            seed: 64 bits.
            temperature: sampling temperature; 0 always takes the likeliest piece.
            most: maximum number of pieces to add; None for as many as fit into a caption.

        """
        prompt = prompt.strip(BLANKS)
        length = self.tokenizer.length
        read = [number for number in self.tokenizer.tokenize_known(prompt) if number not in (PAD, END)]
        end = min(length, len(read) + (length if most is None else most))
        states, logits, excluded = self._nothing, np.empty(0, np.float32), np.zeros(1, np.float32)
        for number in read if len(read) < end else ():
            logits, states, excludes = self._step(number, states)
            excluded = np.maximum(excluded, excludes)
        best, least = list[int](), np.inf
        for number in range(self._tries if len(read) < end else 0):
            draws = uniform((seed + number * 2**32) % 2**64, 0, length)[len(read) :]
            written, nats = self._write(states, logits, excluded, draws, temperature, least, len(read) == 1)
            if nats < least:
                best, least = written, nats
        return (prompt + self.tokenizer.detokenize(best[: end - len(read)])).removeprefix(" ")

    def _write(
        self,
        states: Floats,
        logits: Floats,
        excluded: Floats,
        draws: Floats,
        temperature: float,
        most: float,
        from_nothing: bool,
    ) -> tuple[list[int], float]:
        """A continuation and its nats; it stops at `most` nats, when it can no longer win."""
        written, nats = list[int](), 0.0
        for draw in draws:
            first = from_nothing and not written
            allowed = logits.copy()
            allowed[: len(RESERVED)] += NEVER if first else NEVER * (np.arange(len(RESERVED)) != END)
            log_probabilities = log_softmax(allowed) - self._penalty * excluded
            number = sample(log_probabilities, draw, temperature)
            written.append(number)
            nats -= float(log_probabilities[number])
            if number == END or nats >= most:
                break
            logits, states, excludes = self._step(number, states)
            excluded = np.maximum(excluded, excludes)
        return written, nats

    def embed(self, caption: str) -> Floats:
        """The embedding of a caption, float32[1, embedding_size]."""
        ids = self.tokenizer.tokenize_known(caption)
        outputs = np.zeros((1, len(ids), self._nothing.shape[-1]), np.float32)
        states = self._nothing
        for time in range(sum(number != PAD for number in ids)):
            _, states, _ = self._step(ids[time], states)
            outputs[0, time] = states[-1, 0, 0]
        return self._networks("read", pieces=np.array([ids], np.int32), outputs=outputs)["embedding"]

    def _step(self, number: int, states: Floats) -> tuple[Floats, Floats, Floats]:
        """Read one piece: the logits of the next one, the new states, and 1 for the pieces that this one excludes."""
        after = self._networks("step", piece=np.array([number], np.int32), states=states)
        return after["logits"][0], after["states_after"], after["excludes"][0]


def sample(logits: Floats, draw: NDArray[np.float32], temperature: float) -> int:
    """Pick a piece by inverting the cumulative distribution at `draw`, in [0, 1)."""
    if temperature <= 0:
        return int(np.argmax(logits))
    scaled = logits / np.float32(np.clip(temperature, COLDEST, HOTTEST))
    cumulative = np.cumsum(np.exp(scaled - scaled.max()), dtype=np.float32)
    return min(int(np.sum(cumulative <= draw * cumulative[-1])), len(logits) - 1)


def log_softmax(logits: Floats) -> Floats:
    """The log-likelihood of each piece."""
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())
