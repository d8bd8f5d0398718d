/** The README as VS Code shows it in the page of an installed extension. */

/** Sections about what can be done in a clone alone. */
const sectionsOfClone = /^## Two commands\n[\s\S]*?(?=^## )/gm;

/**
 * Without pictures and links into the clone: an installed extension's page shows pictures from the web only, and opens
 * no file. Of a link the words stay.
 */
export function pageOfInstalled(markdown: string): string {
  return markdown
    .replace(sectionsOfClone, '')
    .replace(/^!\[[^\]]*\]\((?!https:)[^)]*\)\n(?:\n(?=\([^\n]*\)\n)\([^\n]*\)\n)?\n?/gm, '')
    .replace(/(?<!!)\[([^\]]*)\]\((?!https?:|#)[^)]*\)/g, '$1');
}
