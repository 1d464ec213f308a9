"""The peers of labels.py: cleanlab and its Datalab, on one cross-validated logistic regression of the same vectors.

The regression is given every chance: unit-length, standardised vectors, and the best of several strengths.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # of scikit-learn, untyped

from curate import heads
from curate.suspicion import judge_labels
from processes import cpu_seconds

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # scikit-learn's C; the best is always between


@dataclass(frozen=True)
class Verdict:
    """What one tool says: quality (N,), low is wrong; flags (N,); probabilities (N, K) it rests on.

    stated: precision of the flags as promised, and errors: estimated number with interval; None where a tool
    doesn't say. cpu_s includes fitting its models, not the embedding.
    """

    quality: Floats
    flags: Bools
    probabilities: Floats
    cpu_s: float
    stated: float | None = None
    errors: tuple[int, int, int] | None = None


def cross_validated(vectors: Floats, labels: Ints) -> Floats:
    """Out-of-sample probabilities (N, K) of the strength whose probabilities fit the given labels best."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    said = [
        cross_val_predict(
            make_pipeline(Normalizer(), StandardScaler(), LogisticRegression(C=strength, max_iter=1000)),
            vectors,
            labels,
            cv=folds,
            method="predict_proba",
        )
        for strength in STRENGTHS
    ]
    return np.asarray(min(said, key=lambda one: log_loss(labels, one)))


def all_verdicts(vectors: Floats, labels: Ints, copies: Ints) -> dict[str, Verdict]:
    """Ours and the peers'. The last gives cleanlab our probabilities, to tell what its judgement alone is worth."""
    with threadpool_limits(1, "blas"):  # as the command runs; threads that spin while they wait would count as work
        ours = _curate(vectors, labels, copies)
        started = cpu_seconds()
        said = cross_validated(vectors, labels)
        cpu_s = cpu_seconds() - started
    return {
        "curate": ours,
        "cleanlab": _cleanlab(labels, said, cpu_s),
        "Datalab": _datalab(labels, said, cpu_s),
        "cleanlab, our p": _cleanlab(labels, ours.probabilities, ours.cpu_s),
    }


def _curate(vectors: Floats, labels: Ints, copies: Ints) -> Verdict:
    started = cpu_seconds()
    said = heads.out_of_sample(vectors, labels, copies, int(labels.max()) + 1)
    found = judge_labels(labels, said.calibrated, copies, copies=copies)
    return Verdict(
        quality=found.quality,
        flags=found.is_error,
        probabilities=said.calibrated,
        cpu_s=cpu_seconds() - started,
        stated=found.stated_precision,
        errors=(found.estimated_errors, found.fewest_errors, found.most_errors),
    )


def _cleanlab(labels: Ints, said: Floats, cpu_s: float) -> Verdict:
    from cleanlab.count import num_label_issues
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    started = cpu_seconds()
    flags = find_label_issues(labels, said, n_jobs=1)
    quality = get_label_quality_scores(labels, said)
    count = int(num_label_issues(labels, said))
    return Verdict(quality, flags, said, cpu_s + cpu_seconds() - started, errors=(count, count, count))


def _datalab(labels: Ints, said: Floats, cpu_s: float) -> Verdict:
    from cleanlab import Datalab

    started = cpu_seconds()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lab = Datalab(data={"label": labels}, label_name="label", verbosity=0)
        lab.find_issues(pred_probs=said, issue_types={"label": {}})
    found = lab.get_issues("label")
    quality, flags = found["label_score"].to_numpy(), found["is_label_issue"].to_numpy()
    return Verdict(quality, flags, said, cpu_s + cpu_seconds() - started)
