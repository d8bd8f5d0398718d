import * as vscode from 'vscode';
import type { CommandId } from '../identifiers.ts';

/** What each command does; one without a handler does not compile. */
export type CommandHandlers = Readonly<Record<CommandId, (argument: unknown) => Promise<unknown>>>;

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
    vscode.commands.registerCommand(id, async (argument: unknown) => {
      try {
        return await handle(argument);
      } catch (error) {
        failed(error, argument);
        return undefined;
      }
    }),
  );
  return vscode.Disposable.from(...registrations);
}
