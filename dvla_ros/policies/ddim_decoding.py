"""How DiffusionVLA's answer is decoded: the reasoning word by word, then the chunk by DDIM."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from dvla_ros.errors import ConfigurationError

DECODER = "ddim"


@dataclass(frozen=True)
class DdimDecoding:
    """Settings of the decoder `ddim`.

    Attributes:
        num_steps: Denoising steps of the chunk; evenly spaced noise levels, the last is level 0.
        clip_sample: Whether each step's estimate of the chunk is clipped to -1..1, the range of normalised actions.
        resamplings: How often each step is run where rows are frozen, see `DdimConfig`.
        adaptive_steps: Take max(1, floor(T * unknown / L)) steps when rows are frozen (DiscreteRTC, arXiv 2604.25050).
        warm_start_time: Share of the steps that a guess of the chunk makes unnecessary, see `DdimConfig`.
        reason: Whether to reason before acting, where the network can. Without it the condition is one that the
            network was not trained on: faster, but for comparison only.
        max_reasoning_tokens: Most tokens of the reasoning; 0 for as many as the network was made for.
    """

    num_steps: int = 10
    clip_sample: bool = True
    resamplings: int = 1
    adaptive_steps: bool = True
    warm_start_time: float = 0.5
    reason: bool = True
    max_reasoning_tokens: int = 0

    def __post_init__(self) -> None:
        if min(self.num_steps, self.resamplings) < 1 or self.max_reasoning_tokens < 0:
            raise ConfigurationError(
                "num_steps and resamplings must be 1 or more and max_reasoning_tokens 0 or more, got "
                f"{self.num_steps}, {self.resamplings} and {self.max_reasoning_tokens}."
            )
        if not 0 <= self.warm_start_time < 1:
            raise ConfigurationError(f"warm_start_time must be at least 0 and below 1, got {self.warm_start_time}.")


def ddim_decoding(settings: Mapping[str, object]) -> DdimDecoding:
    """The decoding that `settings` describe.

    Args:
        settings: `decoder` must be `ddim`; every other key is a field of `DdimDecoding`.

    Raises:
        ConfigurationError: The decoder is another one, a key is unknown, or a value is out of range.
    """
    values = dict(settings)
    if (name := values.pop("decoder", None)) != DECODER:
        raise ConfigurationError(f"Unknown decoder {name!r} for numbers; diffusion_vla has the decoder '{DECODER}'.")
    known = {field.name: type(field.default) for field in fields(DdimDecoding)}
    if unknown := sorted(set(values) - set(known)):
        raise ConfigurationError(
            f"The decoder '{DECODER}' has no settings {unknown}; it has {', '.join(sorted(known))}."
        )
    wrong = {key: value for key, value in values.items() if type(value) is not known[key]}
    if wrong:
        kinds = ", ".join(f"{key}={value!r} ({known[key].__name__} is needed)" for key, value in wrong.items())
        raise ConfigurationError(f"Settings of the decoder '{DECODER}' of the wrong kind: {kinds}.")
    return DdimDecoding(**values)  # type: ignore[arg-type]


def override_ddim(settings: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """`settings` with some replaced and every default written out; errors as for `ddim_decoding`."""
    return {"decoder": DECODER, **asdict(ddim_decoding({**settings, **changes}))}
