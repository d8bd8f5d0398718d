/** One line of a list to choose from. */
export interface SelectOption {
  value: string;
  label: string;
  /** Options of one group are listed together under its name. */
  group?: string;
}
