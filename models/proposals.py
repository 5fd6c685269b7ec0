"""Prompts for people to try, in the words of the language model that will read them."""

import re
from itertools import islice

from models.language_model import LanguageModel

PROPOSALS, WRITTEN = 12, 128
# High enough for a dozen different captions, and low enough for hardly any that are broken.
TEMPERATURE = 0.7
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")


def proposals(model: LanguageModel) -> dict[str, list[str]]:
    """Let the model write captions from nothing.

    Returns:
        At most `PROPOSALS` different captions each in Chinese (`zh`: those with Chinese characters) and in English
        (`en`: the others); fewer, or none, if the model rarely writes that language.
    """
    written = model.generate([""] * WRITTEN, seed=range(WRITTEN), temperature=TEMPERATURE)
    captions = [caption for caption in dict.fromkeys(written) if caption]
    chinese = {caption for caption in captions if _HAN.search(caption)}
    return {
        "en": list(islice((caption for caption in captions if caption not in chinese), PROPOSALS)),
        "zh": list(islice((caption for caption in captions if caption in chinese), PROPOSALS)),
    }
