/** The platforms that a VSIX can be made for: those for which every native package is published. */

export interface Target {
  /** As `vsce --target` and the marketplace call it. */
  readonly name: string;
  /** As Node calls them. */
  readonly platform: string;
  readonly architecture: string;
}

/** There is no ONNX Runtime for Intel Macs, 32-bit systems and musl (Alpine). */
export const targets: readonly Target[] = [
  { name: 'linux-x64', platform: 'linux', architecture: 'x64' },
  { name: 'linux-arm64', platform: 'linux', architecture: 'arm64' },
  { name: 'darwin-arm64', platform: 'darwin', architecture: 'arm64' },
  { name: 'win32-x64', platform: 'win32', architecture: 'x64' },
  { name: 'win32-arm64', platform: 'win32', architecture: 'arm64' },
];

/** Whether `npm ci` has put this platform's native packages into the clone. */
export const isThisMachine = ({ platform, architecture }: Target): boolean =>
  platform === process.platform && architecture === process.arch;

/**
 * @param name of a target, by default this machine's.
 * @throws an error that lists the targets when there is none of that name.
 */
export function targetNamed(name = `${process.platform}-${process.arch}`): Target {
  const target = targets.find(candidate => candidate.name === name);
  if (target !== undefined) return target;
  throw new Error(`there is no package for "${name}": choose from ${targets.map(t => t.name).join(', ')}`);
}
