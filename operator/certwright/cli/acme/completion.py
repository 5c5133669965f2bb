"""Completion for bash, zsh and fish: commands and options are in the script, names of certificates it asks for."""

from __future__ import annotations

from typing import Any, Final

NAMING: Final = ("renew", "revoke", "ari", "info", "delete", "reconfigure")
"""Commands whose arguments are certificates in the folder."""
_NAMES: Final = "certwright acme list --names --quiet 2>/dev/null"

_BASH: Final = """\
# certwright acme: completion for bash. Load it with: source <(certwright acme completion bash)
_certwright_acme() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" command="${{COMP_WORDS[2]}}"
    COMPREPLY=()
    [ "${{COMP_WORDS[1]}}" = acme ] || {{
        [ "$COMP_CWORD" -eq 1 ] && COMPREPLY=($(compgen -W "acme crds run version" -- "$current"))
        return
    }}
    if [ "$COMP_CWORD" -eq 2 ]; then
        COMPREPLY=($(compgen -W "{commands} --help --version" -- "$current"))
        return
    fi
    case "$command:$current" in
{options}
    esac
    case "$command" in
        {naming}) COMPREPLY=($(compgen -W "$({names})" -- "$current")) ;;
        completion) COMPREPLY=($(compgen -W "bash zsh fish" -- "$current")) ;;
    esac
}}
complete -o default -F _certwright_acme certwright
"""

_ZSH: Final = """\
#compdef certwright
# certwright acme: completion for zsh. Save it as _certwright in a folder of $fpath.
_certwright_acme() {{
    local -a commands options
    commands=(
{commands}
    )
    if (( CURRENT == 2 )); then
        compadd -- acme crds run version
        return
    fi
    [[ ${{words[2]}} == acme ]] || {{ _files; return }}
    if (( CURRENT == 3 )); then
        _describe command commands
        return
    fi
    options=()
    case ${{words[3]}} in
{options}
    esac
    if [[ ${{words[CURRENT]}} == -* ]]; then
        compadd -- $options
        return
    fi
    case ${{words[3]}} in
        {naming}) compadd -- ${{(f)"$({names})"}} ;;
        completion) compadd -- bash zsh fish ;;
        *) _files ;;
    esac
}}
if [ "$funcstack[1]" = _certwright ]; then _certwright_acme; else compdef _certwright_acme certwright; fi
"""

_FISH_HEAD: Final = """\
# certwright acme: completion for fish. Load it with: certwright acme completion fish | source
function __certwright_acme_without_command
    set -l words (commandline -opc)
    test (count $words) -eq 2; and test "$words[2]" = acme
end
function __certwright_acme_command
    set -l words (commandline -opc)
    test (count $words) -ge 3; and test "$words[2]" = acme; and contains -- "$words[3]" $argv
end
complete -c certwright -n __fish_use_subcommand -f -a "acme crds run version"
"""


def script(shell: str, group: Any) -> str:
    """Return the script for a shell.

    Args:
        shell: bash, zsh or fish.
        group: The commands: click's own group, which typer made.
    """
    commands = {name: (_help(command), _options(command)) for name, command in sorted(group.commands.items())}
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands)


def _options(command: Any) -> list[tuple[str, str]]:
    """Return the long options of a command, each with its first sentence."""
    found = {"--help": "Show the options."}
    for parameter in command.params:
        for option in (*parameter.opts, *parameter.secondary_opts):
            if option.startswith("--"):
                found[option] = (getattr(parameter, "help", "") or "").partition(". ")[0]
    return sorted(found.items())


def _help(command: Any) -> str:
    return (command.help or "").strip().partition("\n")[0].partition(". ")[0].removesuffix(".")


def _bash(commands: dict[str, tuple[str, list[tuple[str, str]]]]) -> str:
    options = "\n".join(
        f'        {name}:-*) COMPREPLY=($(compgen -W "{" ".join(one for one, _ in known)}" -- "$current")); return ;;'
        for name, (_, known) in commands.items()
    )
    return _BASH.format(commands=" ".join(commands), options=options, naming="|".join(NAMING), names=_NAMES)


def _zsh(commands: dict[str, tuple[str, list[tuple[str, str]]]]) -> str:
    listed = "\n".join(f"        {_quoted(f'{name}:{text}')}" for name, (text, _) in commands.items())
    options = "\n".join(
        f"        {name}) options=({' '.join(one for one, _ in known)}) ;;" for name, (_, known) in commands.items()
    )
    return _ZSH.format(commands=listed, options=options, naming="|".join(NAMING), names=_NAMES)


def _fish(commands: dict[str, tuple[str, list[tuple[str, str]]]]) -> str:
    lines = [_FISH_HEAD.rstrip()]
    for name, (text, known) in commands.items():
        lines.append(f"complete -c certwright -n __certwright_acme_without_command -f -a {name} -d {_quoted(text)}")
        condition = f"'__certwright_acme_command {name}'"
        lines += [
            f"complete -c certwright -n {condition} -l {option.removeprefix('--')} -d {_quoted(said)}"
            for option, said in known
        ]
    naming = f"'__certwright_acme_command {' '.join(NAMING)}'"
    lines.append(f"complete -c certwright -n {naming} -f -a '({_NAMES})'")
    lines.append("complete -c certwright -n '__certwright_acme_command completion' -f -a 'bash zsh fish'")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "") + "'"
