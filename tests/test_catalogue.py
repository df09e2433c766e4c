"""The data in `rules/libraries` and `rules/frameworks` holds together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from servelint.knowledge import compiled
from servelint.knowledge.types import (
    Claim,
    Entry,
    Framework,
    Library,
    LibraryType,
    Role,
    SyncRuns,
    alternatives,
)

CATALOGUE = compiled.catalogue()
LIBRARIES = list(CATALOGUE.libraries.values())
FRAMEWORKS = list(CATALOGUE.frameworks)

SOURCE = re.compile(r"https?://\S+|wheel [\w.-]+==\d\S*|benchmarks/\w+")
PATTERN = re.compile(r"(?:[\w.*,]|\{[\w.*,]+\})+")
DOTTED = re.compile(r"[A-Za-z_][\w.]*[\w]|\w")


def library_id(library: Library) -> str:
    return library.name


def framework_id(framework: Framework) -> str:
    return framework.name


def entries(library: Library) -> Iterator[tuple[str, Entry]]:
    yield from library.functions.items()
    for known in library.types.values():
        if known.construct:
            yield known.name, known.construct
        for name, entry in known.methods.items():
            yield f"{known.name}.{name}", entry


def patterns(library: Library) -> Iterator[str]:
    yield from library.functions
    for known in library.types.values():
        yield from known.classes


def class_of(name: str) -> str:
    known = CATALOGUE.classes.find(name)
    return known.name if known else ""


def role_of(name: str) -> Role | None:
    entry = CATALOGUE.functions.find(name)
    return entry.role if entry else None


def method_role(class_name: str, method: str) -> Role | None:
    entry = CATALOGUE.method(class_of(class_name), method)
    return entry.role if entry else None


@pytest.mark.parametrize("library", LIBRARIES, ids=library_id)
class TestLibrary:
    def test_says_where_it_was_read(self, library: Library) -> None:
        assert SOURCE.fullmatch(library.source)

    @pytest.mark.parametrize("aspect", ["thread_safe", "thread_safe_remote", "gil", "context"])
    def test_claims_have_a_known_verdict_and_a_reason(self, library: Library, aspect: str) -> None:
        claim: Claim = getattr(library, aspect)
        assert (
            claim.verdict
            in {
                "thread_safe": {"yes", "no", "unknown"},
                "thread_safe_remote": {"yes", "no", "unknown"},
                "gil": {"releases", "holds", "mixed", "unknown"},
                "context": {"read", "unread", "unknown"},
            }[aspect]
        )
        assert not claim.source or SOURCE.fullmatch(claim.source)
        assert claim.verdict in ("unknown", "mixed") or claim.source or claim.note

    def test_names_only_types_that_exist(self, library: Library) -> None:
        for name, entry in entries(library):
            assert entry.returns in ("", "self") or entry.returns in CATALOGUE.types, name
        for known in library.types.values():
            named = (*known.inherits, *known.attributes.values(), *filter(None, known.items))
            named += (*known.given, *known.given.values())
            assert set(named) <= set(CATALOGUE.types), known.name

    def test_self_is_only_returned_by_methods(self, library: Library) -> None:
        assert not [name for name, entry in library.functions.items() if entry.returns == "self"]

    def test_patterns_are_well_formed(self, library: Library) -> None:
        for text in patterns(library):
            assert PATTERN.fullmatch(text), text
            assert all("*" in option or DOTTED.fullmatch(option) for option in alternatives(text)), text

    def test_overrides_name_methods_of_the_type(self, library: Library) -> None:
        for known in library.types.values():
            for caller in known.override_means.values():
                assert CATALOGUE.method(known.name, caller), known.name

    def test_a_type_can_be_reached(self, library: Library) -> None:
        named = {
            name
            for other in LIBRARIES
            for known in other.types.values()
            for name in (*known.inherits, *known.attributes.values(), *known.items, *known.given.values())
        } | {entry.returns for other in LIBRARIES for _, entry in entries(other)}
        unreachable = [t.name for t in library.types.values() if not t.classes and t.name not in named]
        assert unreachable == []

    def test_inherits_without_a_cycle(self, library: Library) -> None:
        for known in library.types.values():
            assert not any(known.name in t.inherits for t in CATALOGUE.lineage(known.name)), known.name


def test_every_name_has_one_owner() -> None:
    owners = Counter(
        option
        for library in LIBRARIES
        for option in {option for text in patterns(library) for option in alternatives(text)}
    )
    assert [text for text, count in owners.items() if count > 1] == []


def test_a_name_is_a_function_or_a_class() -> None:
    functions = {o for lib in LIBRARIES for text in lib.functions for o in alternatives(text)}
    classes = {
        o for lib in LIBRARIES for t in lib.types.values() for text in t.classes for o in alternatives(text)
    }
    assert functions & classes == set()


def test_type_names_are_unique() -> None:
    names = Counter(known for library in LIBRARIES for known in library.types)
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=framework_id)
class TestFramework:
    def test_says_where_it_was_read(self, framework: Framework) -> None:
        assert SOURCE.fullmatch(framework.source)

    def test_modules_are_named(self, framework: Framework) -> None:
        assert framework.modules

    def test_patterns_are_well_formed(self, framework: Framework) -> None:
        for point in framework.entry_points:
            assert PATTERN.fullmatch(point.decorator or point.argument_of or point.subclass)
        for offload in (*framework.offloads, *framework.runs, *framework.on_loop, *framework.injects):
            assert PATTERN.fullmatch(offload.name or offload.method)

    def test_entry_points_say_which_callable(self, framework: Framework) -> None:
        for point in framework.entry_points:
            if point.argument_of:
                assert point.position is not None or point.keyword
            if point.subclass:
                assert point.methods

    def test_calls_are_found_by_their_last_name(self, framework: Framework) -> None:
        names = [o for p in framework.entry_points for o in alternatives(p.argument_of)]
        assert not [name for name in names if name.endswith("*")]

    def test_conditions_change_something(self, framework: Framework) -> None:
        for point in framework.entry_points:
            assert not (point.thread_when and point.sync is not SyncRuns.LOOP)
            assert not (point.loop_when and point.sync is SyncRuns.LOOP)

    def test_calls_say_which_argument(self, framework: Framework) -> None:
        for offload in (*framework.offloads, *framework.runs, *framework.on_loop, *framework.injects):
            assert offload.position is not None or offload.keyword


def test_a_decorator_means_one_thing() -> None:
    points = [p for f in FRAMEWORKS for p in f.entry_points if p.decorator]
    names = Counter(option for p in points for option in alternatives(p.decorator))
    assert [name for name, count in names.items() if count > 1] == []


def test_class_methods_are_no_classes() -> None:
    assert CATALOGUE.classes.find("gensim.models.Word2Vec.load") is None
    assert class_of("gensim.models.Word2Vec") == "gensim.Model"
    assert CATALOGUE.classes.find("langchain_community.vectorstores.FAISS.from_documents") is None


@pytest.mark.parametrize(
    ("name", "type_name"),
    [
        ("sklearn.ensemble.RandomForestClassifier", "sklearn.Estimator"),
        ("sklearn.preprocessing.StandardScaler", "sklearn.Scaler"),
        ("torch.nn.Linear", "torch.Module"),
        ("torch.nn.Softmax", "torch.Elementwise"),
        ("torch.nn.CrossEntropyLoss", "torch.Elementwise"),
        ("transformers.AutoModelForSequenceClassification", "transformers.Model"),
        ("transformers.BertModel", "transformers.Model"),
        ("transformers.WhisperForConditionalGeneration", "transformers.Model"),
        ("transformers.AutoTokenizer", "transformers.Tokenizer"),
        ("transformers.BertTokenizerFast", "transformers.Tokenizer"),
        ("transformers.WhisperProcessor", "transformers.Processor"),
        ("transformers.AutoProcessor", "transformers.Processor"),
        ("transformers.AutoImageProcessor", "transformers.FeatureExtractor"),
        ("transformers.AutoConfig", "transformers.Config"),
        ("transformers.TextIteratorStreamer", "transformers.Streamer"),
        ("transformers.AsyncTextIteratorStreamer", "transformers.AsyncStreamer"),
        ("transformers.DataCollatorWithPadding", ""),
        ("transformers.TextClassificationPipeline", "transformers.Pipeline"),
        ("transformers.TrainingArguments", ""),
        ("sentence_transformers.SentenceTransformer", "sentence_transformers.SentenceTransformer"),
        ("diffusers.StableDiffusionPipeline", "diffusers.Pipeline"),
        ("diffusers.EulerDiscreteScheduler", "diffusers.Scheduler"),
        ("xgboost.XGBClassifier", "xgboost.Model"),
        ("lightgbm.LGBMRegressor", "lightgbm.Model"),
        ("statsmodels.tsa.arima.model.ARIMA", "statsmodels.Model"),
        ("statsmodels.tsa.arima.model.ARIMAResults", "statsmodels.Results"),
        ("langchain_openai.ChatOpenAI", "langchain.Runnable"),
        ("langchain_core.prompts.ChatPromptTemplate", "langchain.Text"),
        ("langchain_core.output_parsers.StrOutputParser", "langchain.Text"),
        ("langchain_openai.OpenAIEmbeddings", "langchain.Embeddings"),
        ("langchain_huggingface.HuggingFaceEmbeddings", "langchain.LocalEmbeddings"),
        ("langchain_community.llms.LlamaCpp", "langchain.LocalModel"),
        ("langchain_community.vectorstores.FAISS", "langchain.VectorStore"),
    ],
)
def test_classes_are_told_apart(name: str, type_name: str) -> None:
    assert class_of(name) == type_name


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("joblib.load", Role.LOAD),
        ("pickle.load", Role.CHEAP),
        ("transformers.pipeline", Role.LOAD),
        ("torch.load", Role.LOAD),
        ("torch.nn.functional.softmax", Role.CHEAP),
        ("torchvision.models.resnet50", Role.LOAD),
        ("torchvision.models.detection.fasterrcnn_resnet50_fpn", Role.LOAD),
        ("sklearn.metrics.accuracy_score", Role.CHEAP),
        ("librosa.load", Role.PREPROCESSING),
        ("soundfile.read", Role.CHEAP),
        ("whisper.load_audio", Role.PREPROCESSING),
        ("litellm.completion", Role.REMOTE),
        ("litellm.acompletion", Role.COROUTINE),
        ("cv2.imdecode", None),
        ("json.loads", None),
        ("en_core_web_sm.load", Role.LOAD),
    ],
)
def test_functions_have_their_role(name: str, role: Role | None) -> None:
    assert role_of(name) == role


@pytest.mark.parametrize(
    ("class_name", "method", "role"),
    [
        ("xgboost.XGBClassifier", "predict_proba", Role.INFERENCE),
        ("sklearn.preprocessing.LabelEncoder", "inverse_transform", Role.CHEAP),
        ("sklearn.compose.ColumnTransformer", "transform", Role.INFERENCE),
        ("transformers.AutoModelForCausalLM", "generate", Role.INFERENCE),
        ("transformers.AutoModelForCausalLM", "__call__", Role.INFERENCE),
        ("transformers.AutoModelForCausalLM", "to", Role.CHEAP),
        ("transformers.AutoTokenizer", "from_pretrained", Role.LOAD),
        ("transformers.AutoTokenizer", "__call__", Role.CHEAP),
        ("transformers.WhisperProcessor", "__call__", Role.PREPROCESSING),
        ("fastembed.TextEmbedding", "embed", Role.LAZY),
        ("spacy.language.Language", "pipe", Role.LAZY),
        ("vllm.LLM", "generate", Role.INFERENCE),
        ("vllm.AsyncLLMEngine", "generate", Role.COROUTINE),
        ("openai.OpenAI", "create", Role.REMOTE),
        ("openai.AsyncOpenAI", "create", Role.COROUTINE),
        ("kokoro.KPipeline", "__call__", Role.LAZY),
        ("sentence_transformers.SentenceTransformer", "similarity", Role.CHEAP),
        ("langchain_openai.ChatOpenAI", "invoke", Role.REMOTE),
        ("langchain_openai.ChatOpenAI", "ainvoke", Role.COROUTINE),
        ("langchain_huggingface.HuggingFaceEmbeddings", "embed_query", Role.INFERENCE),
        ("qdrant_client.QdrantClient", "search", Role.REMOTE),
        ("qdrant_client.AsyncQdrantClient", "search", Role.COROUTINE),
    ],
)
def test_methods_have_their_role(class_name: str, method: str, role: Role) -> None:
    assert method_role(class_name, method) == role


@pytest.mark.parametrize("loader", ["clip.load", "open_clip.create_model_and_transforms"])
def test_a_transform_loaded_beside_a_model_is_not_called_a_model(loader: str) -> None:
    loaded = CATALOGUE.functions.find(loader)
    assert loaded is not None
    part = CATALOGUE.items(loaded.returns)
    assert CATALOGUE.method(part, "__call__") is None
    encode = CATALOGUE.method(part, "encode_image")
    assert encode is not None
    assert encode.role is Role.INFERENCE


def test_chains_of_attributes_reach_the_method() -> None:
    def follow(class_name: str, *attributes: str) -> str:
        known: LibraryType | None = CATALOGUE.classes.find(class_name)
        assert known is not None
        name = known.name
        for attribute in attributes:
            name = CATALOGUE.attribute(name, attribute) or CATALOGUE.attribute(name, "*")
        return name

    sync = CATALOGUE.method(follow("openai.OpenAI", "chat", "completions"), "create")
    asynchronous = CATALOGUE.method(follow("google.genai.Client", "aio", "models"), "generate_content")
    assert sync is not None
    assert sync.role is Role.REMOTE
    assert asynchronous is not None
    assert asynchronous.role is Role.COROUTINE
