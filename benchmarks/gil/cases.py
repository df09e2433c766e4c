"""The calls that are measured: one request as services get it, and a batch.

Models are as small as is still realistic; weights are random where a model would have to be downloaded,
which changes the answers and not the work.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[], Any]

FEATURES = 11
ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Calls:
    """A call for one row and one for a batch, and what the batch is."""

    one: Call
    batch: Call
    size: str


@dataclass(frozen=True, slots=True)
class Case:
    """`library` is the file in `rules/libraries/` that the result speaks of, or `reference`."""

    name: str
    library: str
    package: str
    build: Callable[[], Calls]


def table(rows: int = 3000, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Features and a binary target."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, FEATURES)).astype(np.float32)
    return features, (features[:, 0] + features[:, 1] * features[:, 2] > rng.normal(0, 0.5, rows)).astype(int)


def on_rows(method: Callable[[Any], Any], rows: int = ROWS) -> Calls:
    """The method on one row and on many."""
    features, _ = table(rows, seed=2)
    return Calls(partial(method, features[:1]), partial(method, features), f"{rows:,} rows")


# References: what the method says where the answer is known.


def hashing() -> Calls:
    import hashlib

    def derive(rounds: int) -> bytes:
        return hashlib.pbkdf2_hmac("sha256", b"password", b"salt", rounds)

    return Calls(partial(derive, 1000), partial(derive, 20_000), "20 times the rounds")


def pure_python() -> Calls:
    def loop(count: int) -> int:
        return sum(number * number for number in range(count))

    return Calls(partial(loop, 20_000), partial(loop, 400_000), "20 times the loop")


# scikit-learn


def sklearn(
    module: str, name: str, method: str = "predict_proba", rows: int = ROWS, **parameters: Any
) -> Calls:
    import importlib

    estimator = getattr(importlib.import_module(f"sklearn.{module}"), name)(**parameters)
    return on_rows(getattr(estimator.fit(*table()), method), rows)


def bankchurn(method: str) -> Calls:
    """The example's own predictor, trained by its own script."""
    import sys

    example = Path(__file__).parents[2] / "examples" / "bankchurn"
    sys.path.insert(0, str(example))
    import train
    from bankchurn.predictor import ChurnPredictor

    with tempfile.TemporaryDirectory() as folder:
        train.train(Path(folder), train.FULL)
        predictor = ChurnPredictor.from_files(Path(folder) / "model.joblib", Path(folder) / "model_card.json")
    rows = train.customers(ROWS if method == "predict" else 500, seed=3)
    call = partial(predictor.predict, include_proba=True) if method == "predict" else predictor.explain
    return Calls(partial(call, rows[:1]), partial(call, rows), f"{len(rows):,} rows")


def pipeline() -> Calls:
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    features, target = table(ROWS)
    frame = pd.DataFrame(features, columns=[f"x{i}" for i in range(FEATURES)])
    frame["kind"] = np.where(features[:, 0] > 0, "a", "b")
    columns = ColumnTransformer(
        [("scale", StandardScaler(), ["x0", "x1"]), ("hot", OneHotEncoder(), ["kind"])]
    )
    method = make_pipeline(columns, LogisticRegression()).fit(frame, target).predict_proba
    return Calls(partial(method, frame[:1]), partial(method, frame), f"{ROWS:,} rows")


# Boosting


def xgboost_sklearn() -> Calls:
    from xgboost import XGBClassifier

    return on_rows(XGBClassifier(n_estimators=300, n_jobs=1).fit(*table()).predict_proba)


def xgboost_booster() -> Calls:
    import xgboost

    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(*table()), 300)
    return on_rows(lambda rows: booster.predict(xgboost.DMatrix(rows)))


def lightgbm_sklearn() -> Calls:
    from lightgbm import LGBMClassifier

    return on_rows(LGBMClassifier(n_estimators=300, n_jobs=1, verbose=-1).fit(*table()).predict_proba)


def lightgbm_booster() -> Calls:
    import lightgbm

    parameters = {"num_threads": 1, "verbose": -1, "objective": "binary"}
    return on_rows(lightgbm.train(parameters, lightgbm.Dataset(*table()), 300).predict)


def catboost() -> Calls:
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(iterations=300, thread_count=1, verbose=False, allow_writing_files=False).fit(
        *table()
    )
    return on_rows(partial(model.predict_proba, thread_count=1))


# Deep learning


def onnxruntime() -> Calls:
    import onnxruntime
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    features, target = table()
    model = to_onnx(RandomForestClassifier(200, max_depth=10).fit(features, target), features[:1])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return on_rows(lambda rows: session.run(None, {"X": rows}))


def torch_mlp() -> Calls:
    import torch
    from torch import nn

    torch.set_num_threads(1)
    layers = [nn.Linear(FEATURES, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 1)]
    network = nn.Sequential(*layers).eval()

    def forward(rows: np.ndarray) -> Any:
        with torch.inference_mode():
            return network(torch.from_numpy(rows)).numpy()

    return on_rows(forward)


def torch_transformer() -> Calls:
    import torch
    from torch import nn

    torch.set_num_threads(1)
    layer = nn.TransformerEncoderLayer(384, 6, 1536, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 6).eval()
    texts = torch.randn(16, 128, 384)

    def forward(batch: Any) -> Any:
        with torch.inference_mode():
            return encoder(batch).numpy()

    return Calls(partial(forward, texts[:1]), partial(forward, texts), "16 texts of 128 tokens")


def word_tokenizer() -> Any:
    """A fast tokenizer of whole words, made here."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", *(f"word{i}" for i in range(2000))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")


def sentences(count: int, words: int = 60) -> list[str]:
    rng = np.random.default_rng(7)
    return [" ".join(f"word{i}" for i in rng.integers(0, 2000, words)) for _ in range(count)]


def bert_config() -> Any:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=2002,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=6,
        intermediate_size=1536,
        pad_token_id=0,
    )


def transformers_pipeline() -> Calls:
    import torch
    from transformers import BertForSequenceClassification, pipeline

    torch.set_num_threads(1)
    model = BertForSequenceClassification(bert_config()).eval()
    classify = pipeline("text-classification", model=model, tokenizer=word_tokenizer(), device="cpu")
    texts = sentences(32)
    return Calls(partial(classify, texts[0]), partial(classify, texts, batch_size=16), "32 texts of 60 words")


def sentence_transformers() -> Calls:
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertModel

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        BertModel(bert_config()).save_pretrained(folder)
        word_tokenizer().save_pretrained(folder)
        transformer = models.Transformer(folder, max_seq_length=128)
    pooling = models.Pooling(transformer.get_word_embedding_dimension())
    encode = SentenceTransformer(modules=[transformer, pooling], device="cpu").encode
    texts = sentences(32)
    return Calls(
        partial(encode, texts[0], show_progress_bar=False),
        partial(encode, texts, batch_size=16, show_progress_bar=False),
        "32 texts of 60 words",
    )


def fast_tokenizer() -> Calls:
    tokenizer = word_tokenizer()
    texts = sentences(200)
    return Calls(
        lambda: tokenizer(texts[0])["input_ids"],
        lambda: tokenizer(texts, padding=True)["input_ids"],
        "200 texts of 60 words",
    )


# Language, statistics, explanations


def spacy() -> Calls:
    import spacy

    language = spacy.blank("en")
    language.add_pipe("sentencizer")
    texts = sentences(200)
    return Calls(
        lambda: len(language(texts[0])), lambda: [len(doc) for doc in language.pipe(texts)], "200 texts"
    )


def statsmodels_glm() -> Calls:
    import statsmodels.api as sm

    features, target = table()
    result = sm.GLM(target, features, family=sm.families.Binomial()).fit()
    return on_rows(result.predict)


def statsmodels_sarimax() -> Calls:
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    series = np.sin(np.arange(300) / 4) + np.random.default_rng(3).normal(0, 0.1, 300)
    result = SARIMAX(series, order=(2, 0, 1)).fit(disp=False)
    return Calls(
        partial(result.forecast, 24),
        lambda: result.append(series[:200]).forecast(24),
        "24 steps after 200 new points",
    )


def prophet() -> Calls:
    import logging

    import pandas as pd
    from prophet import Prophet

    logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
    days = pd.date_range("2024-01-01", periods=400)
    series = pd.DataFrame({"ds": days, "y": np.sin(np.arange(400) / 7)})
    model = Prophet(uncertainty_samples=0).fit(series)
    predict = lambda frame: model.predict(frame)["yhat"].to_numpy()  # noqa: E731 - used twice, right here
    future = model.make_future_dataframe(1600)[["ds"]]
    return Calls(partial(predict, future[-1:]), partial(predict, future), f"{len(future):,} days")


def shap_tree() -> Calls:
    import shap
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(n_estimators=200).fit(*table())
    return on_rows(shap.TreeExplainer(model).shap_values, rows=500)


def shap_kernel() -> Calls:
    import shap
    from sklearn.linear_model import LogisticRegression

    features, target = table()
    model = LogisticRegression().fit(features, target)
    explainer = shap.KernelExplainer(lambda rows: model.predict_proba(rows)[:, 1], features[:20])
    values = partial(explainer.shap_values, nsamples=200, silent=True)
    return Calls(partial(values, features[:1]), partial(values, features[:5]), "5 rows")


CASES = (
    Case("pbkdf2 (C without the GIL)", "reference", "", hashing),
    Case("a loop in Python", "reference", "", pure_python),
    Case(
        "LogisticRegression.predict_proba",
        "scikit-learn",
        "scikit-learn",
        partial(sklearn, "linear_model", "LogisticRegression"),
    ),
    Case(
        "RandomForestClassifier(200).predict_proba",
        "scikit-learn",
        "scikit-learn",
        partial(sklearn, "ensemble", "RandomForestClassifier", n_estimators=200, max_depth=10),
    ),
    Case(
        "GradientBoostingClassifier(200).predict_proba",
        "scikit-learn",
        "scikit-learn",
        partial(sklearn, "ensemble", "GradientBoostingClassifier", n_estimators=200),
    ),
    Case(
        "HistGradientBoostingClassifier(200).predict_proba",
        "scikit-learn",
        "scikit-learn",
        partial(sklearn, "ensemble", "HistGradientBoostingClassifier", max_iter=200),
    ),
    Case(
        "KNeighborsClassifier(brute).predict",
        "scikit-learn",
        "scikit-learn",
        partial(sklearn, "neighbors", "KNeighborsClassifier", "predict", rows=1000, algorithm="brute"),
    ),
    Case(
        "SVC(rbf).predict",
        "scikit-learn",
        "scikit-learn",
        partial(sklearn, "svm", "SVC", "predict", rows=2000),
    ),
    Case("ColumnTransformer + LogisticRegression", "scikit-learn", "scikit-learn", pipeline),
    Case("bankchurn predict (stacking)", "scikit-learn", "scikit-learn", partial(bankchurn, "predict")),
    Case("bankchurn explain", "scikit-learn", "scikit-learn", partial(bankchurn, "explain")),
    Case("XGBClassifier(300).predict_proba", "xgboost", "xgboost-cpu", xgboost_sklearn),
    Case("Booster.predict(DMatrix)", "xgboost", "xgboost-cpu", xgboost_booster),
    Case("LGBMClassifier(300).predict_proba", "lightgbm", "lightgbm", lightgbm_sklearn),
    Case("Booster.predict", "lightgbm", "lightgbm", lightgbm_booster),
    Case("CatBoostClassifier(300).predict_proba", "catboost", "catboost", catboost),
    Case("InferenceSession.run (random forest)", "onnxruntime", "onnxruntime", onnxruntime),
    Case("MLP 11-512-512-1", "torch", "torch", torch_mlp),
    Case("TransformerEncoder 6 x 384", "torch", "torch", torch_transformer),
    Case(
        "pipeline(text-classification), BERT 6 x 384", "transformers", "transformers", transformers_pipeline
    ),
    Case("PreTrainedTokenizerFast()", "transformers", "transformers", fast_tokenizer),
    Case(
        "SentenceTransformer.encode, BERT 6 x 384",
        "sentence-transformers",
        "sentence-transformers",
        sentence_transformers,
    ),
    Case("blank('en') with sentencizer", "spacy", "spacy", spacy),
    Case("GLM.predict", "statsmodels", "statsmodels", statsmodels_glm),
    Case("SARIMAX.forecast", "statsmodels", "statsmodels", statsmodels_sarimax),
    Case("Prophet.predict", "prophet", "prophet", prophet),
    Case("TreeExplainer.shap_values", "shap", "shap", shap_tree),
    Case("KernelExplainer.shap_values", "shap", "shap", shap_kernel),
)
