import * as vscode from 'vscode';
import type { CommandId } from '../identifiers.ts';

/**
 * What each command does; one without a handler does not compile. `selection` is what the explorer passes beside the
 * entry under the pointer: all that is selected.
 */
export type CommandHandlers = Readonly<
  Record<CommandId, (argument: unknown, selection: unknown) => Promise<unknown>>
>;

/**
 * Registers all commands.
 *
 * @param failed Told about a handler's failure; what it throws reaches the caller of the command.
 */
export function registerCommands(
  handlers: CommandHandlers,
  failed: (error: unknown, argument: unknown) => void,
): vscode.Disposable {
  const registrations = Object.entries(handlers).map(([id, handle]) =>
    vscode.commands.registerCommand(id, async (argument: unknown, selection: unknown) => {
      try {
        return await handle(argument, selection);
      } catch (error) {
        failed(error, argument);
        return undefined;
      }
    }),
  );
  return vscode.Disposable.from(...registrations);
}
