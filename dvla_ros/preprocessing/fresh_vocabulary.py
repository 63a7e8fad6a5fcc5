"""Vocabularies of true size for tokenizers that are made here: words of instructions, then filler."""

from collections.abc import Iterable, Iterator
from itertools import islice, product
from string import ascii_letters

_VISIBLE = (range(33, 127), range(161, 173), range(174, 256))  # bytes that stand for themselves in byte-level BPE
_WORDS = (
    "the a an and of to in on into onto from with up down left right "
    "pick place put move push pull open close turn lift lower stack fold wipe pour grasp release reach slide insert "
    "red green blue yellow orange purple black white brown silver small large "
    "cube block cup bowl plate spoon fork knife carrot eggplant drawer door towel basket pot lid tray table sink box "
    "top bottom middle front back robot arm gripper what action should take image user assistant system helpful "
    "language vision visual content understand provide provides variety tasks using natural able are you that is"
).split()


def byte_alphabet() -> list[str]:
    """The character that stands for each byte in byte-level BPE, in the order of ids: '!' is 0, '0' is 15."""
    visible = [chr(byte) for part in _VISIBLE for byte in part]
    return visible + [chr(256 + index) for index in range(256 - len(visible))]


def byte_order() -> list[int]:
    """The byte that each of the ids 0..255 stands for, in the same order."""
    visible = [byte for part in _VISIBLE for byte in part]
    return visible + [byte for byte in range(256) if byte not in visible]


def word_pieces(space: str) -> list[tuple[str, str]]:
    """Merges that build every word letter by letter, each in its turn, with and without the space before it.

    Args:
        space: What stands for a space in the vocabulary.
    """
    chains = [form for word in _WORDS for form in (space + word, word)]
    merges = ((form[:end], form[end]) for form in chains for end in range(1, len(form)))
    return list(dict.fromkeys(merges))


def grown(tokens: Iterable[str], size: int) -> list[str]:
    """The tokens, each once, and then pairs and triples of letters that no merge makes, up to `size`."""
    found = dict.fromkeys(tokens)
    missing = size - len(found)
    found.update(dict.fromkeys(islice((filler for filler in _letters() if filler not in found), missing)))
    return list(found)


def _letters() -> Iterator[str]:
    for length in (2, 3, 4):
        yield from ("".join(letters) for letters in product(ascii_letters, repeat=length))
