import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';
import { candidates } from '../table/complete.ts';

const scripts: Record<string, string> = {
  bash: `_postern() {
  mapfile -t COMPREPLY < <(compgen -W "$(postern completion words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _postern postern`,
  zsh: `#compdef postern
_postern() {
  local -a found
  found=("\${(@f)$(postern completion words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -a found; else _files; fi
}
compdef _postern postern`,
  fish: `function __postern_words
  set -l before (commandline -opc)
  set -l last (commandline -ct)
  postern completion words -- $before[2..-1] "$last" 2>/dev/null
end
complete -c postern -f -a '(__postern_words)'
complete -c postern -F -n 'test -z "$(__postern_words)"'`,
};

/** The scripts ask the command itself, so that they never lag behind it. */
export const command = defineCommand({
  takes: 'bash|zsh|fish',
  positionals: [1, 64],
  about: `Prints a script for the shell's start-up file: source <(postern completion bash)
With \`words -- WORD...\` prints what may stand in the place of the last word, one a line.`,
  options: {},
  async run({ positionals: [shell = '', ...rest] }, terminal) {
    if (shell === 'words') for (const word of await candidates(rest)) terminal.out(word);
    else {
      const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
      if (script === undefined)
        throw new CommandFailed(exitCodes.usage, `there are ${Object.keys(scripts).join(', ')}`);
      terminal.out(script);
    }
    return exitCodes.done;
  },
});
