/** A word that no POSIX shell takes apart or fills in. */
const plainWord = /^[\w@%+=:,./-]+$/;

/** One word of a POSIX shell, or of PowerShell, which double a quote differently. */
export function quoteWord(word: string, platform: NodeJS.Platform): string {
  const plain = platform === 'win32' ? /^[\w@%+=:./\\-]+$/ : plainWord;
  if (plain.test(word)) return word;
  const quote = platform === 'win32' ? "''" : "'\\''";
  return `'${word.replaceAll("'", quote)}'`;
}
