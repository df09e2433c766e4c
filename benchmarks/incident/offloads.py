"""The example's `/predict`, offloaded in the ways that people use.

`INCIDENT_OFFLOAD` names the way: `def`, `default`, `to_thread`, `pool-N` or `process-N`. Everything else
(lifespan, telemetry, schemas, model) is the example's own.
"""

from __future__ import annotations

import asyncio
import functools
import multiprocessing
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import asynccontextmanager

import pandas as pd
from bankchurn import app as bankchurn
from bankchurn.predictor import ChurnPredictor
from bankchurn.schemas import Customer, Prediction, to_frame
from bankchurn.settings import settings
from fastapi import FastAPI

Infer = Callable[[pd.DataFrame], Awaitable[pd.DataFrame]]


@functools.cache
def own_predictor() -> ChurnPredictor:
    """The predictor of this process: a process pool cannot share its parent's."""
    return ChurnPredictor.from_files(settings.model_path, settings.card_path)


def infer(df: pd.DataFrame) -> pd.DataFrame:
    predictor = bankchurn.predictor or own_predictor()
    return predictor.predict(df, include_proba=True)


def executor(way: str) -> Executor | None:
    """The pool that belongs to this way; None where it has none of its own."""
    kind, _, size = way.partition("-")
    match kind:
        case "pool":
            return ThreadPoolExecutor(max_workers=int(size))
        case "process":
            # Forking a process that has run OpenMP can deadlock the child.
            context = multiprocessing.get_context("spawn")
            return ProcessPoolExecutor(max_workers=int(size), mp_context=context)
        case "def" | "default" | "to_thread":
            return None
    raise ValueError(f"unknown INCIDENT_OFFLOAD: {way!r}")


def offload(way: str, pool: Executor | None) -> Infer:
    """How to run `infer` elsewhere than on the loop."""
    if way == "to_thread":
        return functools.partial(asyncio.to_thread, infer)

    async def offloaded(df: pd.DataFrame) -> pd.DataFrame:
        return await asyncio.get_running_loop().run_in_executor(pool, infer, df)

    return offloaded


def prediction(result: pd.DataFrame) -> Prediction:
    return Prediction(churn=result["churn"].iloc[0], probability=result["probability"].iloc[0])


def application(way: str) -> FastAPI:
    """The example's application with `/predict` offloaded in this way."""
    pool = executor(way)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with bankchurn.lifespan(app):
            yield
        if pool is not None:
            pool.shutdown()  # waits for processes, whose time would not be counted as the pod's otherwise

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(bankchurn.RequestTelemetry)
    app.get("/health")(bankchurn.health)
    app.get("/metrics")(bankchurn.metrics)

    if way == "def":

        @app.post("/predict")
        def predict_in_thread(customer: Customer) -> Prediction:
            return prediction(infer(to_frame([customer])))

    else:
        run = offload(way, pool)

        @app.post("/predict")
        async def predict(customer: Customer) -> Prediction:
            return prediction(await run(to_frame([customer])))

    return app


app = application(os.environ["INCIDENT_OFFLOAD"])
