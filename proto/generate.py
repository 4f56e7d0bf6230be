# ruff: noqa: INP001 - a script, not part of a package
"""Writes the Python of ``prodsprint.v1`` beside its .proto files: messages, stubs, their types, and the package itself.

``python proto/generate.py [INTO]`` needs grpcio-tools. Its versions 1.80 to 1.85 give the same bytes here, because all
they differ in is made the same: the guards against older runtimes name the oldest ones that pyproject.toml allows.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
PACKAGE = Path("prodsprint/v1")
OLDEST_PROTOBUF = (6, 31, 1)
OLDEST_GRPC = "1.80.0"

FileDescriptor = descriptor_pb2.FileDescriptorProto
Method = descriptor_pb2.MethodDescriptorProto


def generate(into: Path) -> None:
    """Write the package below the folder ``into``. Raises RuntimeError when protoc refuses the .proto files."""
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / PACKAGE).glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "set"
        arguments = [f"-I{ROOT}", f"-I{Path(protoc.__file__).parent / '_proto'}", f"--descriptor_set_out={compiled}"]
        outputs = [f"--{kind}={into}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
        if protoc.main(["protoc", *arguments, *outputs, *sources]):
            raise RuntimeError("protoc refused the .proto files")
        files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file
    package = into / PACKAGE
    for file in files:
        stem = Path(file.name).stem
        _rewrite(package / f"{stem}_pb2.py", _lower_protobuf_guard)
        _rewrite(package / f"{stem}_pb2.pyi", _same_booleans)
        if file.service:
            _rewrite(package / f"{stem}_pb2_grpc.py", _lower_grpc_guard)
            (package / f"{stem}_pb2_grpc.pyi").write_text(_types(file))
        else:
            (package / f"{stem}_pb2_grpc.py").unlink()
    (package / "__init__.py").write_text(_exports(list(files)))


def _rewrite(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def _lower_protobuf_guard(text: str) -> str:
    major, minor, patch = OLDEST_PROTOBUF
    text = re.sub(r"# Protobuf Python Version: .*", f"# Protobuf Python Version: {major}.{minor}.{patch}", text)
    guard = rf"\g<1>{major},\n    {minor},\n    {patch},"
    return re.sub(r"(Domain\.PUBLIC,\n    )\d+,\n    \d+,\n    \d+,", guard, text)


def _same_booleans(text: str) -> str:
    return re.sub(r"= None, (\w+): _Optional\[bool\]", r"= None, \1: bool", re.sub(r"_Optional\[bool\]", "bool", text))


def _lower_grpc_guard(text: str) -> str:
    text = re.sub(r"GRPC_GENERATED_VERSION = '.*'", f"GRPC_GENERATED_VERSION = '{OLDEST_GRPC}'", text)
    return text.replace("(object):", ":")


def _types(file: FileDescriptor) -> str:
    module = f"{Path(file.name).stem}_pb2"
    lines = ["from typing import Any", "", "import grpc", "import grpc.aio", f"from prodsprint.v1 import {module}"]
    for service in file.service:
        name = service.name
        lines += ["", f"class {name}Stub:"]
        lines += ["    def __init__(self, channel: grpc.Channel | grpc.aio.Channel) -> None: ..."]
        lines += [f"    {method.name}: {_callable(method, module)}" for method in service.method]
        lines += ["", f"class {name}Servicer:"]
        for method in service.method:
            request = _name(method.input_type, module)
            lines.append(f"    def {method.name}(self, request: {request}, context: Any) -> Any: ...")
        server = "grpc.Server | grpc.aio.Server"
        lines += ["", f"def add_{name}Servicer_to_server(servicer: {name}Servicer, server: {server}) -> None: ..."]
    return "\n".join(lines) + "\n"


def _name(message: str, module: str) -> str:
    return f"{module}.{message.rsplit('.', 1)[1]}"


def _callable(method: Method, module: str) -> str:
    kind = "UnaryStream" if method.server_streaming else "UnaryUnary"
    return f"grpc.{kind}MultiCallable[{_name(method.input_type, module)}, {_name(method.output_type, module)}]"


def _exports(files: list[FileDescriptor]) -> str:
    modules: dict[str, list[str]] = {}
    for file in files:
        stem = Path(file.name).stem
        modules[f"{stem}_pb2"] = [message.name for message in file.message_type]
        if file.service:
            names = [f"{s.name}{part}" for s in file.service for part in ("Servicer", "Stub")]
            modules[f"{stem}_pb2_grpc"] = names + [f"add_{s.name}Servicer_to_server" for s in file.service]
    lines = ['"""The messages and services of ``prodsprint.v1``. Written by proto/generate.py."""', ""]
    for module, names in sorted(modules.items()):
        lines += [f"from prodsprint.v1.{module} import (", *(f"    {name}," for name in sorted(names)), ")"]
    public = sorted(name for names in modules.values() for name in names)
    lines += ["", "__all__ = [", *(f'    "{name}",' for name in public), "]"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
