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


def in_executor(executor: Executor | None) -> Infer:
    async def offloaded(df: pd.DataFrame) -> pd.DataFrame:
        return await asyncio.get_running_loop().run_in_executor(executor, infer, df)

    return offloaded


def offload(way: str) -> Infer:
    """How to run `infer` elsewhere than on the loop."""
    kind, _, size = way.partition("-")
    match kind:
        case "default":
            return in_executor(None)
        case "to_thread":
            return functools.partial(asyncio.to_thread, infer)
        case "pool":
            return in_executor(ThreadPoolExecutor(max_workers=int(size)))
        case "process":
            # Forking a process that has run OpenMP can deadlock the child.
            context = multiprocessing.get_context("spawn")
            return in_executor(ProcessPoolExecutor(max_workers=int(size), mp_context=context))
    raise ValueError(f"unknown INCIDENT_OFFLOAD: {way!r}")


def prediction(result: pd.DataFrame) -> Prediction:
    return Prediction(churn=result["churn"].iloc[0], probability=result["probability"].iloc[0])


def application(way: str) -> FastAPI:
    """The example's application with `/predict` offloaded in this way."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with bankchurn.lifespan(app):
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(bankchurn.RequestTelemetry)
    app.get("/health")(bankchurn.health)
    app.get("/metrics")(bankchurn.metrics)

    if way == "def":

        @app.post("/predict")
        def predict_in_thread(customer: Customer) -> Prediction:
            return prediction(infer(to_frame([customer])))

    else:
        run = offload(way)

        @app.post("/predict")
        async def predict(customer: Customer) -> Prediction:
            return prediction(await run(to_frame([customer])))

    return app


app = application(os.environ["INCIDENT_OFFLOAD"])
