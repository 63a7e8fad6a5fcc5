"""Tokens that must have the ids that a network was trained with."""

from collections.abc import Callable, Mapping
from pathlib import Path

from dvla_ros.errors import CheckpointError, ObservationError


def require_ids(find: Callable[[str], int | None], expected: Mapping[str, int], folder: Path) -> None:
    """Nothing, where every token has the id that is expected of it.

    Args:
        find: The id of a token, None where there is no such token.
        expected: Token to id.
        folder: Where the tokenizer came from, for the message.

    Raises:
        CheckpointError: Tokens are missing or have other ids; the message lists all of them.
    """
    wrong = [
        f"'{token}' {'is missing' if find(token) is None else f'has id {find(token)}'}, expected {number}"
        for token, number in expected.items()
        if find(token) != number
    ]
    if wrong:
        raise CheckpointError(
            f"The tokenizer in {folder} does not fit this system: {'; '.join(wrong)}. "
            "Copy the tokenizer files of the base model that the network was trained from."
        )


def require_plain(instruction: str, special_tokens: Mapping[str, int]) -> str:
    """The instruction itself, where no control token is written out in it.

    Raises:
        ObservationError: It contains one, which would end or restart the prompt.
    """
    if found := [token for token in special_tokens if token in instruction]:
        raise ObservationError(
            f"The instruction contains the control token(s) {found}: {instruction!r}. Leave them out."
        )
    return instruction
