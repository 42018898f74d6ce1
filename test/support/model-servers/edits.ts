import type { ModelTurn } from './scripted-server.js';

type Call = NonNullable<ModelTurn['call']>;

/** A call of Gemini CLI's own tool that puts `to` in the place of `from` in a file of the workspace. */
export function geminiEdit(file: string, from: string, to: string): Call {
  const args = { file_path: `/workspace/${file}`, old_string: from, new_string: to, instruction: 'Change it' };
  return { name: 'replace', args };
}

/** The same, of Auggie's. It is on the first line. */
export function auggieEdit(file: string, from: string, to: string): Call {
  const lines = { old_str_start_line_number: 1, old_str_end_line_number: 1 };
  const args = { command: 'str_replace', path: file, instruction_reminder: 'ALWAYS BREAK DOWN EDITS' };
  return {
    name: 'str-replace-editor',
    args: { ...args, str_replace_entries: [{ old_str: from, new_str: to, ...lines }] },
  };
}
