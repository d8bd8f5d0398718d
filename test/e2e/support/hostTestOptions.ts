/** What a run of tests inside the extension host needs to know. */

export interface HostTestOptions {
  /** Folder of the extension to load. */
  extensionPath: string;
  /** CommonJS module that exports `run()`. */
  testsPath: string;
  workspaceFolder: string;
  settings?: Record<string, unknown>;
  environment?: Record<string, string>;
  /** Milliseconds until the tests count as hung. */
  timeout: number;
}
