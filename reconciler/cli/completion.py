"""``prodsprint completion``: tab completion for bash, zsh and fish, made from the command line itself."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.cli import output
from reconciler.cli.exit_codes import ExitCode

SUMMARY = "print tab completion for a shell"
EXAMPLES = """examples:
  source <(prodsprint completion bash)
  prodsprint completion zsh > ~/.zfunc/_prodsprint
  prodsprint completion fish > ~/.config/fish/completions/prodsprint.fish

Keys are completed too, when the daemon can be reached without options (by $PRODSPRINT_DATA_DIR or in its usual place)."""

KEYS = "status -o name 2>/dev/null"

CASES = """\
# Says in $next what may come next: $1 are the verbs so far, $2 is the word before, $3 the word itself, $4 the command.
_prodsprint_next() {{
    next=
    case "$1 $2" in
{values}
    esac
    case "$3" in
        -*) case "$1" in
{options}
        esac ;;
        *) case "$1" in
{words}
        esac ;;
    esac
}}
"""

BASH = """\
_prodsprint() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} verbs= next= number
    for number in 1 2; do
        [[ $number -lt $COMP_CWORD && ( $number -eq 1 || " {groups} " == *" $verbs "* ) ]] || break
        verbs="${{verbs:+$verbs }}${{COMP_WORDS[number]}}"
    done
    _prodsprint_next "$verbs" "${{COMP_WORDS[COMP_CWORD-1]}}" "$cur" "${{COMP_WORDS[0]}}"
    COMPREPLY=($(compgen -W "$next" -- "$cur"))
    [[ -n $next ]] || COMPREPLY=($(compgen -f -- "$cur"))
}}
complete -o filenames -F _prodsprint prodsprint
"""

ZSH = """\
#compdef prodsprint
_prodsprint() {{
    local verbs= next= number
    for number in 2 3; do
        [[ $number -lt $CURRENT && ( $number -eq 2 || " {groups} " == *" $verbs "* ) ]] || break
        verbs="${{verbs:+$verbs }}${{words[number]}}"
    done
    _prodsprint_next "$verbs" "${{words[CURRENT-1]}}" "${{words[CURRENT]}}" "${{words[1]}}"
    if [[ -n $next ]]; then compadd -- ${{=next}}; else _files; fi
}}
"""

ZSH_END = """\
if [[ "${funcstack[1]}" == _prodsprint ]]; then _prodsprint "$@"; else compdef _prodsprint prodsprint; fi
"""


@dataclass(frozen=True, slots=True)
class Place:
    """What may come after some verbs: words (verbs, or choices) and options with their help, and whether a key may.

    ``values`` has the options that take a value, with the choices there are.
    """

    path: tuple[str, ...]
    words: dict[str, str]
    options: dict[str, str]
    values: dict[tuple[str, ...], tuple[str, ...]]
    wants_key: bool
    group: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from reconciler.cli import build_parser  # noqa: PLC0415  # the parser is built from this module too

    places = list(_places((), build_parser()))
    output.write({"bash": _bash, "zsh": _zsh, "fish": _fish}[args.shell](places))
    return ExitCode.OK


def children(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The verbs below a parser, by name; none for a verb without any."""
    for action in parser._actions:  # noqa: SLF001  # argparse offers no other way to look
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def _places(path: tuple[str, ...], parser: argparse.ArgumentParser) -> Iterator[Place]:
    inner = children(parser)
    words = {name: child.description or "" for name, child in inner.items()}
    options: dict[str, str] = {}
    values: dict[tuple[str, ...], tuple[str, ...]] = {}
    for action in parser._actions:  # noqa: SLF001
        choices = tuple(map(str, action.choices or ()))
        if action.option_strings:
            options |= dict.fromkeys(action.option_strings, (action.help or "").replace("%%", "%"))
            if action.nargs != 0:
                values[tuple(action.option_strings)] = choices
        elif not inner:
            words = dict.fromkeys(choices, "")
    wants_key = any(action.metavar == "KEY" for action in parser._actions)  # noqa: SLF001
    yield Place(path, words, options, values, wants_key, bool(inner))
    for name, child in inner.items():
        yield from _places((*path, name), child)


def _cases(places: list[Place]) -> str:
    values, options, words = [], [], []
    for place in places:
        path = " ".join(place.path)
        for names, choices in place.values.items():
            pattern = "|".join(f'"{path} {name}"' for name in names)
            values.append(f'        {pattern}) next="{" ".join(choices)}"; return ;;')
        keys = f'$("$4" {KEYS})' if place.wants_key else ""
        options.append(f'            "{path}") next="{" ".join(place.options)}" ;;')
        words.append(f'            "{path}") next="{" ".join(place.words) or keys}" ;;')
    return CASES.format(values="\n".join(values), options="\n".join(options), words="\n".join(words))


def _groups(places: list[Place]) -> str:
    return " ".join(" ".join(place.path) for place in places if place.group and place.path)


def _bash(places: list[Place]) -> str:
    return _cases(places) + BASH.format(groups=_groups(places))


def _zsh(places: list[Place]) -> str:
    head, _, body = ZSH.format(groups=_groups(places)).partition("\n")
    return f"{head}\n{_cases(places)}{body}{ZSH_END}"


def _fish(places: list[Place]) -> str:
    return "\n".join(["complete -c prodsprint -f", *(line for place in places for line in _fish_place(place))]) + "\n"


def _fish_place(place: Place) -> Iterator[str]:
    seen = "; and ".join(f"__fish_seen_subcommand_from {name}" for name in place.path)
    if place.group and seen:
        seen += f"; and not __fish_seen_subcommand_from {' '.join(place.words)}"
    head = f"complete -c prodsprint -n '{seen or '__fish_use_subcommand'}'"
    if place.wants_key:
        yield f"{head} -a '(prodsprint {KEYS})'"
    elif not place.words:
        yield f"{head} -F"
    for word, about in place.words.items():
        yield f"{head} -a {word}" + (f" -d {shlex.quote(about)}" if about else "")
    choices = {name: choices for names, choices in place.values.items() for name in names}
    for option, about in place.options.items():
        flag = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
        values = (
            "" if option not in choices else f" -x -a '{' '.join(choices[option])}'" if choices[option] else " -r -F"
        )
        yield f"{head} {flag}{values} -d {shlex.quote(about)}"
