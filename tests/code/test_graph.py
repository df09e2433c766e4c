"""The searches in graphs of imports, compared with the plain definition on generated graphs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from servelint.code.graph.edges import components, reached, reverse

NODES = "abcdefgh"
GRAPHS = st.dictionaries(st.sampled_from(NODES), st.lists(st.sampled_from(NODES), max_size=4))


@given(GRAPHS)
def test_nodes_that_lead_to_each_other_are_one_component(graph: dict[str, list[str]]) -> None:
    found = components(NODES, lambda node: graph.get(node, ()))
    leads = {node: reached([node], lambda one: graph.get(one, ())) for node in NODES}
    for one in NODES:
        assert found[found[one]] == found[one]
        for other in NODES:
            assert (found[one] == found[other]) == (other in leads[one] and one in leads[other])


@given(GRAPHS)
def test_edges_the_other_way_round(graph: dict[str, list[str]]) -> None:
    back = reverse(graph)
    assert sorted((one, other) for one in graph for other in graph[one]) == sorted(
        (one, other) for other in back for one in back[other]
    )


def test_a_long_way_is_no_deep_recursion() -> None:
    found = components(
        map(str, range(5000)), lambda node: [str(int(node) + 1)] if int(node) < 4999 else ["0"]
    )
    assert len(set(found.values())) == 1
