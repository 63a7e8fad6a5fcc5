"""What an evaluation found, in words: what a reader must know before looking at any figure."""

from collections.abc import Iterator, Sequence

from dvla_ros.evaluation.evaluation_result import BagFacts, VariantResult
from dvla_ros.evaluation.prepared_bag import PreparedBag

_FEW = 0.02
"""Share of the questions that may be without an observation at the ends of episodes and of pauses."""


def findings(
    variants: Sequence[VariantResult], bags: Sequence[BagFacts], prepared: Sequence[PreparedBag]
) -> tuple[str, ...]:
    """Warnings, each once: recordings, then each policy. With several policies each warning says whose it is."""
    words = [
        *(f"{bag.path}: {warning}" for bag in bags for warning in bag.warnings),
        *(f"{bag.path}: {warning}" for bag in prepared for warning in bag.warnings),
    ]
    for variant in variants:
        name = f"{variant.name}: " if len(variants) > 1 else ""
        words += [f"{name}{warning}" for warning in _of_variant(variant)]
    return tuple(dict.fromkeys(_said_once(words, variants)))


def _of_variant(variant: VariantResult) -> Iterator[str]:
    again = variant.replay
    if again.count and not again.exact:
        yield (
            f"Asked again, the policy does not answer as recorded: of {again.count} observations "
            f"{again.observations_identical} are identical, {again.differing_chunks} chunks differ (by up to "
            f"{again.max_action_error:.3g}), and {again.token_differences} of {again.tokens} tokens. Were messages "
            "lost while recording, or is this another machine or version?"
        )
    missing = sum(variant.unanswered.values())
    if missing > _FEW * (missing + len(variant.samples)):
        reasons = "; ".join(f"{count} times: {reason}" for reason, count in variant.unanswered.items())
        yield (
            f"{missing} of {missing + len(variant.samples)} questions had no observation and were left out: {reasons}"
        )
    yield from variant.figures.warnings


def _said_once(words: Sequence[str], variants: Sequence[VariantResult]) -> list[str]:
    """What holds for all policies alike, such as an offset of a camera, without their names."""
    if len(variants) < 2:
        return list(words)
    shared = set.intersection(*(set(variant.figures.warnings) for variant in variants))
    return [text if (bare := _without_name(text, variants)) not in shared else bare for text in words]


def _without_name(text: str, variants: Sequence[VariantResult]) -> str:
    for variant in variants:
        if text.startswith(f"{variant.name}: "):
            return text.removeprefix(f"{variant.name}: ")
    return text
