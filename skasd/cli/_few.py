"""Scores of a few recordings by a model file, without the import of scikit-learn, which takes longer than they do."""

from pathlib import Path

from skasd.cli._models import Scored, score_recordings
from skasd.cli._recordings import Recording, told_if_done
from skasd.cli._score_table import Row

_FEW = 50  # recordings; for more of them the import does not matter


def score_few(recordings: list[Recording], model: Path, jobs: int) -> list[Row] | None:
    """Rows of a few recordings; None if there are more, or the model is of another kind, or anything is wrong.

    What is wrong is left to be found and said by the model that is loaded as a whole.

    Parameters
    ----------
    recordings : list of Recording
        Recordings to score.
    model : Path
        Model file.
    jobs : int
        Number of threads.
    """
    if len(recordings) > _FEW:
        return None
    from skasd.persistence._scores import load_scores

    try:
        with told_if_done():
            machines = {machine: Scored(scores) for machine, scores in load_scores(model, jobs).items()}
            return score_recordings(recordings, machines, strict=True, verbose=0)
    except Exception:  # the caller tries again with the whole model, and that says it
        return None
