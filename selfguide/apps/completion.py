"""`selfguide completion SHELL`: a script for the shell, which asks this module what fits.

It serves `selfguide` and `python -m selfguide.main`; for other lines of `python` the shell's own completion stays.
"""

import argparse
from collections.abc import Iterator

from selfguide.apps.verbs import VERBS

BASH = """\
_selfguide() {
  local IFS=$'\\n' line=${COMP_LINE:0:COMP_POINT} program=(${COMP_WORDS[0]})
  case ${program##*/} in
    python*) [[ $line == *" -m selfguide.main"* ]] || return; program+=(-m selfguide.main) ;;
  esac
  COMPREPLY=($("${program[@]}" completion --line "$line" 2>/dev/null))
  # Where = parts words, readline replaces what is behind it alone.
  local word=${line##* }
  case $COMP_WORDBREAKS in *=*) local before=${word%"${word##*=}"}; COMPREPLY=("${COMPREPLY[@]#"$before"}") ;; esac
}
complete -o nospace -o default -F _selfguide selfguide python python3
"""
ZSH = """\
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u; }
_selfguide() {
  local line="${(j: :)words[1,CURRENT]}"
  local -a program=(${words[1]}) found
  case ${program[1]:t} in
    python*)
      if [[ $line != *" -m selfguide.main"* ]]; then autoload -Uz _python 2>/dev/null && _python; return; fi
      program+=(-m selfguide.main) ;;
  esac
  found=("${(@f)$($program completion --line "$line" 2>/dev/null)}")
  if [[ -n ${found[1]} ]]; then compadd -S '' -- "${(@)found%% }"; else _files; fi
}
compdef _selfguide selfguide python python3
"""
FISH = """\
function __selfguide
  set -l words (commandline -opc)
  set -l program $words[1]
  if string match -q 'python*' (basename $program)
    set program $program -m selfguide.main
  end
  $program completion --line (commandline -cp | string collect) 2>/dev/null | string trim -r
end
complete -c selfguide -a '(__selfguide)'
for python in python python3
  complete -c $python -n 'string match -q "* -m selfguide.main*" (commandline -cp)' -a '(__selfguide)'
end
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
USE = {
    "bash": 'eval "$(selfguide completion bash)"',
    "zsh": 'eval "$(selfguide completion zsh)"',
    "fish": "selfguide completion fish | source",
}


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    said = "\n".join(f"  {shell + ':':<6} {line}" for shell, line in USE.items())
    parser = argparse.ArgumentParser(
        prog="selfguide completion", description=f"Add one of these lines to your shell's startup file:\n\n{said}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("shell", nargs="?", choices=SCRIPTS, help="print the completion script for this shell")
    parser.add_argument("--line", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.line is not None:
        print("\n".join(matches(asked.line)))
    elif asked.shell is None:
        parser.print_help()
    else:
        print(SCRIPTS[asked.shell], end="")


def matches(line: str) -> list[str]:
    """What the last word of a command line may become: commands end in a space, keys in `=`."""
    words = line.split(" ")
    words = words[3 if words[1:3] == ["-m", "selfguide.main"] else 1 :]
    *before, last = words or [""]
    before = [word for word in before if word]
    if not before and "=" not in last:
        found = [f"{verb} " for verb in VERBS if verb.startswith(last)]
        if found:
            return found
    verb = VERBS.get(before[0]) if before else None
    rest = before[1:] if verb is not None else before
    config = (verb or VERBS["run"]).config
    return [] if config is None else list(_values(config, [*rest, last]))


def _values(config: str, words: list[str]) -> Iterator[str]:
    from hydra._internal.core_plugins.bash_completion import BashCompletion
    from hydra.core.global_hydra import GlobalHydra

    from selfguide.config.composing import own_hydra

    with own_hydra():
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        yield from sorted(map(str, BashCompletion(hydra.config_loader)._query(config, " ".join(words))))
