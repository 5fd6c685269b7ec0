"""Whether the language model continues a partial prompt to a caption of the storybook.

A continuation begins with its prompt. So it keeps what the prompt said if the whole is a sentence that the grammar
writes for some scene.
"""

import re

import numpy as np

from benchmarks.quality.storybook_sentences import parse
from models.language_model import TEMPERATURE, LanguageModel
from tfx_pipeline.datasets.storybook.samples import sample


def prompts_kept(model: LanguageModel, *, count: int = 1000, seed: int, temperature: float = TEMPERATURE) -> float:
    """The share of partial prompts, 0 to 1, that the model continues to a sentence of the grammar.

    Args:
        model: Trained on the captions of the storybook.
        count: Prompts, at least 1; see `partial_prompts`.
        seed: Of the prompts and of the continuations.
        temperature: Of the continuations.
    """
    prompts = partial_prompts(count, seed=seed)
    texts = model.generate(prompts, seed=range(seed, seed + count), temperature=temperature)
    return sum(bool(parse(text)) for text in texts) / count


def partial_prompts(count: int, *, seed: int) -> list[str]:
    """The beginnings of captions of withheld scenes, by turns in English and in Chinese.

    They are cut between words or between characters; something always stays and something always goes.
    """
    rng, beginnings = np.random.default_rng(seed), list[str]()
    for each in sample(100 * count, seed, withheld=True):
        told = each.captions
        pieces = re.findall(" ?[!-~]+|.", told.chinese if len(beginnings) % 2 else told.english)
        if len(pieces) > 1:
            beginnings.append("".join(pieces[: rng.integers(1, len(pieces))]))
        if len(beginnings) == count:
            break
    return beginnings
