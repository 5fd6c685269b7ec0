"""Prompts for people to try, in the words of the language model that will read them."""

import re
from itertools import islice

from models.language_model import LanguageModel

PROPOSALS, WRITTEN = 12, 128
# Freely enough for a dozen captions to differ, and rarely off the language.
TEMPERATURE = 0.7
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")


def proposals(model: LanguageModel) -> dict[str, list[str]]:
    """Write captions from nothing.

    Returns:
        At most `PROPOSALS` different captions each in English (`en`: all without Chinese characters) and in Chinese
        (`zh`); fewer, or none, where the model hardly writes that language.
    """
    written = model.generate([""] * WRITTEN, seed=range(WRITTEN), temperature=TEMPERATURE)
    captions = [caption for caption in dict.fromkeys(written) if caption]
    chinese = {caption for caption in captions if _HAN.search(caption)}
    return {
        "en": list(islice((caption for caption in captions if caption not in chinese), PROPOSALS)),
        "zh": list(islice((caption for caption in captions if caption in chinese), PROPOSALS)),
    }
