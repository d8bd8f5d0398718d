import path from 'node:path';

/** Shortest names that tell files from each other: the base name, or the path's end from where they differ. */
export function shortNames(files: readonly string[]): string[] {
  return files.map(file => {
    const parts = file.split(path.sep);
    for (let count = 1; count < parts.length; count++) {
      const name = parts.slice(-count).join(path.sep);
      const alike = files.filter(other => other === name || other.endsWith(`${path.sep}${name}`));
      if (alike.length === 1) return name;
    }
    return file;
  });
}
