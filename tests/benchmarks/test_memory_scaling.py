"""The arithmetic of the autoscaler simulation, against the examples and rules of the documentation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.memory_scaling.autoscaler import Autoscaler, desired_replicas
from benchmarks.memory_scaling.simulate import Pod, office_hours, simulate

CPU, MEMORY = {"cpu": 0.7}, {"memory": 0.8}


def day(targets: dict[str, float], pod: Pod, **changes: int) -> list[int]:
    """The replicas over a day."""
    return simulate(pod, Autoscaler(targets, **({"minimum": 2, "maximum": 12} | changes))).replicas


@pytest.mark.parametrize(
    ("current", "value", "target", "wanted"),
    [
        (1, 200, 100, 2),  # the documentation's own: twice the target doubles
        (4, 50, 100, 2),  # half of it halves
        (3, 0.5, 0.7, 3),  # 2.14 is rounded up
        (5, 1.1, 1.0, 5),  # within the tolerance of 10 %
        (5, 0.9, 1.0, 5),
        (5, 1.11, 1.0, 6),
        (8, 0.88, 0.8, 8),  # a ratio of 1.1 and a rounding error is still within it
        (10, 0.0, 0.7, 0),
    ],
)
def test_desired_replicas(current: int, value: float, target: float, wanted: int) -> None:
    assert desired_replicas(current, value, target) == wanted


@given(st.integers(1, 1000), st.floats(0, 10), st.floats(0.1, 2))
def test_what_is_wanted_would_meet_the_target_or_is_no_change(
    current: int, value: float, target: float
) -> None:
    wanted = desired_replicas(current, value, target)
    assert wanted == current or value * current <= wanted * target + 1e-6


def test_the_metric_that_asks_for_most_wins() -> None:
    autoscaler = Autoscaler(CPU | MEMORY, minimum=1, maximum=10)
    assert autoscaler.next_replicas(0, 2, {"cpu": 0.1, "memory": 1.2}) == 3


def test_up_by_four_or_to_twice_as_many_at_once() -> None:
    utilisation = {"cpu": 7.0}
    assert Autoscaler(CPU, minimum=1, maximum=100).next_replicas(0, 1, utilisation) == 5
    assert Autoscaler(CPU, minimum=1, maximum=100).next_replicas(0, 10, utilisation) == 20


def test_down_only_to_the_highest_of_five_minutes() -> None:
    autoscaler = Autoscaler(CPU, minimum=1, maximum=10)
    replicas = autoscaler.next_replicas(0, 4, {"cpu": 0.7})
    assert replicas == 4
    for second in range(15, 300, 15):
        assert autoscaler.next_replicas(second, 4, {"cpu": 0.35}) == 4, second
    assert autoscaler.next_replicas(300, 4, {"cpu": 0.35}) == 2


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_always_between_minimum_and_maximum(loads: list[float]) -> None:
    autoscaler, replicas = Autoscaler(CPU, minimum=2, maximum=7), 2
    for step, load in enumerate(loads):
        replicas = autoscaler.next_replicas(15 * step, replicas, {"cpu": load})
        assert 2 <= replicas <= 7


def test_the_traffic_rises_and_falls() -> None:
    night, morning, lunch = (office_hours(int(hour * 3600)) for hour in (2, 11, 13.5))
    assert night < lunch < morning
    assert night == pytest.approx(40, abs=1)
    assert morning == pytest.approx(400, abs=3)


def test_cpu_follows_the_traffic_down() -> None:
    replicas = day(CPU, Pod(resident=970, each=0.2, cpu_each=0.014))
    assert (replicas[0], max(replicas), replicas[-1]) == (2, 8, 2)


def test_a_model_above_the_target_climbs_to_the_maximum_and_stays() -> None:
    replicas = day(MEMORY, Pod(resident=970, each=0, cpu_each=0.014), maximum=30)
    assert replicas[-1] == 30
    assert replicas == sorted(replicas)


def test_a_model_near_the_target_never_moves_and_never_lets_go() -> None:
    pod = Pod(resident=850, each=0.2, cpu_each=0.014)
    assert set(day(MEMORY, pod)) == {2}
    both = day(CPU | MEMORY, pod)
    assert both == sorted(both)
    assert both[-1] == max(both) == 8


def test_memory_that_follows_the_requests_scales_well() -> None:
    pod = Pod(resident=120, each=18, cpu_each=0.005)
    by_memory = simulate(pod, Autoscaler(MEMORY, 2, 12))
    by_cpu = simulate(pod, Autoscaler(CPU, 2, 12))
    assert by_memory.replicas[-1] == 2
    assert by_memory.most_memory < 1 < by_cpu.most_memory


def test_a_heap_that_stays_keeps_what_it_scaled_to() -> None:
    pod = Pod(resident=500, each=6, cpu_each=0.014, keeps=True)
    replicas = day(MEMORY, pod)
    assert replicas == sorted(replicas)
    assert replicas[-1] > 2
