"""A reproducibility study of 'Soft-Attention Improves Skin Cancer Classification Performance' (Datta et al., 2021)."""

from importlib import import_module

_HOMES = {
    "ARMS": "vocabulary",
    "BACKBONES": "vocabulary",
    "PROTOCOLS": "vocabulary",
    "DATASETS": "data.catalog",
    "load_dataset": "data.datasets",
    "make_split": "data.splits",
    "SoftAttention": "model.attention",
    "attention_maps": "model.networks",
    "build_network": "model.networks",
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    """Import a public name when it is first used: reading a plan must not load TensorFlow."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
