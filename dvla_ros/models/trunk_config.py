"""The numbers that make one decoder-only transformer a Llama-2, a LLaDA, an Emu3, a Qwen2 or one of our small ones."""

from dataclasses import dataclass
from typing import Literal, get_args

from dvla_ros.errors import ConfigurationError

NormKind = Literal["rms", "layer"]
MlpKind = Literal["gated", "gelu"]


@dataclass(frozen=True)
class TrunkConfig:
    """Shape of a trunk.

    Attributes:
        width: Size of a hidden state W.
        layers: Number of layers.
        heads: Query heads.
        kv_heads: Key and value heads; each serves heads / kv_heads query heads (grouped-query attention).
        intermediate: Size inside the feed-forward part.
        head_dim: Size of a head; None for width / heads.
        norm: `rms` (scale only) or `layer` (scale and bias).
        norm_eps: Added to the mean square or the variance.
        mlp: `gated` is down(SiLU(gate(x)) * up(x)), `gelu` is down(GELU(up(x))).
        qkv_bias: Whether query, key and value projections have a bias.
        out_bias: Whether the attention's output projection has one.
        mlp_bias: Whether the feed-forward projections have one.
        rope_theta: Base of the rotary position embedding; None where positions come with the tokens.
        mrope_sections: How many of the head_dim / 2 frequencies turn with time, height and width (Qwen2-VL); None for
            one position per token.

    Raises:
        ConfigurationError: A size is not positive, or sizes do not divide each other.
    """

    width: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    head_dim: int | None = None
    norm: NormKind = "rms"
    norm_eps: float = 1e-5
    mlp: MlpKind = "gated"
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    rope_theta: float | None = 10_000.0
    mrope_sections: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_kinds()
        self._check_rotary()

    def _check_sizes(self) -> None:
        for name in ("width", "layers", "heads", "kv_heads", "intermediate"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be 1 or more, got {getattr(self, name)}.")
        if self.heads % self.kv_heads:
            raise ConfigurationError(f"heads must be a multiple of kv_heads, got {self.heads} and {self.kv_heads}.")
        if self.head_dim is None and self.width % self.heads:
            raise ConfigurationError(
                f"width must be a multiple of heads where head_dim is not given, got {self.width} and {self.heads}."
            )
        if self.head_size < 1:
            raise ConfigurationError(f"head_dim must be 1 or more, got {self.head_dim}.")
        if self.norm_eps <= 0:
            raise ConfigurationError(f"norm_eps must be more than 0, got {self.norm_eps}.")

    def _check_kinds(self) -> None:
        if self.norm not in get_args(NormKind):
            raise ConfigurationError(f"Unknown norm '{self.norm}'; choose one of {get_args(NormKind)}.")
        if self.mlp not in get_args(MlpKind):
            raise ConfigurationError(f"Unknown mlp '{self.mlp}'; choose one of {get_args(MlpKind)}.")

    def _check_rotary(self) -> None:
        if self.rope_theta is None:
            if self.mrope_sections is not None:
                raise ConfigurationError(f"mrope_sections {self.mrope_sections} need a rope_theta.")
            return
        if self.rope_theta <= 0:
            raise ConfigurationError(f"rope_theta must be more than 0, got {self.rope_theta}.")
        if self.head_size % 2:
            raise ConfigurationError(f"Rotary positions turn pairs: head_dim must be even, got {self.head_size}.")
        sections = self.mrope_sections
        if sections is not None and (len(sections) != 3 or min(sections) < 0 or sum(sections) != self.head_size // 2):
            raise ConfigurationError(
                f"mrope_sections must be three sizes with the sum head_dim / 2 = {self.head_size // 2}, got {sections}."
            )

    @property
    def head_size(self) -> int:
        """Size of a head: `head_dim`, or width / heads."""
        return self.width // self.heads if self.head_dim is None else self.head_dim

    @classmethod
    def llama2_7b(cls, norm_eps: float = 1e-5) -> "TrunkConfig":
        """Llama-2 7B, the trunk of OpenVLA and Discrete Diffusion VLA, whose config.json may say another `norm_eps`."""
        return cls(width=4096, layers=32, heads=32, kv_heads=32, intermediate=11008, norm_eps=norm_eps)

    @classmethod
    def llada_8b(cls) -> "TrunkConfig":
        """LLaDA 8B, the trunk of LLaDA-V and LLaDA-VLA."""
        return cls(width=4096, layers=32, heads=32, kv_heads=32, intermediate=12288, rope_theta=500_000.0)

    @classmethod
    def emu3_8b(cls) -> "TrunkConfig":
        """Emu3 8B, the trunk of UniVLA, UD-VLA and DFM-VLA."""
        return cls(width=4096, layers=32, heads=32, kv_heads=8, intermediate=14336, rope_theta=1_000_000.0)

    @classmethod
    def qwen2_vl_2b(cls) -> "TrunkConfig":
        """The language model of Qwen2-VL 2B, the trunk of DiffusionVLA."""
        return cls(
            width=1536,
            layers=28,
            heads=12,
            kv_heads=2,
            intermediate=8960,
            norm_eps=1e-6,
            qkv_bias=True,
            rope_theta=1_000_000.0,
            mrope_sections=(16, 24, 24),
        )

    @classmethod
    def small(cls, width: int, heads: int, layers: int) -> "TrunkConfig":
        """Our own small models: LayerNorm, GELU, a bias everywhere, and positions that come with the tokens."""
        return cls(
            width=width,
            layers=layers,
            heads=heads,
            kv_heads=heads,
            intermediate=3 * width,
            norm="layer",
            mlp="gelu",
            qkv_bias=True,
            out_bias=True,
            mlp_bias=True,
            rope_theta=None,
        )
