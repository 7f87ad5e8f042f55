"""What the library calls an argument the command line calls an option."""

import pytest
import typer

from hopcast.cli.wording import in_options


@pytest.fixture(scope="module")
def command():
    app = typer.Typer()

    @app.command()
    def run(
        rule: str = "",
        absorbing: bool = typer.Option(True, "--absorbing/--no-absorbing"),
        form: str = typer.Option("", "--from"),
        molecule: bool = typer.Option(False, "--molecule"),
        wanted: int = 3,
        path: str = typer.Argument(""),
    ):
        """Do nothing."""

    return typer.main.get_command(app)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Argument `rule` must be one", "Argument `--rule` must be one"),
        ('Use `rule="hefei"`.', "Use `--rule hefei`."),
        ("Give `wanted=4`.", "Give `--wanted 4`."),
        ("or set `absorbing=False`.", "or set `--no-absorbing`."),
        ("or set `absorbing=True`.", "or set `--absorbing`."),
        ("or `pbc=False` for a molecule", "or `--molecule` for a molecule"),
        ("Name the `format`.", "Name the `--from`."),
        ("File `path` and `nothing` and `other=False` stay", "File `path` and `nothing` and `other=False` stay"),
        ("`rule = x` is text", "`rule = x` is text"),
    ],
)
def test_arguments_become_options(command, said, shown) -> None:
    assert in_options(said, command) == shown
    assert in_options(said, None) == said
