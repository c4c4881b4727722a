import importlib.machinery
import os
import sys
import sysconfig
import types
from pathlib import Path

import pytest
import torch

from picollm.core.errors import ParamsError
from picollm.model.runtime import autocast, compiles, set_up

CPU = torch.device("cpu")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
with_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")


def test_the_environment_names_the_device(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")
    assert set_up() == CPU


@without_cuda
@pytest.mark.parametrize("name", [None, "auto"])
def test_auto_is_the_default_and_the_cpu_where_there_is_no_cuda(monkeypatch, name):
    monkeypatch.delenv("DEVICE", raising=False)
    if name:
        monkeypatch.setenv("DEVICE", name)
    assert set_up() == CPU


@with_cuda
@pytest.mark.parametrize(("name", "device"), [("auto", "cuda"), ("cuda", "cuda"), ("cuda:0", "cuda:0")])
def test_a_cuda_device_that_is_there_is_taken(monkeypatch, name, device):
    monkeypatch.setenv("DEVICE", name)
    assert set_up() == torch.device(device)


@pytest.mark.parametrize("name", ["gpu", "CPU", "cuda:x", "cuda:-1", "mps", "meta"])
def test_an_unknown_device_is_refused_with_the_names_that_are_known(monkeypatch, name):
    monkeypatch.setenv("DEVICE", name)
    with pytest.raises(ParamsError, match=f"^DEVICE={name}: expected auto, cpu, cuda or cuda:N$"):
        set_up()


@without_cuda
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_a_cuda_device_that_is_not_there_is_refused(monkeypatch, name):
    monkeypatch.setenv("DEVICE", name)
    with pytest.raises(ParamsError, match=f"DEVICE={name}: this machine shows 0 CUDA devices"):
        set_up()


def test_a_cuda_device_beyond_the_last_is_refused(monkeypatch):
    monkeypatch.setenv("DEVICE", f"cuda:{torch.cuda.device_count()}")
    with pytest.raises(ParamsError, match=f"shows {torch.cuda.device_count()} CUDA devices"):
        set_up()


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_precision_decides_the_type_of_matrix_products_inside_the_block_alone(precision, dtype):
    a = torch.ones(2, 2)
    with autocast(CPU, precision):
        assert (a @ a).dtype == dtype
    assert (a @ a).dtype == a.dtype == torch.float32


@pytest.fixture
def headers(monkeypatch, tmp_path) -> Path:
    """The tools of compilation, as far as their presence is asked for: nothing is compiled here."""
    monkeypatch.setenv("CXX", "sh")
    monkeypatch.setenv("CC", "sh")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    (tmp_path / "Python.h").touch()
    return tmp_path / "Python.h"


@pytest.mark.parametrize(
    ("wanted", "device", "flops", "expected"),
    [
        ("on", "cpu", 0.0, True),
        ("off", "cpu", 1e30, False),
        ("auto", "cpu", 0.99 * 5e13 * torch.get_num_threads(), False),
        ("auto", "cpu", 5e13 * torch.get_num_threads(), True),
        ("auto", "cuda", 0.99e16, False),
        ("auto", "cuda", 1e16, True),
    ],
)
def test_auto_compiles_where_the_work_is_enough(headers, monkeypatch, wanted, device, flops, expected):
    spec = importlib.machinery.ModuleSpec("triton", None)
    monkeypatch.setitem(sys.modules, "triton", types.SimpleNamespace(__spec__=spec))
    assert compiles(wanted, torch.device(device), flops) is expected


def test_without_a_compiler_auto_is_off_and_on_is_refused(headers, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not compiles("auto", CPU, 1e30)
    assert not compiles("off", CPU, 1e30)
    with pytest.raises(ParamsError, match="compiler no-such-compiler is not there"):
        compiles("on", CPU, 0.0)


def test_without_pythons_headers_auto_is_off_and_on_is_refused(headers):
    headers.unlink()
    assert not compiles("auto", CPU, 1e30)
    with pytest.raises(ParamsError, match=r"Python\.h is not there"):
        compiles("on", CPU, 0.0)


def test_a_run_that_is_to_be_repeatable_is_compiled_only_when_asked_for(headers):
    torch.use_deterministic_algorithms(True)
    try:
        assert not compiles("auto", CPU, 1e30)
        assert compiles("on", CPU, 0.0)
    finally:
        torch.use_deterministic_algorithms(False)


def test_deterministic_makes_an_operation_that_cannot_be_repeated_an_error(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    assert not torch.are_deterministic_algorithms_enabled()
    try:
        set_up(deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
