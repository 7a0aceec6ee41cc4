"""Shapes in annotations: ``Float[Tensor, "clips dim"]`` is a tensor of real numbers with two axes of those names.

Axes of one name have one length within a call. The test run checks this with jaxtyping and beartype; jaxtyping is no
dependency of the package, and without it such an annotation is the tensor alone.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
else:
    try:
        from jaxtyping import Bool, Float, Int
    except ModuleNotFoundError:

        class _AnyShape:
            def __class_getitem__(cls, array_and_shape: tuple[Any, str]) -> Any:
                return array_and_shape[0]

        Bool = Float = Int = _AnyShape

__all__ = ["Bool", "Float", "Int"]
