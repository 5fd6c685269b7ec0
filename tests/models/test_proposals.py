from models.language_model import LanguageModel
from models.proposals import PROPOSALS, proposals


def test_prompts_to_try_are_the_models_own_captions_by_language(language_model: LanguageModel) -> None:
    told = proposals(language_model)
    assert list(told) == ["en", "zh"] and told == proposals(language_model)
    for captions in told.values():
        assert captions and len(set(captions)) == len(captions) <= PROPOSALS and "" not in captions
    letters = set("红蓝色圆形方块一个")
    assert all(letters & set(caption) for caption in told["zh"])
    assert not any(letters & set(caption) for caption in told["en"])
