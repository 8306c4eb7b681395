"""`sglc doctor`: what sglc finds on this machine, in a dozen lines."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import metadata

import torch

from sglc.kernels.cpu_attention import missing
from sglc.version import __version__

PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "triton")


def doctor(*, as_json: bool) -> int:
    """Write the findings to stdout, as a list or as one JSON object, and return the exit code 0."""
    findings = examine()
    if as_json:
        sys.stdout.write(json.dumps(findings) + "\n")
        return 0
    width = max(map(len, findings))
    for name, finding in findings.items():
        sys.stdout.write(f"{name:<{width}}  {finding}\n")
    return 0


def examine() -> dict[str, str]:
    """Return the findings, name → what was found."""
    findings = {"sglc": __version__, "python": f"{platform.python_version()} on {platform.platform(terse=True)}"}
    findings |= {package: _version(package) for package in PACKAGES}
    findings["processor"] = f"{os.cpu_count()} cores, {_matrix_units()}"
    findings["torch threads"] = str(torch.get_num_threads())
    findings["devices"] = ", ".join(["cpu", *_cuda_devices()])
    findings["dtype to use"] = _dtype_advice()
    findings["attention in C"] = f"not used: {reason}" if (reason := missing()) else "used for bfloat16 on the CPU"
    findings["SGLC_MODEL"] = os.environ.get("SGLC_MODEL") or "not set; give sglc run a --model"
    return findings


def _version(package: str) -> str:
    """Return an installed package's version."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _capabilities() -> dict[str, object]:
    """Return what torch knows of the processor, flag → bool; nothing where torch is too old to say."""
    return dict(getattr(torch.cpu, "get_capabilities", dict)())


def _matrix_units() -> str:
    """Return the instructions that make matrix products fast, by name, and which for bfloat16 there are not."""
    known = {"amx_bf16": "AMX bf16", "avx512_bf16": "AVX-512 bf16", "avx512_f": "AVX-512", "avx2": "AVX2"}
    flags = _capabilities()
    found = [name for flag, name in known.items() if flags.get(flag)]
    if not found:
        return platform.machine()
    lacking = [name for name in (known["amx_bf16"], known["avx512_bf16"]) if name not in found]
    return ", ".join(found) + (f"; no {' and no '.join(lacking)}" if lacking else "")


def _cuda_devices() -> list[str]:
    """Return the CUDA devices with their memory."""
    if not torch.cuda.is_available():
        return []
    devices = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return [f"cuda:{number} {device.name} {device.total_memory >> 30} GiB" for number, device in enumerate(devices)]


def _dtype_advice() -> str:
    """Return the dtype that is fast here, with the reason."""
    if torch.cuda.is_available():
        return "bfloat16 (--device cuda)"
    flags = _capabilities()
    if flags.get("amx_bf16") or flags.get("avx512_bf16"):
        return "bfloat16: this processor multiplies it natively"
    return "float32: this processor has no native bfloat16"
