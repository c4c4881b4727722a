"""The imports between the project's modules, read from their source."""

import ast
from pathlib import Path


def module_path(name: str, root: Path) -> Path | None:
    """The file of a module of this project, or None if the name is not one."""
    path = root / name.replace(".", "/")
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


def imported_modules(path: Path, root: Path) -> set[str]:
    """Names of the project's modules that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    own = {name for name in names if name.split(".")[0] in ("picollm", "stages")}
    return {name for name in own if module_path(name, root)}


def closure(path: Path, root: Path) -> set[Path]:
    """The file and all project files that it imports, directly or indirectly; without empty __init__ files and without
    picollm/__init__.py, which changes no result."""
    found, waiting = set(), [path]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found.add(current)
        waiting += [module_path(name, root) for name in imported_modules(current, root)]
    found.discard(root / "picollm/__init__.py")
    return {member for member in found if member.read_text(encoding="utf-8").strip()}
