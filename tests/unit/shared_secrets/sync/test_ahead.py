"""Which reads begin before their turn: full batches, nobody passed over, nothing twice."""

from hypothesis import given
from hypothesis import strategies as st

from keyless.kube import Name
from keyless.shared_secrets.stores.model import RemoteRef
from keyless.shared_secrets.stores.resolution import StoreRef
from keyless.shared_secrets.sync.ahead import FULL, MOST_AHEAD, NEAR, Asks, joining

one = st.tuples(
    st.sets(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 400)), max_size=4),
    st.sampled_from(["SecretStore", "ClusterSecretStore"]),
    st.sampled_from(["x", "y"]),
)
queues = st.lists(one, max_size=60).map(
    lambda rows: {
        Name(namespace, f"e{number}"): Asks(
            namespace, frozenset((StoreRef(store, kind), RemoteRef(f"k{key}")) for store, key in names), 5.0, ""
        )
        if names
        else None
        for number, (names, kind, namespace) in enumerate(rows)
    }
)


@given(queues, st.data())
def test_whoever_is_near_is_begun_and_brings_as_many_as_fill_a_batch(queue, data):
    following = list(queue)
    begun = data.draw(st.sets(st.sampled_from(following))) if following else set()
    found = joining(following, begun, queue.get)
    assert len(set(found)) == len(found)
    assert not set(found) & begun
    assert set(found) <= {name for name in following if queue[name]}
    near = [name for name in following[:NEAR] if queue[name] and name not in begun]
    assert set(near) <= set(found)
    if near:
        homes = queue[near[0]].homes
        kin = [name for name in following if name not in begun and queue[name] and queue[name].homes & homes]
        left = [name for name in kin if name not in found]
        taken = set().union(*(queue[name].names for name in kin if name in found))
        assert not left or len(taken) >= FULL, "a batch left half empty while more of its stores wait"


@given(queues, st.data())
def test_nothing_begins_while_all_that_are_near_have_begun(queue, data):
    following = list(queue)
    assert joining(following, set(following[:NEAR]), queue.get) == ()


def test_as_a_queue_is_worked_off_each_batch_is_full():
    queue = {
        Name("x", f"e{n}"): Asks("x", frozenset({(StoreRef("a"), RemoteRef(f"k{n}"))}), 5.0, "") for n in range(1000)
    }
    waiting, begun, batches = list(queue), set(), []
    while waiting:
        if found := joining(waiting[:MOST_AHEAD], begun, queue.get):
            begun |= set(found)
            batches.append(len(found))
        waiting.pop(0)
    assert sum(batches) == 1000
    assert len(batches) <= 1000 / FULL + 1
