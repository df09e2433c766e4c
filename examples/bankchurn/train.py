"""Train the churn models on synthetic customers and write them to a folder.

Writes `model.joblib` (the champion, a stacking ensemble), `challenger.joblib` (one boosted ensemble),
`value.joblib` (what a customer is worth) and `model_card.json` (what the service needs to know of them).

    python train.py --out model            # about ten seconds on two cores
    python train.py --out model --small    # about three: for tests
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

NUMERIC = ["credit_score", "age", "tenure_years", "balance", "products", "salary"]
CATEGORICAL = ["country", "has_card", "is_active"]


@dataclass(frozen=True)
class Size:
    """How much is trained. Trees cost latency at serving time, rows only cost training time."""

    rows: int
    trees: int


SMALL = Size(rows=600, trees=20)
FULL = Size(rows=4000, trees=200)


def customers(rows: int, seed: int) -> pd.DataFrame:
    """Synthetic customers with the columns the service expects."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "credit_score": rng.normal(650, 95, rows).clip(350, 850).round(),
            "country": rng.choice(["FR", "DE", "ES"], rows, p=[0.5, 0.25, 0.25]),
            "age": rng.gamma(9, 4.4, rows).clip(18, 92).round(),
            "tenure_years": rng.integers(0, 11, rows).astype(float),
            "balance": np.where(
                rng.random(rows) < 0.35, 0.0, rng.normal(120_000, 30_000, rows).clip(0)
            ).round(2),
            "products": rng.choice([1.0, 2.0, 3.0, 4.0], rows, p=[0.5, 0.46, 0.03, 0.01]),
            "has_card": rng.choice(["yes", "no"], rows, p=[0.7, 0.3]),
            "is_active": rng.choice(["yes", "no"], rows, p=[0.52, 0.48]),
            "salary": rng.uniform(12_000, 200_000, rows).round(2),
        }
    )


def churned(frame: pd.DataFrame, seed: int) -> np.ndarray:
    """Whether each customer left: older, inactive and German customers leave more often."""
    logit = (
        -3.2
        + 0.06 * (frame["age"] - 38)
        + 0.9 * (frame["is_active"] == "no")
        + 0.8 * (frame["country"] == "DE")
        + 0.7 * (frame["products"] - 1.5).abs()
        + 0.3 * (frame["balance"] > 100_000)
    )
    return (np.random.default_rng(seed).random(len(frame)) < 1 / (1 + np.exp(-logit))).astype(int)


def preprocessing() -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("numeric", StandardScaler(), NUMERIC),
            ("categorical", OneHotEncoder(handle_unknown="ignore", sparse_output=False), CATEGORICAL),
        ]
    )


def champion(trees: int) -> Pipeline:
    """The stacking ensemble; `n_jobs=1` because the pod has one core."""
    stack = StackingClassifier(
        estimators=[
            ("forest", RandomForestClassifier(n_estimators=trees, max_depth=10, random_state=1)),
            ("boosting", GradientBoostingClassifier(n_estimators=trees, random_state=2)),
            ("xgboost", XGBClassifier(n_estimators=trees, max_depth=4, n_jobs=1, random_state=3)),
            ("lightgbm", LGBMClassifier(n_estimators=trees, n_jobs=1, random_state=4, verbose=-1)),
        ],
        final_estimator=LogisticRegression(),
        cv=3,
    )
    # Named columns all the way: LightGBM warns about every row when fitted with names and asked without.
    return Pipeline([("columns", preprocessing().set_output(transform="pandas")), ("classifier", stack)])


def challenger() -> Pipeline:
    return Pipeline(
        [("columns", preprocessing()), ("classifier", HistGradientBoostingClassifier(random_state=5))]
    )


def value_model() -> Pipeline:
    return Pipeline(
        [("columns", preprocessing()), ("regressor", HistGradientBoostingRegressor(random_state=6))]
    )


def train(out: Path, size: Size) -> dict[str, object]:
    """Train all models, write them to `out`, and return the model card that was written with them."""
    frame = customers(size.rows, seed=11)
    target = churned(frame, seed=12)
    fit_x, test_x, fit_y, test_y = train_test_split(
        frame, target, test_size=0.25, random_state=13, stratify=target
    )
    model = champion(size.trees).fit(fit_x, fit_y)
    probabilities = model.predict_proba(test_x)[:, 1]
    worth = 0.012 * frame["balance"] + 90 * frame["products"] + 0.001 * frame["salary"]

    out.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, out / "model.joblib")
    joblib.dump(challenger().fit(fit_x, fit_y), out / "challenger.joblib")
    joblib.dump(value_model().fit(frame, worth), out / "value.joblib")
    card: dict[str, object] = {
        "version": "2026.11",
        "rows": size.rows,
        "trees": size.trees,
        "auc": round(float(roc_auc_score(test_y, probabilities)), 3),
        "threshold": 0.5,
        "mean_probability": round(float(probabilities.mean()), 4),
        "typical_customer": {
            **{name: float(fit_x[name].median()) for name in NUMERIC},
            **{name: str(fit_x[name].mode()[0]) for name in CATEGORICAL},
        },
    }
    (out / "model_card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return card


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--out", type=Path, default=Path("model"), help="folder for the models (default: model)"
    )
    parser.add_argument("--small", action="store_true", help="fewer rows and trees: for tests")
    options = parser.parse_args()
    card = train(options.out, SMALL if options.small else FULL)
    print(f"wrote {options.out}/ (AUC {card['auc']}, {card['trees']} trees an ensemble)")


if __name__ == "__main__":
    main()
