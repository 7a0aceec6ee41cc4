"""EmbeddingDetector: a detector whose network gives an embedding of each clip, and so a transformer too."""

from abc import abstractmethod
from typing import Any, final

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skasd.base import BaseDetector
from skasd.clips import Clips, check_clips


class EmbeddingDetector(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseDetector):
    """What detectors with an embedding share. One writes ``_embedding(clips)`` beside the hooks of :class:`BaseDetector`."""

    @abstractmethod
    def _embedding(self, clips: Clips) -> np.ndarray:
        """Embeddings (n_clips, n_features) of clips."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @final
    def transform(self, X: Any) -> np.ndarray:
        """Embeddings of the clips: what a back end scores.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.

        Returns
        -------
        embedding : ndarray of shape (n_clips, n_features)
            Of unit length where the network classifies by angle.
        """
        check_is_fitted(self)
        return self._embedding(check_clips(self, X, reset=False, feature=self._input_feature))
