"""The cache: bounded in bytes, built once, shared by threads."""

import threading

import pytest

from onnxplain.engine.runtime.cache import ByteCache


class Builder:
    def __init__(self):
        self.built = []

    def __call__(self, key, size):
        def build():
            self.built.append(key)
            return f"value of {key}", size

        return build


def test_what_is_kept_is_not_built_again():
    cache, builder = ByteCache(100), Builder()
    for _ in range(3):
        assert cache.get("a", builder("a", 10)) == "value of a"
    assert builder.built == ["a"]
    assert cache.bytes == 10


def test_the_longest_unused_goes_first():
    cache, builder = ByteCache(100), Builder()
    for key in ("a", "b", "a", "c"):  # b is the longest unused when c needs its place
        cache.get(key, builder(key, 40))
    cache.get("a", builder("a", 40))
    assert builder.built == ["a", "b", "c"]
    cache.get("b", builder("b", 40))
    assert builder.built == ["a", "b", "c", "b"]


def test_the_bound_holds_whatever_comes():
    cache, builder = ByteCache(100), Builder()
    for i, size in enumerate([10, 90, 500, 60, 60, 100, 0, 1]):
        cache.get(i, builder(i, size))
        assert cache.bytes <= 100


def test_a_failure_is_raised_and_not_kept():
    cache = ByteCache(100)

    def fail():
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            cache.get("a", fail)
    assert cache.get("a", lambda: ("fine", 1)) == "fine"


def test_threads_that_ask_at_once_share_one_build():
    cache, started, go = ByteCache(100), threading.Event(), threading.Event()
    built, results = [], []

    def build():
        built.append(1)
        started.set()
        go.wait(10)
        return "shared", 1

    threads = [
        threading.Thread(target=lambda: results.append(cache.get("a", build))) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    started.wait(10)
    go.set()
    for thread in threads:
        thread.join()
    assert results == ["shared"] * 5
    assert built == [1]
