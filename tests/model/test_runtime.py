import importlib.machinery
import os
import sys
import sysconfig
import types
from pathlib import Path

import pytest
import torch

from picollm.core.errors import ParamsError
from picollm.model.runtime import autocast, set_up, should_compile

CPU = torch.device("cpu")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
with_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")


def test_the_environment_names_the_device(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")
    assert set_up() == CPU


@without_cuda
@pytest.mark.parametrize("name", [None, "auto"])
def test_auto_is_the_default_and_the_cpu_without_cuda(monkeypatch, name):
    monkeypatch.delenv("DEVICE", raising=False)
    if name:
        monkeypatch.setenv("DEVICE", name)
    assert set_up() == CPU


@with_cuda
@pytest.mark.parametrize(("name", "device"), [("auto", "cuda"), ("cuda", "cuda"), ("cuda:0", "cuda:0")])
def test_an_available_cuda_device_is_used(monkeypatch, name, device):
    monkeypatch.setenv("DEVICE", name)
    assert set_up() == torch.device(device)


@pytest.mark.parametrize("name", ["gpu", "CPU", "cuda:x", "cuda:-1", "mps", "meta"])
def test_an_unknown_device_is_an_error_that_lists_the_known_names(monkeypatch, name):
    monkeypatch.setenv("DEVICE", name)
    with pytest.raises(ParamsError, match=f"^DEVICE={name}: expected auto, cpu, cuda or cuda:N$"):
        set_up()


@without_cuda
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_an_unavailable_cuda_device_is_an_error(monkeypatch, name):
    monkeypatch.setenv("DEVICE", name)
    with pytest.raises(ParamsError, match=f"DEVICE={name}: not available; PyTorch finds 0 CUDA devices"):
        set_up()


def test_a_cuda_device_beyond_the_last_is_an_error(monkeypatch):
    monkeypatch.setenv("DEVICE", f"cuda:{torch.cuda.device_count()}")
    with pytest.raises(ParamsError, match=f"finds {torch.cuda.device_count()} CUDA devices"):
        set_up()


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_precision_decides_the_type_of_matrix_products_inside_the_block_alone(precision, dtype):
    a = torch.ones(2, 2)
    with autocast(CPU, precision):
        assert (a @ a).dtype == dtype
    assert (a @ a).dtype == a.dtype == torch.float32


@pytest.fixture
def headers(monkeypatch, tmp_path) -> Path:
    """Stand-ins for the tools of compilation, whose presence alone is checked: nothing is compiled here."""
    monkeypatch.setenv("CXX", "sh")
    monkeypatch.setenv("CC", "sh")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    (tmp_path / "Python.h").touch()
    return tmp_path / "Python.h"


@pytest.mark.parametrize(
    ("setting", "device", "flops", "expected"),
    [
        ("on", "cpu", 0.0, True),
        ("off", "cpu", 1e30, False),
        ("auto", "cpu", 0.99 * 5e13 * torch.get_num_threads(), False),
        ("auto", "cpu", 5e13 * torch.get_num_threads(), True),
        ("auto", "cuda", 0.99e16, False),
        ("auto", "cuda", 1e16, True),
    ],
)
def test_auto_compiles_long_runs(headers, monkeypatch, setting, device, flops, expected):
    spec = importlib.machinery.ModuleSpec("triton", None)
    monkeypatch.setitem(sys.modules, "triton", types.SimpleNamespace(__spec__=spec))
    assert should_compile(setting, torch.device(device), flops) is expected


def test_without_a_compiler_auto_is_off_and_on_is_an_error(headers, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not should_compile("auto", CPU, 1e30)
    assert not should_compile("off", CPU, 1e30)
    with pytest.raises(ParamsError, match="compiler no-such-compiler was not found"):
        should_compile("on", CPU, 0.0)


def test_without_pythons_headers_auto_is_off_and_on_is_an_error(headers):
    headers.unlink()
    assert not should_compile("auto", CPU, 1e30)
    with pytest.raises(ParamsError, match=r"Python\.h was not found"):
        should_compile("on", CPU, 0.0)


def test_a_deterministic_run_is_compiled_only_if_compile_is_on(headers):
    torch.use_deterministic_algorithms(True)
    try:
        assert not should_compile("auto", CPU, 1e30)
        assert should_compile("on", CPU, 0.0)
    finally:
        torch.use_deterministic_algorithms(False)


def test_deterministic_makes_an_operation_without_a_deterministic_kernel_an_error(monkeypatch):
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
