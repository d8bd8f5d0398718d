/** The README as VS Code shows it in the page of an installed extension. */

/**
 * Without pictures and links into the clone: an installed extension's page shows pictures from the web only, and opens
 * no file. Of a link the words stay.
 */
export function withoutFilesOfClone(markdown: string): string {
  return markdown
    .replace(/^!\[[^\]]*\]\((?!https:)[^)]*\)\n(?:\n(?=\([^\n]*\)\n)\([^\n]*\)\n)?\n?/gm, '')
    .replace(/(?<!!)\[([^\]]*)\]\((?!https?:|#)[^)]*\)/g, '$1');
}
