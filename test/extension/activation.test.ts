import assert from 'node:assert/strict';
import * as vscode from 'vscode';

const EXTENSION = 'clipself-lab.clipself-lab';

const commands = [
  'clipself.fineTune',
  'clipself.openTrainingPanel',
  'clipself.stop',
  'clipself.resume',
  'clipself.revealRun',
  'clipself.showLog',
];

describe('the extension in its host', () => {
  it('activates', async () => {
    const extension = vscode.extensions.getExtension(EXTENSION);
    assert.ok(extension, `${EXTENSION} is not installed`);
    await extension.activate();
    assert.equal(extension.isActive, true);
  });

  it('registers every command it contributes', async () => {
    const registered = await vscode.commands.getCommands(true);
    const contributed = contributedCommands();
    for (const command of [...commands, ...contributed]) {
      assert.ok(registered.includes(command), `${command} is not registered`);
      assert.ok(contributed.includes(command), `${command} is not contributed`);
    }
  });

  it('sees the sample images of the workspace', async () => {
    const images = await vscode.workspace.findFiles('images/*.jpg');
    assert.ok(images.length > 0, 'the workspace shows no image');
  });
});

function contributedCommands(): string[] {
  const manifest: unknown = vscode.extensions.getExtension(EXTENSION)?.packageJSON;
  const { contributes } = manifest as { contributes?: { commands?: { command: string }[] } };
  return (contributes?.commands ?? []).map(({ command }) => command);
}
