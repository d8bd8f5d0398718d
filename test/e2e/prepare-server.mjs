// Finishes what `npm ci` leaves open with scripts ignored: gives the server its dependencies.
import { existsSync, rmSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const server = fileURLToPath(new URL('node_modules/code-server/lib/vscode', import.meta.url));
if (!existsSync(`${server}/out/server-main.js`)) {
  console.error(`${server} holds no server: run "npm ci" in test/e2e first`);
  process.exit(1);
}
const dependencies = `${server}/node_modules`;
rmSync(dependencies, { recursive: true, force: true });
// The folder that holds code-server holds also what the server imports.
symlinkSync('../../..', dependencies);
