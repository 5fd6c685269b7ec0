"""The pieces that every vocabulary begins with."""

PAD, UNKNOWN, START, END = range(4)
RESERVED = ("<pad>", "<unk>", "<start>", "<end>")
SPACE = "▁"


def character_vocabulary(text: str) -> list[str]:
    """The vocabulary of an exact tokenizer: the reserved pieces and every character of a text."""
    return [*RESERVED, *sorted(set(text))]
