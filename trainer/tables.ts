/** Tables as text for other programs. Everything here is plain text in, plain text out. */

/** Comma-separated values as RFC 4180 has them. */
export function toCsv(table: readonly (readonly string[])[]): string {
  const field = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return table.map(row => `${row.map(field).join(',')}\r\n`).join('');
}

/** Letters that mean something to LaTeX, written out. */
export function escapeLatex(text: string): string {
  const written: Readonly<Record<string, string>> = {
    '\\': '\\textbackslash{}',
    '~': '\\textasciitilde{}',
    '^': '\\textasciicircum{}',
  };
  return text.replace(/[\\~^]|[&%$#_{}]/g, letter => written[letter] ?? `\\${letter}`);
}
