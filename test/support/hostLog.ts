/** Marks the lines that the tests inside the extension host print, among all that a workbench logs. */
export const TEST_LINE = '[test] ';
