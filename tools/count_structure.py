"""Count what the house wants less of: untyped dictionaries, long functions, long signatures, hand-written schema lines.

python tools/count_structure.py [src/hopcast]            # the counts
python tools/count_structure.py --list [src/hopcast]     # and where they are
"""

import ast
import re
import sys
from pathlib import Path

LONG_CODE = 60
MANY_ARGUMENTS = 10


def code_lines(node):
    """Lines of a function that hold code: no docstring, no comment, no blank line."""
    body = node.body
    if isinstance(body[0], ast.Expr) and isinstance(getattr(body[0], "value", None), ast.Constant):
        body = body[1:]
    lines = set()
    for part in body:
        for one in ast.walk(part):
            if hasattr(one, "lineno"):
                lines.update((one.lineno, one.end_lineno))
    return len(lines)


def arguments(node):
    """Arguments that a caller gives: the instance or class of a method is none."""
    found = node.args
    given = [one.arg for one in (*found.posonlyargs, *found.args, *found.kwonlyargs)]
    return len(given) - (given[:1] in (["self"], ["cls"]))


def main():
    listed = "--list" in sys.argv
    given = [one for one in sys.argv[1:] if not one.startswith("--")]
    root = Path(given[0] if given else "src/hopcast")
    untyped, long, many, n_lines = [], [], [], 0
    for path in sorted(root.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(root).as_posix()
        n_lines += text.count("\n")
        for number, line in enumerate(text.splitlines(), start=1):
            untyped += [f"{name}:{number}"] * len(re.findall(r"(?:dict|Mapping)\[str, Any\]", line))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                where = f"{name}:{node.lineno} {node.name}"
                if code_lines(node) > LONG_CODE:
                    long.append(f"{where} ({code_lines(node)} lines)")
                if arguments(node) > MANY_ARGUMENTS and not name.startswith("cli/"):
                    many.append(f"{where} ({arguments(node)} arguments)")
    schema = sum(path.read_text(encoding="utf-8").count("\n") for path in root.rglob("*.schema.json"))
    rows = (
        ("dict[str, Any] or Mapping[str, Any]", untyped),
        (f"functions above {LONG_CODE} code lines", long),
        (f"functions above {MANY_ARGUMENTS} arguments, command line aside", many),
    )
    for words, places in rows:
        print(f"{len(places):6d}  {words}")
        if listed:
            print("".join(f"        {place}\n" for place in places), end="")
    print(f"{schema:6d}  hand-written schema lines")
    print(f"{n_lines:6d}  lines of Python")


if __name__ == "__main__":
    main()
