"""``prodsprint completion``: tab completion for bash, zsh and fish, made from the command line itself."""

from __future__ import annotations

import argparse

from reconciler.cli import output
from reconciler.cli.exit_codes import ExitCode

SUMMARY = "print tab completion for a shell"
EXAMPLES = """examples:
  source <(prodsprint completion bash)
  prodsprint completion zsh > ~/.zfunc/_prodsprint
  prodsprint completion fish > ~/.config/fish/completions/prodsprint.fish"""

BASH = """_prodsprint() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} verb=${{COMP_WORDS[1]}} inner=${{COMP_WORDS[2]}}
    case "$COMP_CWORD:$verb:$inner" in
        1:*) COMPREPLY=($(compgen -W "{verbs}" -- "$cur")) ;;
{cases}
    esac
    [[ -n ${{COMPREPLY-}} ]] || COMPREPLY=($(compgen -f -- "$cur"))
}}
complete -F _prodsprint prodsprint
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from reconciler.cli import build_parser  # noqa: PLC0415  # the parser is built from this module too

    words = _words(build_parser())
    output.write({"bash": _bash, "zsh": _zsh, "fish": _fish}[args.shell](words))
    return ExitCode.OK


def children(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The verbs below a parser, by name; none for a verb without any."""
    for action in parser._actions:  # noqa: SLF001  # argparse offers no other way to look
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def _words(parser: argparse.ArgumentParser) -> dict[tuple[str, ...], list[str]]:
    """Words that may follow a path of verbs: the next verbs, else the options."""
    found: dict[tuple[str, ...], list[str]] = {}

    def visit(path: tuple[str, ...], one: argparse.ArgumentParser) -> None:
        inner = children(one)
        options = [text for action in one._actions for text in action.option_strings]  # noqa: SLF001
        found[path] = list(inner) or options
        for name, child in inner.items():
            visit((*path, name), child)

    visit((), parser)
    return found


def _bash(words: dict[tuple[str, ...], list[str]]) -> str:
    cases = []
    for path, following in words.items():
        if path:
            pattern = f"2:{path[0]}:*" if len(path) == 1 and (*path, following[0]) in words else f"*:{':'.join(path)}*"
            pattern = f"*:{path[0]}:*" if len(path) == 1 and not pattern.startswith("2:") else pattern
            cases.append(f'        {pattern}) COMPREPLY=($(compgen -W "{" ".join(following)}" -- "$cur")) ;;')
    return BASH.format(verbs=" ".join(words[()]), cases="\n".join(cases))


def _zsh(words: dict[tuple[str, ...], list[str]]) -> str:
    return "#compdef prodsprint\nautoload -U +X bashcompinit && bashcompinit\n" + _bash(words)


def _fish(words: dict[tuple[str, ...], list[str]]) -> str:
    lines = ["complete -c prodsprint -f"]
    for path, following in words.items():
        seen = (
            " ".join(f"__fish_seen_subcommand_from {name};" + " and" for name in path).removesuffix(" and").rstrip(";")
        )
        condition = seen or "__fish_use_subcommand"
        for word in following:
            flag = (
                f"-l {word[2:]}"
                if word.startswith("--")
                else f"-s {word[1:]}"
                if word.startswith("-")
                else f"-a {word}"
            )
            lines.append(f"complete -c prodsprint -n '{condition}' {flag}")
    return "\n".join(lines) + "\n"
