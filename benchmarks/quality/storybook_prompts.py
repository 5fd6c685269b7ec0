"""Prompts that are not captions of the storybook: beginnings of captions, and handwritten prompts.

A continuation begins with its prompt. If the result is a sentence of the captions' grammar for some scene, it keeps
everything that the prompt says.
"""

import re
from pathlib import Path

import numpy as np

from benchmarks.quality.storybook_grammar import parse
from models.language_model import LanguageModel
from models.options import TEMPERATURE
from tfx_pipeline.datasets.storybook.samples import sample

FREE_PROMPTS = Path(__file__).with_name("free_prompts.tsv")


def free_prompts() -> list[tuple[str, str]]:
    """Handwritten prompts, half in English and half in Chinese, each with the noun that it requests.

    They contain synonyms, words that occur in no caption, capitals and typos of one letter.
    """
    lines = (line.split("\t") for line in FREE_PROMPTS.read_text(encoding="utf-8").splitlines())
    return [(prompt, noun) for prompt, noun in lines]


def prompts_kept(
    model: LanguageModel, *, count: int = 1000, seed: int, temperature: float = TEMPERATURE.default
) -> float:
    """The share of partial prompts that the model continues to a sentence of the grammar, 0 to 1.

    Args:
        model: A language model, trained on captions of the storybook.
        count: Number of `partial_prompts`, at least 1.
        seed: Seed of the prompts and the continuations.
        temperature: Sampling temperature of the continuations.
    """
    prompts = partial_prompts(count, seed=seed)
    texts = model.generate(prompts, seed=range(seed, seed + count), temperature=temperature)
    return sum(bool(parse(text)) for text in texts) / count


def partial_prompts(count: int, *, seed: int) -> list[str]:
    """The beginnings of captions of withheld scenes, alternately in English and in Chinese.

    They end between words or, in Chinese, between characters. None is empty, and none is a whole caption.
    """
    rng, beginnings = np.random.default_rng(seed), list[str]()
    for each in sample(100 * count, seed, withheld=True):
        text = each.captions.chinese if len(beginnings) % 2 else each.captions.english
        pieces = re.findall(" ?[!-~]+|.", text)
        if len(pieces) > 1:
            beginnings.append("".join(pieces[: rng.integers(1, len(pieces))]))
        if len(beginnings) == count:
            break
    return beginnings
